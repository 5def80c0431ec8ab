"""Lists, class names and dataset.toml of a data set, from its annotations and from what is on the disk."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.data import BUILT_IN, DEFAULT_TEMPLATE, check_template
from ops.preparation.annotations.class_folders import annotate_folders, storage_of
from ops.preparation.annotations.lines import is_text
from ops.preparation.annotations.readers import SEVERAL, SINGLE
from ops.preparation.annotations.samples import Annotations
from ops.preparation.annotations.video_index import (
    FolderIndex,
    Listing,
    VideoIndex,
    find_on_disk,
    list_prefix,
)
from ops.preparation.list_files import check_files, encoded, toml_text, write_files
from ops.preparation.list_options import ListOptions
from ops.preparation.video_files import describe_skipped
from ops.runtime import SHOWN, InputError, plural, print_any_name, show


@dataclass(frozen=True)
class Request:
    """What lists are wanted, with the defaults of the data set filled in.

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


def make_lists(options: ListOptions) -> int:
    """Write the lists, classes.txt and dataset.toml of a data set, and print a summary; returns the exit status.

    Raises:
        InputError: the annotations are malformed, nothing can be listed, or a file of another content is in the way.
    """
    print_any_name()
    request = fill_in(options)
    official = None if request.dataset == "folders" else read_official(request)  # before the search, which takes longer
    videos, others = find_on_disk(request.media, request.storage, request.template, options.jobs)
    fractions = {"val": options.val_fraction, "test": options.test_fraction}
    found = official or {0: annotate_folders(request.source, videos, fractions, options.seed)}
    classes = next(iter(found.values())).classes
    kind = FolderIndex if request.dataset == "folders" else VideoIndex
    index = kind(videos, list_prefix(request.media, request.root), classes)
    listings = make_listings(request, found, index)
    files = {request.root / listing.name: "".join(f"{line}\n" for line in listing.lines) for listing in listings}
    files[request.root / "classes.txt"] = "".join(f"{name}\n" for name in classes)
    files[request.toml] = toml_text(toml_values(request, classes))
    contents = encoded(files)
    if not options.dry_run:
        check_files(contents, options.overwrite)
        write_files(contents)
    summarise(request, found, listings)
    if others:
        print(f"{request.media}: {describe_skipped(others)}")
    problems = list(index.problems.values())
    show(f"{plural(len(problems), 'unusable item')}, not listed (the first {SHOWN})", problems)
    return 1 if problems else 0


def fill_in(options: ListOptions) -> Request:
    """The request, with the defaults of its data set."""
    check_template(options.image_tmpl)
    if not is_text(options.image_tmpl):
        raise InputError(f"expected --image_tmpl without control characters, got {options.image_tmpl!a}")
    if options.dataset == "folders":
        root = options.root or options.source
        storage = options.storage or storage_of(options.source)
        name = options.name or Path(os.path.abspath(root)).name
        if not is_text(name):
            raise InputError(f"expected a data set name without control characters (--name), got {name!a}")
        media = options.source
    else:
        root = options.root or Path("data") / options.dataset
        storage = options.storage or BUILT_IN[options.dataset].storages[0]
        name = options.dataset
        media = options.media or root / storage
    return Request(options.dataset, name, options.source, root, media, storage, options.image_tmpl)


def read_official(request: Request) -> dict[int, Annotations]:
    """The annotations as distributed, by the number of the official split; 0 where there is only one."""
    if request.dataset in SEVERAL:
        return SEVERAL[request.dataset](request.source)
    return {0: SINGLE[request.dataset](request.source)}


def list_name(request: Request, split: str, number: int) -> str:
    """Name of a list file, as the built-in entry of the data set has it."""
    if request.dataset not in BUILT_IN or split == "test":
        return f"{split}.txt"
    built_in = BUILT_IN[request.dataset]
    pattern = built_in.train_list if split == "train" else built_in.val_list
    return pattern.format(storage=request.storage, split=number)


def toml_values(request: Request, classes: Sequence[str]) -> dict[str, Any]:
    """Content of dataset.toml; where there are several official splits, --split and --storage choose the lists."""
    values: dict[str, Any] = {"name": request.name, "root": "."}
    if request.dataset not in SEVERAL:
        values |= {"storage": request.storage, "train_list": "train.txt", "val_list": "val.txt"}
    values |= {"num_classes": len(classes), "class_names": "classes.txt"}
    if request.storage == "frames" and (request.dataset not in SEVERAL or request.template != DEFAULT_TEMPLATE):
        values["image_tmpl"] = request.template
    return values


def make_listings(request: Request, found: Mapping[int, Annotations], index: VideoIndex) -> list[Listing]:
    """Every list; those for training and validation must not be empty."""
    listings = []
    for number, entry in found.items():
        for split, samples in entry.splits.items():
            listing = index.listing(list_name(request, split, number), samples)
            if listing.lines or split == "test":
                listings.append(listing)
                continue
            detail = f"of {plural(listing.total, 'video')}, like {listing.missing[0]}" if listing.missing else ""
            reasons = "; ".join(f"{p.name}: {p.reason}" for p in list(index.problems.values())[:1])
            raise InputError(
                f"{request.media}: expected {request.storage} for {listing.name}, got none {detail} {reasons}".rstrip()
            )
    return [listing for listing in listings if listing.lines]


def summarise(request: Request, found: Mapping[int, Annotations], listings: Sequence[Listing]) -> None:
    """Print what the lists hold, what is missing, and the command that trains with them."""
    classes = next(iter(found.values())).classes
    full = BUILT_IN[request.dataset].num_classes if request.dataset in BUILT_IN else len(classes)
    part = f" (the full set has {full})" if full != len(classes) else ""
    print(f"classes.txt: {plural(len(classes), 'class')}{part}")
    for listing in listings:
        unusable = listing.total - len(listing.lines) - len(listing.missing)
        print(
            f"{listing.name}: {len(listing.lines):,} of {plural(listing.total, 'video')} listed, "
            f"{len(listing.missing):,} missing" + (f", {unusable:,} unusable" if unusable else "")
        )
        if listing.missing:
            shown = ", ".join(listing.missing[:3])
            print(f"  missing in {request.media}: {shown}{', ...' if len(listing.missing) > 3 else ''}")
    for entry in found.values():
        for split, count in entry.unlabelled.items():
            print(f"no {split}.txt: {plural(count, 'video')} without a label")
    choice = f" --storage {request.storage} --split {min(found)}" if request.dataset in SEVERAL else ""
    print(f"train with: python main.py {request.name} RGB --dataset_config {request.toml}{choice} ...")
