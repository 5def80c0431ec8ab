"""The pairs that are confused most against scikit-learn's confusion matrix."""

import numpy as np
from sklearn.metrics import confusion_matrix

from ops.evaluation.statistics.confusions import most_confused

RNG = np.random.default_rng(0)
LABELS, PREDICTED = RNG.integers(0, 8, 300), RNG.integers(0, 9, 300)


def test_counts_shares_and_order() -> None:
    matrix = confusion_matrix(LABELS, PREDICTED, labels=range(9))
    expected = [
        (true, predicted, matrix[true, predicted], matrix[true, predicted] / matrix[true].sum())
        for true in range(9)
        for predicted in range(9)
        if true != predicted and matrix[true, predicted]
    ]
    expected.sort(key=lambda pair: (-pair[2], -pair[3], pair[0], pair[1]))
    found = most_confused(LABELS, PREDICTED, 9, 1000)
    assert [tuple(pair) for pair in found] == expected
    assert most_confused(LABELS, PREDICTED, 9, 3) == found[:3]


def test_all_right() -> None:
    assert most_confused(LABELS, LABELS, 9, 5) == []
