"""Confidence intervals of accuracies. N videos, K classes."""

from typing import NamedTuple

import numpy as np

DRAWS = 2000  # bootstrap samples
LEVEL = 0.95
NORMAL = 1.959963984540054  # quantile of the normal distribution at (1 + LEVEL) / 2


class Interval(NamedTuple):
    """Its ends, in percent."""

    low: float
    high: float


def bootstrap_intervals(
    ranks: np.ndarray, labels: np.ndarray, num_classes: int, draws: int = DRAWS, seed: int = 0
) -> dict[str, Interval]:
    """Percentile bootstrap over videos of top-1, top-5 and mean class accuracy, by these names (``mean_class``).

    N videos drawn with replacement hold each of the 3 K kinds of video (a class, and whether its label is first, among
    the first five, or later) as often as a multinomial distribution says. That is drawn: no N x draws numbers.

    Args:
        ranks: (N,) place of each video's label among its scores, from 0.
        labels: (N,)
    """
    kinds = 3 * labels + np.digitize(ranks, (1, 5))
    counts = np.bincount(kinds, minlength=3 * num_classes)
    rng = np.random.default_rng(seed)
    found = np.empty((draws, 3))
    for row in found:
        drawn = rng.multinomial(len(labels), counts / len(labels)).reshape(num_classes, 3)
        sizes, hits = drawn.sum(axis=1), drawn[:, 0]
        there = sizes > 0
        row[:] = hits.sum() / len(labels), drawn[:, :2].sum() / len(labels), np.mean(hits[there] / sizes[there])
    return dict(zip(("top1", "top5", "mean_class"), map(_ends, found.T), strict=True))


def difference_interval(first: np.ndarray, second: np.ndarray, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Percentile bootstrap over videos of the second accuracy minus the first, of the same videos.

    Args:
        first, second: (N,) whether each video is right.
    """
    counts = np.bincount(2 * first.astype(int) + second, minlength=4)  # none, second, first, both
    drawn = np.random.default_rng(seed).multinomial(len(first), counts / len(first), size=draws)  # (draws, 4)
    return _ends((drawn[:, 1] - drawn[:, 2]) / len(first))


def wilson_intervals(hits: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Wilson's intervals (K, 2), in percent, of ``hits`` of ``counts`` videos (K,); NaN where there are none.

    Unlike the bootstrap they say something of a class whose few videos are all right.
    """
    n = np.where(counts > 0, counts, np.nan)
    share = hits / n
    middle = share + NORMAL**2 / (2 * n)
    half = NORMAL * np.sqrt(share * (1 - share) / n + NORMAL**2 / (4 * n**2))
    ends = np.stack([middle - half, middle + half], axis=1) / (1 + NORMAL**2 / n)[:, None]
    return 100 * ends.clip(0, 1)  # (K, 2)


def _ends(values: np.ndarray) -> Interval:
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(100 * float(low), 100 * float(high))
