"""Video files as PyAV opens them: whatever their names, titles and cover pictures."""

import os
import struct
from pathlib import Path
from typing import Any

from ops.video.errors import MAX_FRAMES, MAX_PIXELS, VideoError, check_size


def open_container(path: Path) -> Any:
    """The container of a file to read, closed by its ``with``.

    Raises:
        av.error.FFmpegError, ValueError: it is no media file, or not there.
    """
    # FFmpeg takes "12:30.mp4" for a URL, but no absolute path.
    return open_source(file=os.path.abspath(path))


def open_source(**source: Any) -> Any:
    """av.open for reading, in which titles that are not UTF-8 are no error (PyAV 19 made that its rule)."""
    import av

    if int(av.__version__.split(".")[0]) < 19:
        source["metadata_errors"] = "replace"
    return av.open(**source)


def picture_stream(path: Path, container: Any) -> Any:
    """The first stream of moving pictures, if it can be decoded and is not too large; cover art is none.

    Raises:
        VideoError: there is none such.
    """
    stream = next((s for s in container.streams.video if not _is_cover(s)), None)
    if stream is None:
        kinds = sorted({"cover art" if s.type == "video" else s.type for s in container.streams})
        raise VideoError(f"{path}: expected a video, got only {' and '.join(kinds) or 'nothing'}")
    context = stream.codec_context
    if context is None:
        raise VideoError(f"{path}: expected a video that can be decoded, got one in an unknown codec")
    check_size(path, context.width, context.height)
    prepare(context)
    return stream


def prepare(context: Any) -> None:
    """Set up a decoder that is not open yet: one thread, no picture that would fill the memory."""
    context.options = {"max_pixels": str(MAX_PIXELS)}
    context.thread_count = 1


def _is_cover(stream: Any) -> bool:
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)


def check_announced(path: Path, container: Any, stream: Any) -> None:
    """Raise where a header announces more frames than anyone has: decord would end its process for want of memory."""
    import av

    rate = max(stream.average_rate or 0, stream.guessed_rate or 0)
    seconds = max((stream.duration or 0) * (stream.time_base or 0), (container.duration or 0) / av.time_base)
    announced = max(stream.frames, int(seconds * rate))
    if announced > MAX_FRAMES:
        raise VideoError(f"{path}: expected at most {MAX_FRAMES} frames, got {announced} in its header")


def is_cut_off(path: Path) -> bool:
    """Whether an AVI or MP4 file ends inside one of its outermost parts, as an interrupted download does."""
    end = os.path.getsize(path)
    with open(path, "rb") as file:
        start = 0
        while len(head := file.read(16)) >= 8:
            if head[:4] == b"RIFF":
                size = 8 + struct.unpack("<I", head[4:8])[0]
            else:
                size = struct.unpack(">I", head[:4])[0]
                if size == 1 and len(head) == 16:
                    size = struct.unpack(">Q", head[8:])[0]
                if size == 0:  # to the end
                    return False
            start += max(size, 8)
            if start > end:
                return True
            file.seek(start)
    return False
