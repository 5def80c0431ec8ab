#!/usr/bin/env python3
"""Write the lists, the class names and the TOML file of a data set, from the annotations as they are distributed.

    python scripts/preparation/make_lists.py something   data/something/annotations
    python scripts/preparation/make_lists.py somethingv2 data/somethingv2/annotations
    python scripts/preparation/make_lists.py jester      data/jester/annotations
    python scripts/preparation/make_lists.py kinetics    data/kinetics/annotations
    python scripts/preparation/make_lists.py ucf101      data/ucf101/ucfTrainTestlist
    python scripts/preparation/make_lists.py hmdb51      data/hmdb51/testTrainMulti_7030_splits
    python scripts/preparation/make_lists.py folders     data/mine

Each reads data/NAME/frames (folders of images) or data/NAME/videos (files), whichever the data set is usually trained
from, and writes into data/NAME:

    train.txt  val.txt  test.txt     `<folder> <num_frames> <label>` or `<file> <label>`; UCF101 and HMDB51 have
                                     train_videos_split1.txt and so on; a test list only where it has labels
    classes.txt                      class names in label order
    dataset.toml                     for --dataset_config
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # ops/, from any working directory

from ops.preparation import ListOptions, make_lists
from ops.preparation import list_parser as parser
from ops.runtime import run_script


def main() -> None:
    sys.exit(make_lists(ListOptions(**vars(parser().parse_args()))))


if __name__ == "__main__":
    run_script(main)
