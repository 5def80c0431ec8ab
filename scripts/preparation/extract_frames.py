#!/usr/bin/env python3
"""Extract the frames of videos as JPEG files, one folder per video.

    python scripts/preparation/extract_frames.py data/ucf101/videos data/ucf101/frames -j 8

VIDEOS/some/where/name.avi becomes OUT/some/where/name/00001.jpg, 00002.jpg, ...: every frame of the video, upright,
in the video's own size, in the quality of `ffmpeg -q:v 2`. After an interruption the same command continues.
"""

import sys
from fractions import Fraction
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # ops/, from any working directory

from ops.data import DEFAULT_TEMPLATE
from ops.preparation import add_batch_options, batch_options
from ops.runtime import OneLineParser, number_type, run_script


def parser() -> OneLineParser:
    made = OneLineParser(description="Extract the frames of videos as JPEG files, one folder per video.")
    add_batch_options(made)
    add = made.add_argument
    add("--template", default=DEFAULT_TEMPLATE,
        help="file name of a frame, with its number in braces (default: %(default)s)")  # fmt: skip
    add("--quality", type=number_type(int, 1, 31), default=2, metavar="Q",
        help="JPEG quality, as ffmpeg's -q:v: 1 or 2 is best, 31 is worst (default: %(default)s)")  # fmt: skip
    add("--short_side", type=number_type(int, 1), metavar="PIXELS",
        help="scale larger frames down to this short side (default: keep the size)")  # fmt: skip
    add("--fps", type=number_type(Fraction, 0.001, 1000), metavar="RATE",
        help="frames per second, like 12 or 30000/1001, by dropping and repeating frames (default: every frame once)",
        )  # fmt: skip
    return made


def main() -> None:
    parsed = parser().parse_args()
    from ops.preparation import FrameSettings, extract_frames  # takes longer to import than to say --help

    settings = FrameSettings(parsed.template, parsed.quality, parsed.short_side, parsed.fps)
    sys.exit(extract_frames(settings, batch_options(parsed)))


if __name__ == "__main__":
    run_script(main)
