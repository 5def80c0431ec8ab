"""Class-activation maps laid over frames. T segments, s x s pixels, h x w maps."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ops.inference import Explanation
from ops.visual.explained.segment_figure import Place, SegmentFigure, bare, positive

COLOURS = "inferno"
STRONGEST = 0.75  # how much of the frame the strongest colour covers


def draw_class_maps(explanation: Explanation) -> bytes:
    """PNG: the middle frame of each segment, and under it the same with its map, all on one scale."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    height, width = explanation.class_maps.shape[1:]
    figure = SegmentFigure(explanation, f"Class-activation maps of {explanation.layer} ({height} x {width})")
    figure.frames()
    strengths = relative_strengths(explanation.class_maps)

    def draw(place: Place) -> None:
        for column, (picture, strength) in enumerate(zip(explanation.clip.middle_pictures, strengths, strict=True)):
            bare(place.cell(column)).imshow(blend(picture, strength), aspect="auto")
        scale = Normalize(0, positive(explanation.class_maps.max()))
        place.bar(ScalarMappable(scale, COLOURS), "evidence for the class")

    figure.row(figure.cell, f"where the evidence for “{explanation.class_name}” is", draw)
    return figure.png()


def relative_strengths(maps: np.ndarray) -> np.ndarray:
    """Maps (T, h, w) from 0, where nothing speaks for the class, to 1, the most that does in this clip."""
    return np.maximum(maps, 0) / positive(maps.max())


def enlarged(strength: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A map (h, w) at the size (width, height) of a picture, between its pixels interpolated."""
    image = Image.fromarray(strength.astype(np.float32))
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC)).clip(0, 1)


def blend(picture: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """A map (h, w) from 0 to 1 over a picture (H, W, 3) uint8, which it covers the more, the stronger it is.

    The picture becomes grey under it, so that all colours are the map's.
    """
    from matplotlib import colormaps

    strong = enlarged(strength, (picture.shape[1], picture.shape[0]))
    colours = colormaps[COLOURS](strong)[..., :3] * 255  # (H, W, 3)
    grey = picture @ np.array([0.299, 0.587, 0.114])
    cover = STRONGEST * np.sqrt(strong)[..., None]  # (H, W, 1)
    return (grey[..., None] * (1 - cover) + colours * cover).round().astype(np.uint8)
