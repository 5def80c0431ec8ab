"""The mean of the accuracies in several results.json, like those of the splits of a data set."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ops.runtime import InputError, plural

KEYS = {"top1": "top-1", "top5": "top-5", "mean_class_accuracy": "mean class accuracy"}


def mean_results(paths: Sequence[Path]) -> str:
    """One line for each file, and one for the mean of all.

    Raises:
        InputError: a file is not the results.json of pkl_to_results.py.
    """
    found = [read_accuracies(path) for path in paths]
    lines = [f"{path}: {describe(values)}" for path, values in zip(paths, found, strict=True)]
    common = [key for key in KEYS if all(key in values for values in found)]
    means = {key: sum(values[key] for values in found) / len(found) for key in common}
    return "\n".join([*lines, f"mean of {plural(len(found), 'result')}: {describe(means)}"])


def read_accuracies(path: Path) -> dict[str, float]:
    """Percentages of a results.json, by the names in KEYS; top-5 only where there are more than five classes."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {key: float(content[key]) for key in KEYS if content[key] is not None}
    except OSError as error:
        raise InputError(f"{path}: expected results of pkl_to_results.py, got {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected results of pkl_to_results.py, got {type(error).__name__} {error}") from None


def describe(values: Mapping[str, float]) -> str:
    return ", ".join(f"{KEYS[key]} {value:.2f} %" for key, value in values.items())
