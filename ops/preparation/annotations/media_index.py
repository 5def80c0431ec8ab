"""The videos and frame folders that are on the disk, and which of them an annotation means."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ops.preparation.annotations.files import Sample, comparable
from ops.preparation.jobs.batch_plan import find_videos
from ops.runtime import Failure, InputError, progress_bar

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


@dataclass(frozen=True)
class Medium:
    """A video file, or a folder of images.

    Args:
        path: relative to the folder that was searched.
        frames: number of images; None for a video file.
        problem: why it cannot be listed, or nothing.
    """

    path: Path
    frames: int | None = None
    problem: str = ""

    @property
    def stem(self) -> str:
        return self.path.name if self.frames is not None else self.path.stem


def find_media(folder: Path, storage: str, template: str, jobs: int) -> list[Medium]:
    """The videos or the frame folders in ``folder``, at any depth, in order of their paths."""
    if not folder.is_dir():
        raise InputError(f"{folder}: expected the folder of the {storage}, got no such folder (--media)")
    if storage == "videos":
        found = [Medium(path, problem=unlistable(path)) for path in find_videos(folder)[0]]
    else:
        found = find_frame_folders(folder, template, jobs)
    return sorted(found, key=lambda medium: medium.path)


def find_frame_folders(folder: Path, template: str, jobs: int) -> list[Medium]:
    """The folders of images, counted with ``jobs`` threads, which wait for the disk rather than compute."""
    tops = [entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith(".")]
    search = functools.partial(frame_folders_below, folder, template)
    found: list[Medium] = []
    with ThreadPoolExecutor(jobs) as pool, progress_bar(len(tops), "folder") as progress:
        try:
            for media in pool.map(search, map(Path, tops)):
                found += media
                progress.update()
        except BaseException:
            pool.shutdown(cancel_futures=True)  # Ctrl-C need not wait for every folder
            raise
    return found


def frame_folders_below(root: Path, template: str, top: Path) -> list[Medium]:
    """The folders of images in ``root / top``, itself included; what has neither images nor subfolders is one too."""
    with os.scandir(root / top) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".")]
    images = {entry.name for entry in visible if entry.name.lower().endswith(IMAGE_SUFFIXES)}
    subfolders = [] if images else [entry.name for entry in visible if entry.is_dir()]
    if subfolders:
        return [medium for name in sorted(subfolders) for medium in frame_folders_below(root, template, top / name)]
    count, problem = count_images(images, template)
    return [Medium(top, count, problem or unlistable(top))]


def count_images(names: set[str], template: str) -> tuple[int, str]:
    """How many consecutive images there are from number 1, or 0 where there is one, and what is wrong, if something."""
    start = 0 if template.format(0) in names else 1
    count = 0
    while template.format(start + count) in names:
        count += 1
    if count == 0:
        example = f", but {min(names)} (--image_tmpl)" if names else ""
        return 0, f"no image {template.format(1)}{example}"
    before, after = (re.escape(part) for part in re.split(r"\{[^}]*\}", template, maxsplit=1))
    numbered = sum(re.fullmatch(rf"{before}\d+{after}", name) is not None for name in names)
    if numbered > count:
        return count, f"image {template.format(start + count)} is missing, {numbered} others are there"
    return count, ""


def unlistable(path: Path) -> str:
    """Why a path cannot stand in a list, or nothing."""
    text = path.as_posix()
    try:
        text.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    if text != text.strip() or len(text.splitlines()) != 1:
        return "its name has a line break, or a space at its end"
    return ""


@dataclass(frozen=True)
class Listing:
    """One list file.

    Args:
        name: of the file.
        lines: its lines.
        missing: samples without a medium.
        total: samples in the annotations.
    """

    name: str
    lines: tuple[str, ...]
    missing: tuple[str, ...]
    total: int


class MediaIndex:
    """Finds the medium of a sample.

    Args:
        media: what is on the disk.
        prefix: how a list names the folder that they are in.
        classes: all class names.
    """

    def __init__(self, media: Iterable[Medium], prefix: Path, classes: Sequence[str]) -> None:
        self.prefix = prefix
        self.names = [comparable(name) for name in classes]
        self.known = set(self.names)
        self.problems: dict[Path, Failure] = {}
        self.of_stem: dict[str, list[Medium]] = {}
        for medium in media:
            self.of_stem.setdefault(medium.stem, []).append(medium)

    def find(self, sample: Sample) -> Medium | None:
        """The medium of that name: in its class's folder, else in a folder that is not another class's."""
        candidates = self.of_stem.get(sample.stem, [])
        parents = [comparable(medium.path.parent.name) for medium in candidates]
        own = [m for m, parent in zip(candidates, parents, strict=True) if parent == self.names[sample.label]]
        free = [m for m, parent in zip(candidates, parents, strict=True) if parent not in self.known]
        return next(iter(own or free), None)

    def line(self, medium: Medium, label: int) -> str:
        """The medium's line in a list."""
        path = (self.prefix / medium.path).as_posix()
        return f"{path} {label}" if medium.frames is None else f"{path} {medium.frames} {label}"

    def listing(self, name: str, samples: Sequence[Sample]) -> Listing:
        """The list of those samples that have a medium without a problem."""
        lines, missing = [], []
        for sample in samples:
            medium = self.find(sample)
            if medium is None:
                missing.append(sample.stem)
            elif medium.problem:
                self.problems[medium.path] = Failure(str(medium.path), medium.problem)
            else:
                lines.append(self.line(medium, sample.label))
        return Listing(name, tuple(lines), tuple(missing), len(samples))


def list_prefix(media: Path, root: Path) -> Path:
    """How lists of a data set at ``root`` name the folder ``media``: relative where it lies inside."""
    inside, outside = Path(os.path.abspath(media)), Path(os.path.abspath(root))
    return inside.relative_to(outside) if inside.is_relative_to(outside) else inside


class FolderIndex(MediaIndex):
    """Finds media by their paths, which name the samples of a folder of class folders."""

    def __init__(self, media: Sequence[Medium], prefix: Path, classes: Sequence[str]) -> None:
        super().__init__((), prefix, classes)
        self.of_path = {medium.path.as_posix(): medium for medium in media}

    def find(self, sample: Sample) -> Medium | None:
        return self.of_path[sample.stem]
