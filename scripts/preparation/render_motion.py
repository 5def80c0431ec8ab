#!/usr/bin/env python3
"""Render the synthetic data set `motion`, as videos and as frame folders, with lists for both.

    python scripts/preparation/render_motion.py --out data/motion

The class of a clip is how something moves; no single frame tells it (ops/motion_set/scenes.py says why). Clip i of a
split has class i modulo the number of classes and depends on (seed, split, i) alone, not on the number of processes.
After an interruption the same command continues; a complete folder is left as it is.

    OUT/render.json                                   the settings
    OUT/videos/train/00000.mp4                        likewise val
    OUT/frames/train/00000/00001.jpg                  likewise val
    OUT/train_videos.txt  val_videos.txt              videos/train/00000.mp4 LABEL
    OUT/train_frames.txt  val_frames.txt              frames/train/00000 FRAMES LABEL
    OUT/classes.txt                                   one name per line, label 0 first
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # ops/, from any working directory

from ops.runtime import OneLineParser, processors, run_script


def parser() -> OneLineParser:
    made = OneLineParser(description="Render the synthetic data set `motion`.")
    add = made.add_argument
    add("--out", type=Path, default=Path("data/motion"), metavar="DIR", help="data set folder (default: %(default)s)")
    add("--classes", default="local", help="local: 8 directions, order: 6 sequences of two, all (default: %(default)s)")
    add("--train", type=int, default=800, metavar="N", help="number of training clips (default: %(default)s)")
    add("--val", type=int, default=160, metavar="N", help="number of validation clips (default: %(default)s)")
    add("--frames", type=int, default=48, metavar="N", help="frames per clip (default: %(default)s)")
    add("--width", type=int, default=80, metavar="PIXELS", help="width, an even number (default: %(default)s)")
    add("--height", type=int, default=80, metavar="PIXELS", help="height, an even number (default: %(default)s)")
    add("--fps", type=int, default=24, metavar="N", help="frames per second of the videos (default: %(default)s)")
    add("--seed", type=int, default=0, help="seed of everything that is random (default: %(default)s)")
    add(
        "-j", "--jobs", type=int, default=processors(), metavar="N", help="worker processes (default: %(default)s here)"
    )
    add("--preview", type=Path, metavar="PNG", help="draw a contact sheet and no data set (default: the data set)")
    return made


def main() -> None:
    parsed = vars(parser().parse_args())
    from ops.motion_set import RenderConfig, preview, render  # takes longer to import than to say --help

    png = parsed.pop("preview")
    config = RenderConfig(**parsed)
    print(preview(config, png) if png else render(config))


if __name__ == "__main__":
    run_script(main)
