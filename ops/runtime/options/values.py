"""What a value may be: limits of numbers, and values separated by commas."""

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Limit:
    """What a number must fulfil, and the words for it: ``of at least 1``."""

    words: str
    holds: Callable[[Any], bool]


def at_least(low: float, unit: str = "") -> Limit:
    return Limit(f"of at least {low:g}{unit}", lambda value: low <= value < math.inf)


def above(low: float, finite: bool = True) -> Limit:
    return Limit(f"above {low:g}", lambda value: low < value and (value < math.inf or not finite))


def from_to(low: float, high: float) -> Limit:
    return Limit(f"from {low:g} to {high:g}", lambda value: low <= value <= high)


def from_to_below(low: float, high: float) -> Limit:
    return Limit(f"from {low:g} to below {high:g}", lambda value: low <= value < high)


@dataclass(frozen=True)
class CommaList:
    """An argparse type: values separated by commas, as a tuple."""

    kind: type

    def __call__(self, text: str) -> tuple[Any, ...]:
        try:
            return tuple(self.kind(part) for part in text.split(","))
        except ValueError:
            what = {int: "whole numbers", float: "numbers"}.get(self.kind, "values")
            raise argparse.ArgumentTypeError(f"expected {what} separated by commas, got {text!r}") from None

    @staticmethod
    def show(value: tuple[Any, ...]) -> str:
        return ",".join(map(str, value))
