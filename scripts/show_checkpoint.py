#!/usr/bin/env python3
"""Print what a checkpoint says of itself: network, clips, classes, accuracy, recipe, and what it does not say.

python scripts/show_checkpoint.py checkpoint/MSN_motion_RGB_resnet10_avg_segment4/best.pth.tar
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # ops/, from any working directory

from ops.runtime import OneLineParser, print_any_name, run_script


def parser() -> OneLineParser:
    made = OneLineParser(description="Print what a checkpoint says of itself.")
    made.add_argument(
        "checkpoint", type=Path, metavar="FILE", help="checkpoint of this project or a published one (required)"
    )
    made.add_argument("--json", action="store_true", help="print it as JSON, every name in full (default: for people)")
    return made


def main() -> None:
    parsed = parser().parse_args()
    from ops.inference import CheckpointPage  # takes longer to import than to say --help

    print_any_name()
    page = CheckpointPage(parsed.checkpoint)
    print(page.to_json() if parsed.json else page)


if __name__ == "__main__":
    run_script(main)
