#!/usr/bin/env python3
"""The mean of the accuracies in several results.json of pkl_to_results.py, like those of the splits of a data set.

python scripts/mean_results.py results/ucf101_8f_split1/results.json results/ucf101_8f_split2/results.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # ops/, from any working directory

from ops.runtime import InputError, OneLineParser, plural, run_script

KEYS = {"top1": "top-1", "top5": "top-5", "mean_class_accuracy": "mean class accuracy"}


def read_accuracies(path: Path) -> list[float]:
    """Percentages of a results.json, in the order of KEYS."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return [float(content[key]) for key in KEYS]
    except OSError as error:
        raise InputError(f"{path}: expected results of pkl_to_results.py, got {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected results of pkl_to_results.py, got {type(error).__name__} {error}") from None


def describe(values: list[float]) -> str:
    return ", ".join(f"{name} {value:.2f} %" for name, value in zip(KEYS.values(), values, strict=True))


def main() -> None:
    parser = OneLineParser(description="The mean of the accuracies in several results.json.", allow_abbrev=False)
    parser.add_argument("results", type=Path, nargs="+", metavar="RESULTS.json")
    paths = parser.parse_args().results
    found = [read_accuracies(path) for path in paths]
    for path, values in zip(paths, found, strict=True):
        print(f"{path}: {describe(values)}")
    means = [sum(column) / len(found) for column in zip(*found, strict=True)]
    print(f"mean of {plural(len(found), 'result')}: {describe(means)}")


if __name__ == "__main__":
    run_script(main)
