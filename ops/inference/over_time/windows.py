"""Windows that slide over a video, and the answers to them, with no more of it in memory than a window.

Window k holds the frames from k * every to k * every + length seconds.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ops.video import VideoError

MAX_BYTES = 2**31  # of the frames of a window
TOLERANCE = 1e-6  # seconds, by which times of frames may differ from what they should be


@dataclass
class Window:
    """The frames (3, s, s) of some seconds.

    Args:
        number: k.
        start, end: in seconds from the first frame.
        frames: as the network sees them.
        first: how many frames came before its first one.
        received: when the last frame before its end came, by time.monotonic.
    """

    number: int
    start: float
    end: float
    frames: list[Tensor]
    first: int = 0
    received: float = 0.0


@dataclass
class WindowCutter:
    """Frames in, whole windows out.

    Args:
        every: seconds from one window to the next.
        length: of a window, in seconds.
    """

    every: float
    length: float
    _number: int = 0
    _count: int = 0
    _bytes: int = 0
    _frames: list[tuple[float, int, Tensor]] = field(default_factory=list)

    @property
    def start(self) -> float:
        """Of the window that is filled now."""
        return self._number * self.every

    def whole(self, time: float) -> Iterator[Window]:
        """The windows that end before a frame at ``time``, or the end of the video; those without frames too."""
        while self.start + self.length <= time + TOLERANCE:
            end = self.start + self.length
            inside = [(count, frame) for at, count, frame in self._frames if at < end - TOLERANCE]
            frames = [frame for _, frame in inside]
            yield Window(self._number, self.start, end, frames, inside[0][0] if inside else self._count)
            self._number += 1
            self._frames = [entry for entry in self._frames if entry[0] >= self.start - TOLERANCE]

    def wants(self, time: float) -> bool:
        """Whether a frame at ``time`` is in a window: not where they lie apart."""
        self._count += 1
        return time >= self.start - TOLERANCE

    def add(self, time: float, frame: Tensor) -> None:
        """Take the frame at ``time``, after ``whole(time)``."""
        self._frames.append((time, self._count - 1, frame))
        if len(self._frames) * frame.nbytes > MAX_BYTES:
            raise VideoError(
                f"expected a --window of at most {MAX_BYTES // frame.nbytes:,} frames of {frame.shape[-1]} pixels "
                f"({MAX_BYTES // 10**9} GB), got more in {self.length:g} s"
            )


def clip_of(window: Window, indices: np.ndarray) -> Tensor:
    """The frames at ``indices`` (T, F) of a window as pixels (T, F, 3, s, s)."""
    return torch.stack([window.frames[index] for index in indices.ravel()]).unflatten(0, indices.shape)
