#!/usr/bin/env python3
"""Write features of the videos of a list: what a network's classification layer sees, or another layer's output.

    python scripts/extract_features.py best.pth.tar data/motion/val_videos.txt
    python scripts/extract_features.py best.pth.tar data/motion/val_videos.txt --per segment --format safetensors
    torchrun --nproc_per_node=8 scripts/extract_features.py best.pth.tar data/kinetics/train.txt --layer backbone.layer3

The files are the same for any number of processes (on a CPU: of as many threads each). An interrupted run continues
with --resume.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # ops/, from any working directory

from ops.runtime import run_script
from ops.settings import FeatureConfig, announce, parse
from ops.settings import features_parser as parser


def main() -> None:
    config = parse(parser(), FeatureConfig)
    announce(config)
    from ops.inference import extract_features  # takes longer to import than to say --help

    extract_features(config)


if __name__ == "__main__":
    run_script(main)
