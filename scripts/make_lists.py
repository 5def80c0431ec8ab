#!/usr/bin/env python3
"""Writes the lists, the class names and the TOML file of a data set, from the annotations as they are distributed.

    python scripts/make_lists.py something   data/something/annotations
    python scripts/make_lists.py somethingv2 data/somethingv2/annotations
    python scripts/make_lists.py jester      data/jester/annotations
    python scripts/make_lists.py kinetics    data/kinetics/annotations
    python scripts/make_lists.py ucf101      data/ucf101/ucfTrainTestlist
    python scripts/make_lists.py hmdb51      data/hmdb51/testTrainMulti_7030_splits
    python scripts/make_lists.py folders     data/mine

Each reads data/NAME/frames (folders of images) or data/NAME/videos (files), whichever the data set is usually trained
from, and writes into data/NAME:

    train.txt  val.txt  test.txt     `<folder> <num_frames> <label>` or `<file> <label>`; UCF101 and HMDB51 have
                                     train_videos_split1.txt and so on; a test list only where it has labels
    classes.txt                      class names in label order
    dataset.toml                     for --dataset_config
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # ops/, from any working directory

from ops.data import BUILT_IN, DEFAULT_TEMPLATE, STORAGES, check_template
from ops.preparation.annotations.class_folders import annotate_folders, storage_of
from ops.preparation.annotations.files import SEVERAL, SINGLE, Annotations
from ops.preparation.annotations.lines import is_text
from ops.preparation.annotations.media_index import FolderIndex, Listing, MediaIndex, Medium, find_media, list_prefix
from ops.runtime import (
    SHOWN,
    InputError,
    OneLineParser,
    number_type,
    plural,
    print_any_name,
    processors,
    run_script,
    show,
    write_atomically,
)


def toml_text(values: Mapping[str, Any]) -> str:
    """A flat TOML file; a JSON string is a TOML string."""
    lines = ["# Written by scripts/make_lists.py. Paths are relative to the folder of this file."]
    lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    return "".join(f"{line}\n" for line in lines)


def encoded(files: Mapping[Path, str]) -> dict[Path, bytes]:
    """The contents as they are written; raises where a name in them is no text."""
    contents = {}
    for path, text in files.items():
        try:
            contents[path] = text.encode()
        except UnicodeEncodeError as error:
            line = text[text.rfind("\n", 0, error.start) + 1 :].split("\n")[0]
            raise InputError(f"{path}: expected names in UTF-8, got {line!a}") from None
    return contents


def check_files(files: Mapping[Path, bytes], overwrite: bool) -> None:
    """Raise if a file is there with another content."""
    for path, content in files.items():
        try:
            other = path.is_dir() or (path.exists() and not overwrite)
            other = other and path.read_bytes() != content  # a folder is an error, to be found before the first write
        except OSError as error:
            raise InputError(f"{path}: expected no such file, got one that cannot be read ({error.strerror})") from None
        if other:
            raise InputError(
                f"{path}: expected no such file or the same content, got another (--overwrite replaces it)"
            )


def write_files(files: Mapping[Path, bytes]) -> None:
    """Writes the files, each complete whenever it exists."""
    for path, content in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{path}: expected a file that can be written, got {error.strerror} (--root)") from None
        write_atomically(path, content)


@dataclass(frozen=True)
class Request:
    """What the command line asks for, with everything filled in.

    Args:
        dataset: a subcommand.
        name: of the data set.
        source: annotation files, or the folder of class folders.
        root: of the data set; the files are written there.
        media: folder of the videos or frame folders.
        storage: frames or videos.
        template: name of an image.
    """

    dataset: str
    name: str
    source: Path
    root: Path
    media: Path
    storage: str
    template: str

    @property
    def toml(self) -> Path:
        return self.root / "dataset.toml"


def parse_command_line() -> argparse.Namespace:
    parser = OneLineParser(description="Writes the lists, class names and TOML file of a data set.", allow_abbrev=False)
    commands = parser.add_subparsers(dest="dataset", required=True, metavar="|".join((*SINGLE, *SEVERAL, "folders")))
    for name in (*SINGLE, *SEVERAL, "folders"):
        command = commands.add_parser(name, allow_abbrev=False)
        add = command.add_argument
        folders = name == "folders"
        add("source", type=Path, metavar="SOURCE", help="folder of class folders" if folders else "annotation files")
        root = "SOURCE" if folders else f"data/{name}"
        add("--root", type=Path, help=f"the data set's folder, which the files are written to (default: {root})")
        if folders:
            add("--name", help="of the data set (default: that of its folder)")
            fraction = number_type(float, 0, 0.9)
            add("--val_fraction", type=fraction, default=0.2, help="of each class, for validation (default: 0.2)")
            add("--test_fraction", type=fraction, default=0.0, help="of each class, for a test list (default: 0)")
            add("--seed", type=int, default=0, help="of the division into splits (default: 0)")
        else:
            storage = BUILT_IN[name].storages[0]
            add("--media", type=Path, help=f"folder of the videos or frame folders (default: ROOT/{storage})")
        add(
            "--storage",
            choices=STORAGES,
            help="what the lists name (default: the data set's usual; folders: what is there)",
        )
        add("--image_tmpl", default=DEFAULT_TEMPLATE, help="name of an image (default: %(default)s)")
        add("-j", "--jobs", type=number_type(int, 1), default=4 * processors(), help="threads that count images")
        add("--overwrite", action="store_true", help="replace files of an earlier run that differ")
        add("--dry-run", "--dry_run", dest="dry_run", action="store_true", help="write nothing, only sum up")
    return parser.parse_args()


def fill_in(args: argparse.Namespace) -> Request:
    """The request with the defaults of its data set."""
    check_template(args.image_tmpl)
    if not is_text(args.image_tmpl):
        raise InputError(f"expected --image_tmpl without control characters, got {args.image_tmpl!a}")
    if args.dataset == "folders":
        root = args.root or args.source
        storage = args.storage or storage_of(args.source)
        name = args.name or Path(os.path.abspath(root)).name
        if not is_text(name):
            raise InputError(f"expected a name of the data set (--name), got {name!a}")
        media = args.source
    else:
        root = args.root or Path("data") / args.dataset
        storage = args.storage or BUILT_IN[args.dataset].storages[0]
        name = args.dataset
        media = args.media or root / storage
    return Request(args.dataset, name, args.source, root, media, storage, args.image_tmpl)


def read_annotations(request: Request, args: argparse.Namespace, media: Sequence[Medium]) -> dict[int, Annotations]:
    """Annotations by the number of the official split; 0 where there is but one."""
    if request.dataset == "folders":
        fractions = {"val": args.val_fraction, "test": args.test_fraction}
        return {0: annotate_folders(request.source, media, fractions, args.seed)}
    if request.dataset in SEVERAL:
        return SEVERAL[request.dataset](request.source)
    return {0: SINGLE[request.dataset](request.source)}


def list_name(request: Request, split: str, number: int) -> str:
    """Name of a list file, as ops/dataset_config.py has it for the built-in data sets."""
    if request.dataset not in BUILT_IN or split == "test":
        return f"{split}.txt"
    built_in = BUILT_IN[request.dataset]
    pattern = built_in.train_list if split == "train" else built_in.val_list
    return pattern.format(storage=request.storage, split=number)


def toml_values(request: Request, classes: Sequence[str]) -> dict[str, Any]:
    """What dataset.toml says; where there are several splits, --split and --storage choose the list."""
    values: dict[str, Any] = {"name": request.name, "root": "."}
    if request.dataset not in SEVERAL:
        values |= {"storage": request.storage, "train_list": "train.txt", "val_list": "val.txt"}
    values |= {"num_classes": len(classes), "class_names": "classes.txt"}
    if request.storage == "frames" and (request.dataset not in SEVERAL or request.template != DEFAULT_TEMPLATE):
        values["image_tmpl"] = request.template
    return values


def make_listings(request: Request, found: Mapping[int, Annotations], index: MediaIndex) -> list[Listing]:
    """All lists; those for training and validation must not be empty."""
    listings = []
    for number, entry in found.items():
        for split, samples in entry.splits.items():
            listing = index.listing(list_name(request, split, number), samples)
            if listing.lines or split == "test":
                listings.append(listing)
                continue
            detail = f"of {plural(listing.total, 'sample')}, like {listing.missing[0]}" if listing.missing else ""
            reasons = "; ".join(f"{p.name}: {p.reason}" for p in list(index.problems.values())[:1])
            raise InputError(
                f"{request.media}: expected {request.storage} for {listing.name}, got none {detail} {reasons}".rstrip()
            )
    return [listing for listing in listings if listing.lines]


def summarise(request: Request, found: Mapping[int, Annotations], listings: Sequence[Listing]) -> None:
    """Says what the lists hold, what is missing, and the command that trains with them."""
    classes = next(iter(found.values())).classes
    full = BUILT_IN[request.dataset].num_classes if request.dataset in BUILT_IN else len(classes)
    print(
        f"classes.txt: {plural(len(classes), 'class')}"
        + (f" (the full set has {full})" if full != len(classes) else "")
    )
    for listing in listings:
        left_out = listing.total - len(listing.lines) - len(listing.missing)
        print(
            f"{listing.name}: {len(listing.lines):,} of {listing.total:,} listed, {len(listing.missing):,} missing"
            + (f", {left_out:,} unusable" if left_out else "")
        )
        if listing.missing:
            shown = ", ".join(listing.missing[:3])
            print(f"  missing in {request.media}: {shown}{', ...' if len(listing.missing) > 3 else ''}")
    for entry in found.values():
        for split, count in entry.unlabelled.items():
            print(f"no {split}.txt: {plural(count, 'sample')} without labels")
    choice = f" --storage {request.storage} --split {min(found)}" if request.dataset in SEVERAL else ""
    print(f"train with: python main.py {request.name} RGB --dataset_config {request.toml}{choice} ...")


def main() -> None:
    print_any_name()
    args = parse_command_line()
    request = fill_in(args)
    media: Sequence[Medium] = ()
    if request.dataset == "folders":
        media = find_media(request.media, request.storage, request.template, args.jobs)
    found = read_annotations(request, args, media)
    classes = next(iter(found.values())).classes
    prefix = list_prefix(request.media, request.root)
    if request.dataset == "folders":
        index: MediaIndex = FolderIndex(media, prefix, classes)
    else:
        media = find_media(request.media, request.storage, request.template, args.jobs)
        index = MediaIndex(media, prefix, classes)
    listings = make_listings(request, found, index)
    files = {request.root / listing.name: "".join(f"{line}\n" for line in listing.lines) for listing in listings}
    files[request.root / "classes.txt"] = "".join(f"{name}\n" for name in classes)
    files[request.toml] = toml_text(toml_values(request, classes))
    contents = encoded(files)
    if not args.dry_run:
        check_files(contents, args.overwrite)
        write_files(contents)
    summarise(request, found, listings)
    problems = list(index.problems.values())
    show(f"{plural(len(problems), 'unusable item')}, not listed (the first {SHOWN})", problems)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    run_script(main)
