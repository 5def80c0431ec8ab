#!/usr/bin/env python3
"""Draw what the network sees of a few videos: segments x frames, after sampling, cropping and flipping.

    python scripts/show_clips.py motion --num_segments 4 --input_size 64 --out clips.png
    python scripts/show_clips.py data/mine/train.txt --videos 3 17 --epoch 2     with data/mine/dataset.toml

The clips are those of training and testing, with the random draws of that seed and epoch. A row is a segment, with the
numbers of its frames beside it. The whole frame shows the crops, the bars below it the frames that are read.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # ops/, from any working directory

from ops.data import FLIPS
from ops.models import NETWORKS
from ops.runtime import OneLineParser, number_type, run_script
from ops.settings import add_source_arguments, resolve_sources


def parser() -> OneLineParser:
    made = OneLineParser(description="Draw what the network sees of a few videos.")
    add_source_arguments(made)
    one = number_type(int, 1)
    add = made.add_argument_group("clips, as in main.py and the test scripts").add_argument
    add("--model", choices=NETWORKS, default="msn", help="network that sees the clips (default: %(default)s)")
    add("--num_segments", "--test_segments", type=number_type(int, 2), default=8, metavar="T",
        help="number of segments of a clip (default: %(default)s)")  # fmt: skip
    add("--input_size", type=number_type(int, 32), default=224, metavar="PIXELS",
        help="width and height of the network's frames (default: %(default)s)")  # fmt: skip
    add("--dense_sample", action="store_true", help="read 64 consecutive frames (default: the whole video)")
    add("--flip", choices=FLIPS, default="auto", help="flip training clips (default: auto, as main.py does)")
    add("--augment", default="none", metavar="SPEC", help="augment training clips as main.py does (default: none)")
    add("--seed", type=number_type(int, 0), default=0, help="seed of clips and choice of videos (default: %(default)s)")
    add("--epoch", type=one, default=1, metavar="N", help="epoch of the training clip, from 1 (default: %(default)s)")
    add("--test_crops", type=int, choices=(1, 3), default=1, help="crops of the test clip (default: %(default)s)")
    add("--full_res", action="store_true", help="test crops of the full short side (default: of --input_size)")
    add = made.add_argument_group("sheet").add_argument
    add("--num_videos", type=one, default=3, metavar="N", help="videos to draw at random (default: %(default)s)")
    add("--videos", type=one, nargs="+", metavar="LINE", help="videos by position in the list (default: random ones)")
    add("--cell", type=number_type(int, 16), metavar="PIXELS", help="picture width (default: its own, at most 96)")
    add("--palette", action="store_true", help="256 colours, a third of the file size (default: all colours)")
    add("--out", type=Path, default=Path("clips.png"), metavar="FILE", help="PNG file (default: %(default)s)")
    return made


def main() -> None:
    parsed = parser().parse_args()
    from ops.visual import ClipSettings, SheetOptions, show_clips  # takes longer to import than to say --help

    spec, lists = resolve_sources(parsed)
    clips = {name: getattr(parsed, name) for name in ClipSettings.__dataclass_fields__}
    sheet = {name: getattr(parsed, name) for name in SheetOptions.__dataclass_fields__}
    show_clips(spec, lists[0], parsed.decoder, ClipSettings(**clips), SheetOptions(**sheet))


if __name__ == "__main__":
    run_script(main)
