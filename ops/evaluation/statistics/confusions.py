"""Which classes are taken for which."""

from typing import NamedTuple

import numpy as np


class Confusion(NamedTuple):
    """How many videos of class ``true`` were taken for ``predicted``, and their share of the class, 0 to 1."""

    true: int
    predicted: int
    videos: int
    share: float


def most_confused(labels: np.ndarray, predicted: np.ndarray, num_classes: int, limit: int) -> list[Confusion]:
    """The pairs of classes with the most videos, the larger share of the class first among equals.

    Args:
        labels, predicted: (N,)
        limit: number of pairs.
    """
    wrong = labels != predicted
    pairs, counts = np.unique(labels[wrong] * num_classes + predicted[wrong], return_counts=True)
    true, taken_for = np.divmod(pairs, num_classes)
    share = counts / np.bincount(labels, minlength=num_classes)[true]
    order = np.lexsort((taken_for, true, -share, -counts))[:limit]
    columns = (values[order].tolist() for values in (true, taken_for, counts, share))
    return [Confusion(*row) for row in zip(*columns, strict=True)]
