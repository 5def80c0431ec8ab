"""Decoded frames as RGB arrays, the way up that their file says."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np


def reformatter() -> Callable[..., Any]:
    """Converts frames, by one thread; one for all of a video: to make one costs more than to use it."""
    import av

    one_thread: dict[str, Any] = (
        {"threads": 1} if int(av.__version__.split(".")[0]) >= 17 else {}
    )  # later ones would start some
    return partial(av.video.reformatter.VideoReformatter().reformat, **one_thread)


class Upright:
    """Brings decoded frames into (H, W, 3) RGB, turned and mirrored as their file says, to the nearest quarter turn."""

    def __init__(self) -> None:
        self._reformat = reformatter()

    def __call__(self, frame: Any) -> np.ndarray:
        picture = self._reformat(frame, format="rgb24").to_ndarray()
        matrix = frame.side_data.get("DISPLAYMATRIX")
        return picture if matrix is None else turned(picture, matrix)


def turned(picture: np.ndarray, matrix: Any) -> np.ndarray:
    """A picture (H, W, 3) turned and mirrored as a display matrix says, to the nearest quarter turn."""
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()  # (x, y) is shown at (a x + c y, b x + d y)
    if abs(b) > abs(a):
        picture, a, d = picture.transpose(1, 0, 2), c, b  # (W, H, 3)
    return picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
