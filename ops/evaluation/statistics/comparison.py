"""Whether two networks differ on the same videos.

McNemar, "Note on the sampling error of the difference between correlated proportions or percentages", 1947. Only the
videos that one of them gets right and the other wrong count.
"""

import math
from typing import NamedTuple

import numpy as np


class McNemar(NamedTuple):
    """Args:
    first_only, second_only: videos that only one network gets right.
    p: two-sided, exact.
    chi2, p_chi2: with continuity correction, as often quoted; 0 and 1 where the networks do not differ.
    """

    first_only: int
    second_only: int
    p: float
    chi2: float
    p_chi2: float


def mcnemar(first_only: int, second_only: int) -> McNemar:
    """McNemar's test.

    p = min(1, 2 P(X <= min(b, c))) with X ~ Binomial(b + c, 1/2); chi2 = (|b - c| - 1)^2 / (b + c), one degree of
    freedom.
    """
    n, fewer = first_only + second_only, min(first_only, second_only)
    if n == 0:
        return McNemar(0, 0, 1.0, 0.0, 1.0)
    steps = np.arange(1, fewer + 1)
    logs = np.concatenate([[0.0], np.cumsum(np.log(n - steps + 1) - np.log(steps))])  # of binomial coefficients
    p = min(1.0, 2 * float(np.exp(logs - n * math.log(2)).sum()))
    chi2 = max(abs(first_only - second_only) - 1, 0) ** 2 / n
    return McNemar(first_only, second_only, p, chi2, math.erfc(math.sqrt(chi2 / 2)))


def holm(p: np.ndarray) -> np.ndarray:
    """P-values (M,) of M tests, corrected for their number (Holm, 1979)."""
    order = np.argsort(p, kind="stable")
    corrected = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    result = np.empty(len(p))
    result[order] = corrected
    return result
