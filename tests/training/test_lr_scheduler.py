"""Learning rates against the two formulas of the protocol and its linear warmup."""

import math
from itertools import pairwise

import pytest

from ops.training.lr_scheduler import LRSchedule


def naive_lr(
    kind: str, lr: float, epochs: int, n: int, it: int, steps: tuple[float, ...], gamma: float, warmup: float, m: float
) -> float:
    if it < warmup * n:
        return lr / m * ((m - 1) * it / (warmup * n) + 1)
    s = it - warmup * n
    if kind == "cosine":
        return 1e-5 + (lr - 1e-5) / 2 * (1 + math.cos(math.pi * s / ((epochs - warmup) * n)))
    rate = lr
    for milestone in steps:
        if (milestone - warmup) * n <= s:
            rate *= gamma
    return rate


class TestLRSchedule:
    @pytest.mark.parametrize("kind", ["step", "cosine"])
    @pytest.mark.parametrize("n", [1, 7, 50])
    @pytest.mark.parametrize(("warmup", "m"), [(0, 1.0), (0, 100.0), (1, 10.0), (3, 100.0), (2.5, 4.0)])
    def test_every_iteration(self, kind: str, n: int, warmup: float, m: float) -> None:
        epochs, steps, gamma = 12, (4, 7.5, 10), 0.1
        schedule = LRSchedule(kind, 0.02, epochs, n, steps, gamma, warmup, m)
        for it in range(epochs * n + 1):
            expected = naive_lr(kind, 0.02, epochs, n, it, steps, gamma, warmup, m)
            assert schedule.lr(it) == pytest.approx(expected, rel=1e-12), it

    def test_published_recipe_steps_when_an_epoch_begins(self) -> None:
        n = 1000
        schedule = LRSchedule("step", 0.01, 60, n, (30, 45, 55), 0.1)
        for first, last, rate in ((0, 29, 1e-2), (30, 44, 1e-3), (45, 54, 1e-4), (55, 59, 1e-5)):
            assert schedule.lr(first * n) == pytest.approx(rate)
            assert schedule.lr(last * n + n - 1) == pytest.approx(rate)

    def test_milestones_count_from_the_run_s_beginning_with_warmup_too(self) -> None:
        schedule = LRSchedule("step", 1.0, 10, 10, (5,), 0.5, warmup_epochs=2, warmup_multiplier=10)
        assert schedule.lr(49) == 1.0
        assert schedule.lr(50) == 0.5

    @pytest.mark.parametrize(
        ("milestone", "n", "warmup", "first"), [(1.1, 100, 0, 110), (3, 7, 0.3, 21), (1, 1000, 0.7, 1000)]
    )
    def test_milestones_are_not_late_by_rounding(self, milestone: float, n: int, warmup: float, first: int) -> None:
        schedule = LRSchedule("step", 1.0, 9, n, (milestone,), 0.5, warmup, 10)
        assert (schedule.lr(first - 1), schedule.lr(first)) == (1.0, 0.5)

    def test_warmup_is_linear_from_a_fraction_to_the_whole(self) -> None:
        schedule = LRSchedule("cosine", 0.5, 10, 20, warmup_epochs=2, warmup_multiplier=50)
        rates = [schedule.lr(it) for it in range(41)]
        assert rates[0] == pytest.approx(0.01)
        assert rates[40] == pytest.approx(0.5)
        gaps = [b - a for a, b in pairwise(rates)]
        assert max(gaps) == pytest.approx(min(gaps))

    def test_cosine_falls_to_its_floor(self) -> None:
        schedule = LRSchedule("cosine", 0.5, 10, 20, warmup_epochs=1, warmup_multiplier=10)
        rates = [schedule.lr(it) for it in range(20, 201)]
        assert rates == sorted(rates, reverse=True)
        assert rates[0] == pytest.approx(0.5)
        assert rates[-1] == pytest.approx(1e-5)

    def test_stateless(self) -> None:
        schedule = LRSchedule("cosine", 0.5, 10, 20, warmup_epochs=1, warmup_multiplier=10)
        forwards = [schedule.lr(it) for it in range(200)]
        assert [schedule.lr(it) for it in reversed(range(200))] == forwards[::-1]
