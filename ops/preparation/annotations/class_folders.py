"""Annotations of a folder of class folders: the classes are the folders, the splits are drawn."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ops.preparation.annotations.lines import check_class_name
from ops.preparation.annotations.samples import Annotations, Sample
from ops.preparation.annotations.video_index import IMAGE_SUFFIXES, FoundVideo
from ops.preparation.video_files import describe_skipped
from ops.runtime import InputError
from ops.video import VIDEO_SUFFIXES

SPLIT_FOLDERS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def storage_of(source: Path) -> str:
    """Whether the class folders contain ``videos`` or folders of images, ``frames``."""
    if not source.is_dir():
        raise InputError(f"{source}: expected a folder of class folders, got no such folder")
    found = set()
    others: Counter[str] = Counter()
    for _, subfolders, names in os.walk(source, followlinks=True):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        suffixes = Counter(Path(name).suffix.lower() for name in names if not name.startswith("."))
        found |= {"videos"} if suffixes.keys() & VIDEO_SUFFIXES else set()
        found |= {"frames"} if suffixes.keys() & set(IMAGE_SUFFIXES) else set()
        others += suffixes
    if len(found) != 1:
        neither = f"neither: {describe_skipped(others)}" if others else "neither"
        got = "both; choose with --storage" if found else neither
        raise InputError(f"{source}: expected videos or images in its folders, got {got}")
    return found.pop()


def annotate_folders(
    source: Path, videos: Sequence[FoundVideo], fractions: Mapping[str, float], seed: int
) -> Annotations:
    """Annotations of videos in class folders, or in class folders inside train, val and perhaps test.

    Args:
        source: the folder.
        videos: those in it.
        fractions: part of each class for each split but train, where the folders do not tell the split.
        seed: of the random division.
    """
    split_of = {folder: SPLIT_FOLDERS.get(folder.casefold()) for folder in subfolders_of(source)}
    divided = None not in split_of.values()
    of_class = group_by_class(source, videos, depth=1 if divided else 0)
    for top in split_of if divided else ("",):
        for name in subfolders_of(source / top):
            if name not in of_class:
                raise InputError(f"{source / top / name}: expected videos or images of this class, got none")
    splits: dict[str, list[Sample]] = {"train": [], "val": []}
    for label, (name, members) in enumerate(sorted(of_class.items())):
        check_class_name(source, label + 1, name)
        drawn = {} if divided else divide(members, fractions, seed)
        for video in members:
            split = split_of[video.path.parts[0]] if divided else drawn.get(video, "train")
            splits.setdefault(str(split), []).append(Sample(video.path.as_posix(), label))
    return Annotations(tuple(sorted(of_class)), splits)


def subfolders_of(folder: Path) -> list[str]:
    """Names of the visible folders in a folder."""
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def group_by_class(source: Path, videos: Sequence[FoundVideo], depth: int) -> dict[str, list[FoundVideo]]:
    """Videos by the name of their class's folder, which is the part number ``depth`` of their paths."""
    of_class: dict[str, list[FoundVideo]] = {}
    for video in videos:
        if len(video.path.parts) < depth + 2:
            got = "an empty folder" if video.frames == 0 else "one outside of them"
            raise InputError(f"{source / video.path}: expected videos in the folders of their classes, got {got}")
        of_class.setdefault(video.path.parts[depth], []).append(video)
    return of_class


def divide(videos: Sequence[FoundVideo], fractions: Mapping[str, float], seed: int) -> dict[FoundVideo, str]:
    """The split of those videos of a class that are not for training.

    Of two or more, at least one is for training and one for validation. The order of drawing depends on the seed and
    on each video's own path, so videos that are added later move few of the others.
    """

    def draw(video: FoundVideo) -> bytes:
        return hashlib.sha256(f"{seed}/{video.path.as_posix()}".encode(errors="surrogateescape")).digest()

    drawn = iter(sorted(videos, key=draw)[:-1])  # the last is for training
    wanted = [(split, round(len(videos) * fraction)) for split, fraction in fractions.items()]
    places = [split for split, count in wanted for _ in range(max(count, 1 if split == "val" else 0))]
    return dict(zip(drawn, places, strict=False))
