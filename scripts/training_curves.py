#!/usr/bin/env python3
"""Make one HTML page of the curves of one or several runs: loss, accuracy, learning rate, time per step and for data.

    python scripts/training_curves.py log/MSN_mine_RGB_resnet50_avg_segment8
    python scripts/training_curves.py log --out curves.html                      all runs below log

The page needs no network and no other file. A run that cannot be read is one line on stderr; the others are drawn, and
the exit status is 2.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # ops/, from any working directory

from ops.runtime import run_script
from ops.settings import CurvesConfig, parse
from ops.settings import curves_parser as parser


def main() -> None:
    config = parse(parser(), CurvesConfig)
    from ops.visual import write_curves  # takes longer to import than to say --help

    sys.exit(write_curves(config))


if __name__ == "__main__":
    run_script(main)
