"""Errors of unreadable videos, and limits of their sizes."""

from pathlib import Path

MAX_PIXELS = 2**25  # of a picture: all that 8K has; a clip of larger ones would fill the memory of most machines
MAX_FRAMES = 10**8  # of a video
MAX_ASPECT = 50  # long side / short side: scaled to a short side of some size, a thinner picture has no end


class VideoError(Exception):
    """A video that cannot be read: the message names the file and says why."""


class UnknownOrderError(Exception):
    """Headers that do not tell for certain which pictures decoding gives, and in which order."""


def check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise VideoError(f"{path}: expected pictures of at most {MAX_PIXELS} pixels, got {width}x{height}")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise VideoError(f"{path}: expected an aspect ratio of at most {MAX_ASPECT} to 1, got {width}x{height}")


def one_line(error: BaseException) -> str:
    """The line of a library's message that says most."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1].strip() if len(lines) == 1 else lines[0].strip()
