#!/usr/bin/env python3
"""Make one HTML page of all that a folder of scores says; of two folders, a comparison.

    python scripts/report.py results/mine
    python scripts/report.py results/mine_8f results/mine_16f --root_path data/mine --out comparison.html

The page needs no network and no other file. A video that cannot be read is one line on stderr; the page is made without
its frames, and the exit status is 2.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # ops/, from any working directory

from ops.runtime import run_script
from ops.settings import ReportConfig, parse
from ops.settings import report_parser as parser


def main() -> None:
    config = parse(parser(), ReportConfig)
    from ops.visual import write_report  # takes longer to import than to say --help

    sys.exit(write_report(config))


if __name__ == "__main__":
    run_script(main)
