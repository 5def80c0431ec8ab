"""The command line of make_lists.py: a subcommand for each data set, and one for folders of class folders."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from ops.data import BUILT_IN, DEFAULT_TEMPLATE, STORAGES
from ops.preparation.annotations.readers import SEVERAL, SINGLE
from ops.runtime import OneLineParser, number_type, processors

DATASETS = (*SINGLE, *SEVERAL)


@dataclass(frozen=True)
class ListOptions:
    """What the command line says, None where it says nothing; ``list_parser`` describes each option."""

    dataset: str
    source: Path
    root: Path | None
    media: Path | None
    storage: str | None
    image_tmpl: str
    jobs: int
    overwrite: bool
    dry_run: bool
    name: str | None = None
    val_fraction: float = 0.0
    test_fraction: float = 0.0
    seed: int = 0


def list_parser() -> OneLineParser:
    parser = OneLineParser(
        description="Write the lists, the class names and the dataset.toml of a data set, from its annotation files or "
        "from a folder of class folders.",
        epilog="make_lists.py DATASET --help shows the options of a data set.",
    )
    commands = parser.add_subparsers(
        dest="dataset", required=True, metavar="DATASET",
        help=f"{', '.join(DATASETS)}, or folders for a folder of class folders (required)",
    )  # fmt: skip
    for name in (*DATASETS, "folders"):
        what = "a folder of class folders" if name == "folders" else f"the annotation files of {name}"
        command = commands.add_parser(name, description=f"Write lists, class names and dataset.toml from {what}.")
        if name == "folders":
            _add_folder_options(command)
        else:
            _add_dataset_options(command, name)
        _add_common_options(command)
    return parser


def _add_dataset_options(command: argparse.ArgumentParser, name: str) -> None:
    add = command.add_argument
    storage = BUILT_IN[name].storages[0]
    add("source", type=Path, metavar="SOURCE", help="folder of the annotation files, as distributed (required)")
    add("--root", type=Path, metavar="DIR",
        help=f"folder of the data set, where the files are written (default: data/{name})")  # fmt: skip
    add("--media", type=Path, metavar="DIR",
        help="folder of the videos or frame folders (default: ROOT/videos or ROOT/frames, by --storage)",
        )  # fmt: skip
    add("--storage", choices=STORAGES,
        help=f"whether to list folders of frames or video files (default: {storage})")  # fmt: skip


def _add_folder_options(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("source", type=Path, metavar="SOURCE",
        help="folder with one folder per class, or with such folders in train, val and test (required)")  # fmt: skip
    add("--root", type=Path, metavar="DIR",
        help="folder of the data set, where the files are written (default: SOURCE)")  # fmt: skip
    add("--name", help="name of the data set (default: the name of its folder)")
    add("--val_fraction", type=number_type(float, 0, 0.9), default=0.2, metavar="F",
        help="part of each class that is used for validation, 0 to 0.9 (default: %(default)g)")  # fmt: skip
    add("--test_fraction", type=number_type(float, 0, 0.9), default=0.0, metavar="F",
        help="part of each class that goes into a test list, 0 to 0.9 (default: %(default)g, no list)")  # fmt: skip
    add("--seed", type=int, default=0, help="seed of the random division into splits (default: %(default)s)")
    add("--storage", choices=STORAGES,
        help="whether to list folders of frames or video files (default: what SOURCE contains)")  # fmt: skip
    command.set_defaults(media=None)


def _add_common_options(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--image_tmpl", default=DEFAULT_TEMPLATE, metavar="TEMPLATE",
        help="file name of a frame, with its number in braces (default: %(default)s)")  # fmt: skip
    add("-j", "--jobs", type=number_type(int, 1), default=4 * processors(), metavar="N",
        help="number of threads that count images (default: four per processor, here %(default)s)")  # fmt: skip
    add("--overwrite", action="store_true",
        help="replace files of an earlier run that differ (default: stop with an error)")  # fmt: skip
    add("--dry-run", action="store_true", help="print the summary and write nothing (default: write the files)")
