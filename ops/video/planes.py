"""Decoded frames as the codec stores them: brightness, and colours at half the width and height (YUV 4:2:0).

Half the bytes of RGB, and nothing to convert. A packed picture (3H/2, W) has the H rows of brightness first; each row
below holds a row of U, then one of V. Odd sides have one pixel more there, like their neighbours.
"""

from typing import Any, NamedTuple

import numpy as np

from ops.video.upright import Cut, Upright, display_matrix, reformatter

PIXELS = ("rgb", "yuv")
BT601, BT709 = 5, 1  # as swscale and FFmpeg number matrices
MATRICES = {
    1: 1,
    2: 0,
    5: 0,
    6: 0,
}  # of BT.709 (1) and BT.601 (0), by FFmpeg's number; unspecified is BT.601, as in RGB
FULL_RANGE = 2  # FFmpeg's number of grey levels 0 to 255


class Packing(NamedTuple):
    """What packed pictures are.

    Args:
        colours: what their numbers mean: 0 is BT.601, 1 is BT.709, both in 16 to 235; 2 and 3 the same in 0 to 255.
        size: height and width in pixels, of the part that was cut out.
    """

    colours: int
    size: tuple[int, int]


class Packed:
    """Brings decoded frames into packed pictures, upright; ``packing`` says what the last one is.

    Other formats and matrices become RGB first, and so have the colours that they have there.
    """

    def __init__(self) -> None:
        self.packing: Packing | None = None
        self.cut: Cut | None = None
        self._upright = Upright()
        self._reformat = reformatter()

    def __call__(self, frame: Any) -> np.ndarray:
        """
        Raises:
            ValueError: the colours are not those of the frames before.
        """
        is_stored_so = frame.format.name in ("yuv420p", "yuvj420p") and frame.colorspace in MATRICES
        if is_stored_so and display_matrix(frame) is None:
            is_full = frame.color_range == FULL_RANGE or frame.format.name == "yuvj420p"
            picture, colours = frame, MATRICES[frame.colorspace] + 2 * is_full
        else:
            rgb = type(frame).from_ndarray(np.ascontiguousarray(self._upright(frame)), format="rgb24")
            picture = self._reformat(rgb, format="yuv420p", dst_colorspace=BT601, dst_color_range=FULL_RANGE)
            colours = 2
        box = 0, 0, picture.height, picture.width
        if self.cut is not None:
            top, left, rows, columns = self.cut(*box[2:])
            box = top - top % 2, left - left % 2, rows + top % 2, columns + left % 2
        packing = Packing(colours, box[2:])
        if self.packing is not None and self.packing.colours != colours:
            raise ValueError("frames of several colour spaces")
        self.packing = packing
        return packed(picture, box)


def packed(frame: Any, box: tuple[int, int, int, int]) -> np.ndarray:
    """(3H/2, W) of the part of a frame in YUV 4:2:0 that begins at even ``top, left`` and has some height and width."""
    top, left, rows, columns = box
    height, width = rows + rows % 2, columns + columns % 2
    picture = np.empty((height * 3 // 2, width), np.uint8)
    luma, u, v = (np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size) for plane in frame.planes)
    picture[:rows, :columns] = luma[top : top + rows, left : left + columns]
    picture[rows:height, :columns] = picture[rows - 1, :columns]
    picture[:height, columns:] = picture[:height, columns - 1 : columns]
    part = slice(top // 2, (top + height) // 2), slice(left // 2, (left + width) // 2)
    picture[height:, : width // 2], picture[height:, width // 2 :] = u[part], v[part]
    return picture
