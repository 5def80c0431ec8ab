#!/usr/bin/env python3
"""Draw why a trained network gives its answer to a video.

    python scripts/explain.py best.pth.tar clip.mp4
    python scripts/explain.py best.pth.tar clip.mp4 --class left --what scores,class_map --layer layer3
    python scripts/explain.py best.pth.tar data/mine/videos --out explained

Each video gets a folder with the scores of its segments, its class-activation maps as PNG and as a video, and what the
motion modules of MSN and TDN computed. docs/pictures.md says how to read them. A video that cannot be read is one line
on stderr; the others are explained, and the exit status is 2.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # ops/, from any working directory

from ops.runtime import run_script
from ops.settings import ExplainConfig, parse
from ops.settings import explain_parser as parser


def main() -> None:
    config = parse(parser(), ExplainConfig)
    from ops.visual import Explaining  # takes longer to import than to say --help

    sys.exit(Explaining(config).run())


if __name__ == "__main__":
    run_script(main)
