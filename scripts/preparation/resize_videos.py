#!/usr/bin/env python3
"""Encode videos again at a small size for training: H.264, no sound, a key frame at least every few frames.

    python scripts/preparation/resize_videos.py data/kinetics/original data/kinetics/videos --short_side 320 -j 8

VIDEOS/some/where/name.webm becomes OUT/some/where/name.mp4, upright, with the same frames at the same times. To show
frame t, a decoder starts at the key frame before t: close key frames (`--gop`) make it cheap to read a clip and cost
some file size. Each file is decoded and compared with its source before it gets its name. After an interruption the
same command continues.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # ops/, from any working directory

from ops.preparation import add_batch_options, batch_options
from ops.runtime import OneLineParser, number_type, run_script

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")


def parser() -> OneLineParser:
    made = OneLineParser(description="Encode videos again at a small size for training.")
    add_batch_options(made)
    add = made.add_argument
    add("--short_side", type=number_type(int, 2), default=320, metavar="PIXELS",
        help="scale larger videos down to this short side (default: %(default)s)")  # fmt: skip
    add("--gop", type=number_type(int, 1), default=16, metavar="FRAMES",
        help="largest distance from one key frame to the next (default: %(default)s)")  # fmt: skip
    add("--crf", type=number_type(int, 0, 51), default=23, metavar="Q",
        help="quality of the x264 encoder: 0 is lossless, 51 is worst and smallest (default: %(default)s)",
        )  # fmt: skip
    add("--preset", choices=PRESETS, default="medium",
        help="speed of the x264 encoder; slower ones write smaller files (default: %(default)s)")  # fmt: skip
    return made


def main() -> None:
    parsed = parser().parse_args()
    from ops.preparation import VideoSettings, resize_videos  # takes longer to import than to say --help

    settings = VideoSettings(parsed.short_side, parsed.gop, parsed.crf, parsed.preset)
    sys.exit(resize_videos(settings, batch_options(parsed)))


if __name__ == "__main__":
    run_script(main)
