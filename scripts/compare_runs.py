#!/usr/bin/env python3
"""Put runs of main.py side by side: settings that differ, accuracies with their intervals, curves, cost.

    python scripts/compare_runs.py log/RUN_A log/RUN_B --out comparison

prints a table and writes comparison.csv (a row a run), comparison_curves.csv (a row a value) and comparison.png.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # ops/, from any working directory

from ops.runtime import OneLineParser, run_script


def parser() -> OneLineParser:
    made = OneLineParser(description="Put runs of main.py side by side.")
    made.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="folders of runs, of their logs or checkpoints (required)"
    )
    made.add_argument("--out", type=Path, default=Path("comparison"), metavar="NAME",
                      help="beginning of the names of the files to write (default: %(default)s)")  # fmt: skip
    return made


def main() -> None:
    parsed = parser().parse_args()
    from ops.visual import compare_runs  # takes longer to import than to say --help

    print(compare_runs(parsed.runs, parsed.out))


if __name__ == "__main__":
    run_script(main)
