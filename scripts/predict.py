#!/usr/bin/env python3
"""Say what happens in videos, with a trained network.

    python scripts/predict.py best.pth.tar clip.mp4
    python scripts/predict.py best.pth.tar data/mine/videos 'more/*.mp4' --csv answers.csv -j 8
    python scripts/predict.py best.pth.tar clip.mp4 --overlay answer.mp4
    python scripts/predict.py best.pth.tar match.mp4 --every 1 --window 4 --csv match.csv --timeline match.png
    python scripts/predict.py best.pth.tar rtsp://camera/stream --every 1 --window 4

A video's answer is that of test_models_center_crop.py. A video that cannot be read is one line on stderr; the others
are answered, and the exit status is 2.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # ops/, from any working directory

from ops.runtime import run_script
from ops.settings import PredictConfig, parse
from ops.settings import predict_parser as parser


def main() -> None:
    config = parse(parser(), PredictConfig)
    from ops.inference import Prediction  # takes longer to import than to say --help
    from ops.visual import draw_timeline, write_overlay

    sys.exit(Prediction(config, draw_timeline, write_overlay).run())


if __name__ == "__main__":
    run_script(main)
