"""Decoded frames as RGB arrays, the way up that their file says."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

Cut = Callable[[int, int], tuple[int, int, int, int]]  # height, width -> top, left, height, width of a part


def reformatter() -> Callable[..., Any]:
    """Converts frames, by one thread; one for all of a video: to make one costs more than to use it."""
    import av

    one_thread: dict[str, Any] = (
        {"threads": 1} if int(av.__version__.split(".")[0]) >= 17 else {}
    )  # later ones would start some
    return partial(av.video.reformatter.VideoReformatter().reformat, **one_thread)


class Upright:
    """Brings decoded frames into (H, W, 3) RGB, turned and mirrored as their file says, to the nearest quarter turn.

    ``cut`` says which part of them is wanted; None: all.
    """

    def __init__(self) -> None:
        self._reformat = reformatter()
        self.cut: Cut | None = None

    def __call__(self, frame: Any) -> np.ndarray:
        picture = pixels_of(self._reformat(frame, format="rgb24"))
        matrix = display_matrix(frame)
        picture = picture if matrix is None else turned(picture, matrix)
        if self.cut is None:
            return picture
        top, left, rows, columns = self.cut(*picture.shape[:2])
        return picture[top : top + rows, left : left + columns].copy()  # the whole is let go of


def pixels_of(frame: Any) -> np.ndarray:
    """(H, W, 3) of an RGB frame, where it lies: rows have some bytes between them."""
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : 3 * frame.width]
    return rows.reshape(frame.height, frame.width, 3)


def display_matrix(frame: Any) -> Any:
    """How a frame is to be turned; None where it says nothing, as most do."""
    return frame.side_data.get("DISPLAYMATRIX") if len(frame.side_data) else None


def turned(picture: np.ndarray, matrix: Any) -> np.ndarray:
    """A picture (H, W, 3) turned and mirrored as a display matrix says, to the nearest quarter turn."""
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()  # (x, y) is shown at (a x + c y, b x + d y)
    if abs(b) > abs(a):
        picture, a, d = picture.transpose(1, 0, 2), c, b  # (W, H, 3)
    return picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
