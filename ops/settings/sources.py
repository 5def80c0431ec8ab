"""Command lines that name a data set, as those of main.py do, or lists of one."""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from ops.data import BUILT_IN, DatasetOptions, DatasetSpec, configured_name, resolve_dataset
from ops.runtime import add_options, take
from ops.settings.shared import DecoderSettings

BESIDE = "dataset.toml"  # as make_lists.py calls it


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """The data set or the lists, and main.py's options for them."""
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="DATASET|LIST",
        help=f"name of a data set ({', '.join(BUILT_IN)}, or one described by the options below), list files, or a "
        f"name and list files; without a name, {BESIDE} next to the first list describes the data set; without list "
        f"files, its training and validation lists are used (required)",
    )
    add_options(parser, DatasetOptions, without=("name",))
    add_options(parser, DecoderSettings)


def resolve_sources(parsed: argparse.Namespace) -> tuple[DatasetSpec, list[Path]]:
    """The data set and the lists that a command line means.

    Raises:
        InputError: something is missing or contradicts itself.
    """
    name, lists = split_sources(parsed.sources)
    options: DatasetOptions = take(DatasetOptions, dict(vars(parsed)), name=name or "")
    if name is None:
        beside = lists[0].parent / BESIDE
        if options.dataset_config is None and beside.is_file():
            options = dataclasses.replace(options, dataset_config=str(beside))
        if options.dataset_config is not None:
            name = configured_name(Path(options.dataset_config))
        elif options.root_path is None:
            options = dataclasses.replace(options, root_path=str(lists[0].parent))
        options = dataclasses.replace(options, name=name or lists[0].resolve().parent.name)
    if lists:
        options = dataclasses.replace(options, train_list=str(lists[0]), val_list=str(lists[-1]))
    spec = resolve_dataset(options)
    return spec, lists or list(dict.fromkeys((spec.train_list, spec.val_list)))


def split_sources(sources: Sequence[str]) -> tuple[str | None, list[Path]]:
    """The name of the data set, if the first source is one, and the lists."""
    first = Path(sources[0])
    is_name = sources[0] in BUILT_IN or not (first.is_file() or first.suffix or len(first.parts) > 1)
    names, lists = (sources[:1], sources[1:]) if is_name else ((), sources)
    return next(iter(names), None), list(dict.fromkeys(map(Path, lists)))
