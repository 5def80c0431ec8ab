"""Which files decord and torchcodec read; PyAV reads the others, and a warning says so."""

import mmap

from ops.runtime import get_logger
from ops.video.pyav import PyAVReader

# Those of which tests/video/test_grid.py has verified every way to cut and remux.
VERIFIED = {
    "decord": {"h264", "hevc", "vp8", "vp9", "mjpeg", "prores"},
    "torchcodec": {"h264", "hevc", "vp8", "vp9", "av1", "mjpeg", "prores"},
}
_said = mmap.mmap(-1, len(VERIFIED))  # a byte a decoder, shared with the workers that are forked from this process


def stands_in(reader: PyAVReader, decoder: str) -> bool:
    """Whether PyAV is to read a file in place of another decoder; the first such file is logged."""
    codec = reader.stream.codec_context.codec.canonical_name
    if reader.places is not None and reader.is_only_video and codec in VERIFIED[decoder]:
        return False
    number = list(VERIFIED).index(decoder)
    if not _said[number]:
        _said[number] = 1
        get_logger().warning(
            "%s: PyAV reads this file and others like it, because %s may return wrong frames for them",
            reader.path,
            decoder,
        )
    return True


def forget_what_was_said() -> None:
    """As in a process that has just begun."""
    _said[:] = bytes(len(_said))
