"""The probabilities of a long video over time, in as many columns as a picture can show. K classes."""

from dataclasses import dataclass

import numpy as np

from ops.inference.answers import Answer

MOST_COLUMNS = 1200


@dataclass
class Column:
    """The summed probabilities (K,) of successive windows, from the start of the first to the end of the last."""

    start: float
    end: float
    total: np.ndarray
    count: int


class Timeline:
    """Answers over time; where there are too many to show, neighbours are averaged, so that memory does not grow.

    Args:
        name: of the video.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.class_names: tuple[str, ...] = ()
        self.columns: list[Column] = []
        self._each = 1  # windows in a column

    def add(self, answer: Answer) -> None:
        assert answer.start is not None and answer.end is not None
        self.class_names = answer.class_names
        last = self.columns[-1] if self.columns else None
        if last is not None and last.count < self._each:
            last.end, last.total, last.count = answer.end, last.total + answer.probabilities, last.count + 1
            return
        if len(self.columns) == MOST_COLUMNS:
            pairs = zip(self.columns[::2], self.columns[1::2], strict=True)
            self.columns = [Column(a.start, b.end, a.total + b.total, a.count + b.count) for a, b in pairs]
            self._each *= 2
        self.columns.append(Column(answer.start, answer.end, answer.probabilities, 1))

    @property
    def probabilities(self) -> np.ndarray:
        """(columns, K)"""
        return np.stack([column.total / column.count for column in self.columns])
