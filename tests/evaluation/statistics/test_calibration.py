"""Bins of confidence against a loop and scikit-learn."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from ops.evaluation.statistics.calibration import calibrate

RNG = np.random.default_rng(0)
CONFIDENCE = RNG.beta(4, 2, 500)
RIGHT = RNG.random(500) < CONFIDENCE**2


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_loop(bins: int) -> None:
    found = calibrate(CONFIDENCE, RIGHT, bins)
    error = 0.0
    for number in range(bins):
        inside = [i for i, c in enumerate(CONFIDENCE) if number / bins < c <= (number + 1) / bins]
        assert found.counts[number] == len(inside)
        if inside:
            accuracy, confidence = np.mean(RIGHT[inside]), np.mean(CONFIDENCE[inside])
            assert np.allclose([found.accuracy[number], found.confidence[number]], [accuracy, confidence])
            error += len(inside) / len(CONFIDENCE) * abs(accuracy - confidence)
        else:
            assert np.isnan([found.accuracy[number], found.confidence[number]]).all()
    assert found.error == pytest.approx(100 * error)


def test_scikit_learn() -> None:
    accuracy, confidence = calibration_curve(RIGHT, CONFIDENCE, n_bins=15)
    found = calibrate(CONFIDENCE, RIGHT)
    full = found.counts > 0
    assert np.allclose(found.accuracy[full], accuracy) and np.allclose(found.confidence[full], confidence)


def test_ends_belong_to_the_outer_bins() -> None:
    found = calibrate(np.array([0.0, 0.5, 1.0]), np.array([False, True, True]), 2)
    assert found.counts.tolist() == [2, 1] and found.error == pytest.approx(100 * 2 / 3 * 0.25)
