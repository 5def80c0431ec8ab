"""How objects of the set `motion` move: the classes, and the four circles along which an object travels.

F frames; points on a circle in turns, 0 to 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]

# Directions of travel along (across, down, size, angle).
DIRECTIONS: dict[str, tuple[int, int, int, int]] = {
    "left": (-1, 0, 0, 0),
    "right": (1, 0, 0, 0),
    "up": (0, -1, 0, 0),
    "down": (0, 1, 0, 0),
    "towards": (0, 0, 1, 0),
    "away": (0, 0, -1, 0),
    "clockwise": (0, 0, 0, 1),
    "anticlockwise": (0, 0, 0, -1),
}
LOCAL = tuple(DIRECTIONS)
ORDER = (
    "left then right",
    "right then left",
    "up then down",
    "down then up",
    "towards then away",
    "away then towards",
)
CLASSES: dict[str, tuple[str, ...]] = {"local": LOCAL, "order": ORDER, "all": LOCAL + ORDER}

SMALLEST, LARGEST = 0.4, 0.95  # diameter of the circle around the object, in short sides of the picture
SHIFT = (1.5 / 72, 4 / 72)  # short sides a frame
GROWTH = (0.035, 0.055)  # relative, a frame
TURN = (6 / 360, 12 / 360)  # turns a frame


@dataclass(frozen=True, eq=False)
class Track:
    """Where an object is on its four circles, and how fast it would travel along each.

    Args:
        start: (4,) point on the circles (across, down, size, angle) at the first frame, in turns, 0 to 1.
        speed: (4,) turns a frame.
    """

    start: FloatArray
    speed: FloatArray

    @classmethod
    def draw(cls, rng: np.random.Generator, width: int, height: int) -> Track:
        """Uniform start, uniform speeds; the same speed range in pixels across and down."""
        short = min(width, height)
        speed = (
            rng.uniform(*SHIFT) * short / width,
            rng.uniform(*SHIFT) * short / height,
            math.log1p(rng.uniform(*GROWTH)) / math.log(LARGEST / SMALLEST),
            rng.uniform(*TURN),
        )
        return cls(start=rng.random(4), speed=np.array(speed))

    def states(self, name: str, frames: int) -> FloatArray:
        """(F, 4) points on the circles, in turns, when the object moves as the class `name` says.

        A class `a then b` turns round in the middle of the clip.
        """
        parts = name.split(" then ")
        first, last = np.array(DIRECTIONS[parts[0]]), np.array(DIRECTIONS[parts[-1]])
        turning_point = (frames - 1) / 2
        time = np.arange(frames)[:, None]  # (F, 1)
        before, after = np.minimum(time, turning_point), np.maximum(time - turning_point, 0)
        return (self.start + self.speed * (first * before + last * after)) % 1.0


def diameter(size: float, short: int) -> float:
    """Diameter of the circle around the object, in the unit of the short side; `size` in turns."""
    return short * SMALLEST * (LARGEST / SMALLEST) ** size
