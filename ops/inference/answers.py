"""What a network says of a video or of a window of one. K classes."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


class Guess(NamedTuple):
    """A class, its name (its number where the names are unknown), and how probable it is, from 0 to 1."""

    label: int
    name: str
    probability: float


class Caption(NamedTuple):
    """The most probable classes of a video, or of it from ``start`` to ``end`` in seconds."""

    guesses: list[Guess]
    start: float | None
    end: float | None


@dataclass(frozen=True)
class Answer:
    """The probabilities of all classes.

    Args:
        source: the video, as it was asked for.
        probabilities: (K,), in double precision.
        class_names: K names.
        start, end: of the window, in seconds from the first frame; None where it is the whole video.
    """

    source: str
    probabilities: np.ndarray
    class_names: tuple[str, ...]
    start: float | None = None
    end: float | None = None

    def top(self, count: int = 5) -> list[Guess]:
        """The most probable classes; of equal ones the lower number comes first."""
        order = np.argsort(-self.probabilities, kind="stable")[:count].tolist()
        return [Guess(label, self.class_names[label], float(self.probabilities[label])) for label in order]

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values, with the probabilities of all classes."""
        window = {} if self.start is None else {"start": self.start, "end": self.end}
        top = [guess._asdict() for guess in self.top()]
        return {"source": self.source, **window, "top": top, "probabilities": self.probabilities.tolist()}

    def caption(self) -> Caption:
        return Caption(self.top(), self.start, self.end)

    def text(self, count: int) -> str:
        """A line for each of the most probable classes, or for a window one line."""
        if self.start is None:
            return "\n".join([self.source, *(f"  {100 * p:5.1f} %  {name}" for _, name, p in self.top(count))])
        best = ", ".join(f"{name} {100 * p:.1f} %" for _, name, p in self.top(count))
        return f"{self.source}  {clock(self.start)} - {clock(self.end or 0)}  {best}"

    def __str__(self) -> str:
        return self.text(5)


def clock(seconds: float) -> str:
    """``1:02:03.5``, ``0:07``: with tenths of seconds where there are some."""
    tenths = round(10 * seconds)
    hours, minutes, rest = tenths // 36_000, tenths // 600 % 60, tenths % 600
    text = f"{rest // 10:02d}" + (f".{rest % 10}" if rest % 10 else "")
    return f"{hours}:{minutes:02d}:{text}" if hours else f"{minutes}:{text}"
