"""Annotations of a folder of class folders: the classes are the folders, the splits are drawn."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ops.preparation.annotations.files import Annotations, Sample
from ops.preparation.annotations.lines import check_class_name
from ops.preparation.annotations.media_index import IMAGE_SUFFIXES, Medium
from ops.preparation.jobs.batch_plan import VIDEO_SUFFIXES
from ops.runtime import InputError

SPLIT_FOLDERS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def storage_of(source: Path) -> str:
    """Whether the class folders hold videos or folders of images."""
    if not source.is_dir():
        raise InputError(f"{source}: expected a folder of class folders, got no such folder")
    found = set()
    for _, subfolders, names in os.walk(source, followlinks=True):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        suffixes = {Path(name).suffix.lower() for name in names if not name.startswith(".")}
        found |= {"videos"} if suffixes & VIDEO_SUFFIXES else set()
        found |= {"frames"} if suffixes.intersection(IMAGE_SUFFIXES) else set()
    if len(found) != 1:
        got = "both: choose by --storage" if found else "neither"
        raise InputError(f"{source}: expected videos or images in its folders, got {got}")
    return found.pop()


def annotate_folders(source: Path, media: Sequence[Medium], fractions: Mapping[str, float], seed: int) -> Annotations:
    """Annotations of media in class folders, or in class folders in folders train, val and perhaps test.

    Args:
        source: the folder.
        media: what is in it.
        fractions: of each class, for the splits other than train, where the folders do not tell the split.
        seed: of the division.
    """
    split_of = {folder: SPLIT_FOLDERS.get(folder.casefold()) for folder in subfolders_of(source)}
    divided = None not in split_of.values()
    of_class = group_by_class(source, media, depth=1 if divided else 0)
    for top in split_of if divided else ("",):
        for name in subfolders_of(source / top):
            if name not in of_class:
                raise InputError(f"{source / top / name}: expected videos or images of this class, got none")
    splits: dict[str, list[Sample]] = {"train": [], "val": []}
    for label, (name, members) in enumerate(sorted(of_class.items())):
        check_class_name(source, label + 1, name)
        drawn = {} if divided else divide(members, fractions, seed)
        for medium in members:
            split = split_of[medium.path.parts[0]] if divided else drawn.get(medium, "train")
            splits.setdefault(str(split), []).append(Sample(medium.path.as_posix(), label))
    return Annotations(tuple(sorted(of_class)), splits)


def subfolders_of(folder: Path) -> list[str]:
    """Names of the visible folders in a folder."""
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def group_by_class(source: Path, media: Sequence[Medium], depth: int) -> dict[str, list[Medium]]:
    """Media by the name of their class's folder, which is the part number ``depth`` of their paths."""
    of_class: dict[str, list[Medium]] = {}
    for medium in media:
        if len(medium.path.parts) < depth + 2:
            got = "nothing in it" if medium.frames == 0 else "it beside the classes"
            raise InputError(f"{source / medium.path}: expected media in the folders of their classes, got {got}")
        of_class.setdefault(medium.path.parts[depth], []).append(medium)
    return of_class


def divide(media: Sequence[Medium], fractions: Mapping[str, float], seed: int) -> dict[Medium, str]:
    """The split of those media of a class that are not for training.

    Of two or more, at least one is for training and one for validation. The order of drawing depends on the seed and
    on each medium's own path, so media that are added later move few of the others.
    """

    def draw(medium: Medium) -> bytes:
        return hashlib.sha256(f"{seed}/{medium.path.as_posix()}".encode(errors="surrogateescape")).digest()

    drawn = iter(sorted(media, key=draw)[:-1])  # the last is for training
    wanted = [(split, round(len(media) * fraction)) for split, fraction in fractions.items()]
    places = [split for split, count in wanted for _ in range(max(count, 1 if split == "val" else 0))]
    return dict(zip(drawn, places, strict=False))
