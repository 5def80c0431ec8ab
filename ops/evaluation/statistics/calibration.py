"""Whether probabilities are what they say: of the answers of 80 %, are 80 % right?"""

from dataclasses import dataclass

import numpy as np

BINS = 15


@dataclass(frozen=True)
class Calibration:
    """Confidence against accuracy, in B bins of equal width.

    Args:
        counts: (B,) videos.
        confidence: (B,) mean probability of the answer, 0 to 1; NaN in empty bins.
        accuracy: (B,) share of right answers; NaN in empty bins.
    """

    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error in percent: sum over bins of counts / N x |accuracy - confidence|."""
        full = self.counts > 0
        gaps = abs(self.accuracy - self.confidence)[full]
        return 100 * float(np.average(gaps, weights=self.counts[full]))


def calibrate(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> Calibration:
    """Bins (low, high] of the probability of the answer (N,); ``right`` (N,) says which answers are."""
    places = np.ceil(confidence * bins).astype(int).clip(1, bins) - 1
    counts = np.bincount(places, minlength=bins)
    sizes = np.where(counts > 0, counts, np.nan)
    sums = [np.bincount(places, weights=values, minlength=bins) for values in (confidence, right)]
    return Calibration(counts, sums[0] / sizes, sums[1] / sizes)
