"""Frames at another size and in another pixel format, for whoever writes them."""

from __future__ import annotations

import av
from av.video.reformatter import Interpolation, VideoReformatter


def scaled_size(width: int, height: int, short_side: int | None, multiple: int = 1) -> tuple[int, int]:
    """Width and height with that short side, never larger than they are, as multiples of ``multiple``."""
    scale = min(short_side / min(width, height), 1) if short_side else 1

    def scaled(side: int) -> int:
        nearest = int(side * scale / multiple + 0.5)
        return multiple * max(min(nearest, side // multiple), 1)

    return scaled(width), scaled(height)


class Scaler:
    """Scale frames to one size and pixel format; the colours look as before.

    Args:
        width, height: of the result.
        format: pixel format of the result.
        full_range: grey levels 0 to 255, as JPEG has them, instead of 16 to 235.
        colorspace: colour matrix of the result; None leaves it.
    """

    def __init__(self, width: int, height: int, format: str, full_range: bool, colorspace: int | None = None) -> None:
        self.width, self.height, self.format = width, height, format
        self.range = 2 if full_range else 1
        self.colorspace = colorspace
        self.reformatter = VideoReformatter()
        # PyAV 17 and later would start threads for each frame: slower than one.
        self.one_thread = {"threads": 1} if int(av.__version__.split(".")[0]) >= 17 else {}

    def __call__(self, frame: av.VideoFrame) -> av.VideoFrame:
        return self.reformatter.reformat(
            frame,
            self.width,
            self.height,
            self.format,
            dst_colorspace=self.colorspace,
            interpolation=Interpolation.BICUBIC,
            dst_color_range=self.range,
            **self.one_thread,
        )
