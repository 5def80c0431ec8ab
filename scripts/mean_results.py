#!/usr/bin/env python3
"""Print the mean of the accuracies in several results.json of pkl_to_results.py, like those of three splits.

python scripts/mean_results.py results/ucf101_8f_split1/results.json results/ucf101_8f_split2/results.json
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # ops/, from any working directory

from ops.runtime import OneLineParser, run_script


def parser() -> OneLineParser:
    made = OneLineParser(description="Print the mean of the accuracies in several results.json.")
    made.add_argument(
        "results", type=Path, nargs="+", metavar="RESULTS.json", help="files that pkl_to_results.py wrote (required)"
    )
    return made


def main() -> None:
    paths = parser().parse_args().results
    from ops.evaluation import mean_results

    print(mean_results(paths))


if __name__ == "__main__":
    run_script(main)
