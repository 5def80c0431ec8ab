"""How resize_videos.py writes videos: small to read fast, or small to keep."""

from __future__ import annotations

from argparse import ArgumentTypeError
from dataclasses import dataclass

SPEED = "--x264_preset"
SPEEDS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")


@dataclass(frozen=True)
class VideoSettings:
    """How videos are written.

    Args:
        short_side: in pixels, of larger videos after scaling.
        gop: largest distance between key frames, in frames.
        crf: quality of x264, 0 (lossless) to 51.
        preset: speed of x264, ``ultrafast`` to ``veryslow``.
        fast_decode: no B-frames, no deblocking and no arithmetic coding: cheap to read, and larger.
    """

    short_side: int
    gop: int
    crf: int
    preset: str
    fast_decode: bool = False


PRESETS = {
    "training": VideoSettings(256, 16, 23, "medium", fast_decode=True),
    "archive": VideoSettings(320, 16, 23, "medium"),
}


def preset_name(text: str) -> str:
    """An argparse type: names what was a choice before ``--x264_preset`` took its place."""
    if text in SPEEDS:
        raise ArgumentTypeError(f"expected {' or '.join(PRESETS)}, got {text}, which is now {SPEED} {text}")
    return text
