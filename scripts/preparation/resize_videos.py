#!/usr/bin/env python3
"""Encode videos again at a small size for training: H.264, no sound, a key frame at least every few frames.

    python scripts/preparation/resize_videos.py data/kinetics/original data/kinetics/videos -j 8

VIDEOS/some/where/name.webm becomes OUT/some/where/name.mp4, upright, with the same frames at the same times. To show
frame t, a decoder starts at the key frame before t: close key frames (`--gop`) make it cheap to read a clip and cost
some file size. Each file is decoded and compared with its source before it gets its name. After an interruption the
same command continues.
"""

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # ops/, from any working directory

from ops.preparation import PRESETS, SPEED, SPEEDS, add_batch_options, batch_options, preset_name
from ops.runtime import OneLineParser, number_type, run_script


def parser() -> OneLineParser:
    made = OneLineParser(description="Encode videos again at a small size for training.")
    add_batch_options(made)
    add = made.add_argument
    add("--preset", type=preset_name, choices=PRESETS, default="training",
        help="training: short side 256, fast to decode (no B-frames, no deblocking); archive: short side 320, slower "
        "to decode and smaller for its quality (default: %(default)s)")  # fmt: skip
    add("--short_side", type=number_type(int, 2), metavar="PIXELS",
        help="scale larger videos down to this short side (default: as --preset says)")  # fmt: skip
    add("--gop", type=number_type(int, 1), metavar="FRAMES",
        help="largest distance from one key frame to the next (default: 16)")  # fmt: skip
    add("--crf", type=number_type(int, 0, 51), metavar="Q",
        help="quality of the x264 encoder: 0 is lossless, 51 is worst and smallest (default: 23)")  # fmt: skip
    add(SPEED, choices=SPEEDS, help="speed of the x264 encoder; slower ones write smaller files (default: medium)")
    return made


def main() -> None:
    parsed = parser().parse_args()
    from ops.preparation import resize_videos  # takes longer to import than to say --help

    given = {"short_side": parsed.short_side, "gop": parsed.gop, "crf": parsed.crf, "preset": parsed.x264_preset}
    given = {name: value for name, value in given.items() if value is not None}
    sys.exit(resize_videos(replace(PRESETS[parsed.preset], **given), batch_options(parsed)))


if __name__ == "__main__":
    run_script(main)
