"""Intervals against plain resampling and SciPy."""

import numpy as np
import pytest
from scipy import stats

from ops.evaluation.statistics.intervals import bootstrap_intervals, difference_interval, wilson_intervals

N, CLASSES, DRAWS = 120, 7, 4000
RNG = np.random.default_rng(5)
LABELS = RNG.choice(CLASSES - 1, N, p=[0.3, 0.3, 0.2, 0.1, 0.07, 0.03])  # of unequal sizes; the last class has no video
RANKS = RNG.geometric(0.35, N) - 1


def naive_accuracies(places: np.ndarray) -> tuple[float, float, float]:
    """Top-1, top-5 and mean class accuracy of some of the videos."""
    of_class: dict[int, list[bool]] = {}
    for place in places:
        of_class.setdefault(LABELS[place], []).append(RANKS[place] == 0)
    hits = [sum(RANKS[place] < k for place in places) / len(places) for k in (1, 5)]
    return hits[0], hits[1], sum(sum(c) / len(c) for c in of_class.values()) / len(of_class)


class TestBootstrap:
    def test_like_drawing_videos(self) -> None:
        rng = np.random.default_rng(1)
        drawn = [naive_accuracies(rng.integers(0, N, N)) for _ in range(DRAWS)]
        expected = 100 * np.quantile(drawn, [0.025, 0.975], axis=0)
        found = bootstrap_intervals(RANKS, LABELS, CLASSES, DRAWS)
        assert list(found) == ["top1", "top5", "mean_class"]
        assert np.allclose(np.array(list(found.values())), expected.T, atol=1.0)

    def test_top1_is_binomial(self) -> None:
        exact = 100 * stats.binom(N, np.mean(RANKS == 0)).ppf([0.025, 0.975]) / N
        assert np.allclose(bootstrap_intervals(RANKS, LABELS, CLASSES, 20_000)["top1"], exact, atol=100 / N)

    def test_same_seed_same_ends(self) -> None:
        assert bootstrap_intervals(RANKS, LABELS, CLASSES) == bootstrap_intervals(RANKS, LABELS, CLASSES)
        assert bootstrap_intervals(RANKS, LABELS, CLASSES) != bootstrap_intervals(RANKS, LABELS, CLASSES, seed=1)

    def test_one_video(self) -> None:
        found = bootstrap_intervals(np.array([2]), np.array([1]), 3)
        assert [tuple(ends) for ends in found.values()] == [(0, 0), (100, 100), (0, 0)]


class TestDifference:
    def test_like_scipys_paired_bootstrap(self) -> None:
        first, second = RNG.random(N) < 0.5, RNG.random(N) < 0.7
        expected = stats.bootstrap(
            (second.astype(float), first.astype(float)), lambda a, b, axis: np.mean(a - b, axis=axis), paired=True,
            n_resamples=DRAWS, method="percentile", rng=np.random.default_rng(2),
        ).confidence_interval  # fmt: skip
        found = difference_interval(first, second, DRAWS)
        assert np.allclose(found, 100 * np.array(expected), atol=1.5)

    def test_twins(self) -> None:
        assert difference_interval(RANKS == 0, RANKS == 0) == (0, 0)


class TestWilson:
    @pytest.mark.parametrize(("hits", "count"), [(0, 3), (3, 3), (1, 2), (17, 50), (399, 400)])
    def test_scipys(self, hits: int, count: int) -> None:
        expected = stats.binomtest(hits, count).proportion_ci(0.95, method="wilson")
        found = wilson_intervals(np.array([hits, 0]), np.array([count, 0]))
        assert np.allclose(found[0], [100 * expected.low, 100 * expected.high])
        assert np.isnan(found[1]).all()
