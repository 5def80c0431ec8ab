"""What the runs of the study say: means over seeds, their noise, what a module earns."""

import math
import statistics
from collections.abc import Mapping
from typing import NamedTuple

from ops.benchmark.study.runs import CLASS_SETS, Variant, planned_runs

CLEAR = 2  # a difference counts when it is so many times its noise


class Accuracy(NamedTuple):
    """Top-1 in percent: ``mean`` over ``seeds`` runs, and half the distance between the best and the worst."""

    mean: float
    spread: float
    seeds: int

    def __str__(self) -> str:
        return f"{self.mean:.1f} ± {self.spread:.1f}" if self.seeds > 1 else f"{self.mean:.1f}"


class Findings:
    """What finished runs say.

    Args:
        top1: in percent, by ``Run.key``.
        seeds: how many of each there are at most.
        val_clips: that an accuracy is of.
        compares: ``networks`` or ``recipes``.
    """

    def __init__(self, top1: Mapping[str, float], seeds: int, val_clips: int, compares: str = "networks") -> None:
        self.top1, self.seeds, self.val_clips = top1, seeds, val_clips
        self.values: dict[tuple[str, str], list[float]] = {}  # by name of the variant and set of classes
        for run in planned_runs(seeds, compares):
            values = self.values.setdefault((run.variant.name, run.classes), [])
            if run.key in top1:
                values.append(top1[run.key])

    def accuracy(self, variant: Variant, classes: str) -> Accuracy | None:
        """None where no run has finished."""
        values = self.values[variant.name, classes]
        return Accuracy(statistics.mean(values), (max(values) - min(values)) / 2, len(values)) if values else None

    @property
    def seed_noise(self) -> float | None:
        """Standard deviation of a run's top-1 over seeds, pooled over all networks; None without two of a kind."""
        squares = [(value - statistics.mean(values)) ** 2 for values in self.values.values() for value in values]
        freedom = sum(len(values) - 1 for values in self.values.values() if values)
        return math.sqrt(sum(squares) / freedom) if freedom else None

    def sampling_noise(self, percent: float) -> float:
        """Standard error of an accuracy that comes from the choice of validation clips."""
        return math.sqrt(percent * (100 - percent) / self.val_clips)

    def is_chance(self, accuracy: Accuracy, classes: str) -> bool:
        """Whether guessing explains an accuracy."""
        chance = 100 / CLASS_SETS[classes]
        return accuracy.mean <= chance + CLEAR * self.sampling_noise(chance)

    def is_clear(self, one: Accuracy, other: Accuracy) -> bool:
        """Whether two accuracies differ by more than seeds and, with a single one of them, the clips explain."""
        run = self.seed_noise or self.sampling_noise((one.mean + other.mean) / 2)
        return abs(one.mean - other.mean) > CLEAR * run * math.sqrt(1 / one.seeds + 1 / other.seeds)
