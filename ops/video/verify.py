"""A reader's frames compared with those of plain decoding, for a check on request."""

import hashlib
from pathlib import Path

import numpy as np

from ops.video.container import open_container, picture_stream
from ops.video.reader import open_video
from ops.video.upright import Upright

GROUPS, GROUP = 32, 8  # groups of random frames that are read, and frames of a group


def verify_frames(path: Path, decoder: str, seed: int = 0) -> str | None:
    """Read random frames of a video, in no order, and compare each with that of plain decoding.

    Plain decoding is that of the first stream that is no cover art, from end to end, with PyAV.

    Returns:
        What differs, None where nothing does.

    Raises:
        VideoError: the video cannot be read.
        av.error.FFmpegError: plain decoding fails.
    """
    expected, upright = [], Upright()
    with open_container(path) as container:
        for frame in container.decode(picture_stream(path, container)):
            expected.append(_digest(upright(frame)))
    reader = open_video(path, decoder)
    if len(reader) != len(expected):
        return f"the reader counts {len(reader)} frames, plain decoding gives {len(expected)}"
    rng = np.random.default_rng(seed)
    for number in range(GROUPS):
        indices = np.unique(rng.integers(0, len(expected), GROUP if number % 2 else 1))
        for index, picture in zip(indices, reader.get_frames(indices), strict=True):
            if _digest(picture) != expected[index]:
                return f"frame {index} differs from plain decoding"
    return None


def _digest(picture: np.ndarray) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(picture).data, digest_size=16).digest()
