"""The videos on the disk, as files or as folders of images, and which of them an annotation means."""

from __future__ import annotations

import functools
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ops.preparation.annotations.samples import Sample, comparable
from ops.preparation.video_files import find_videos
from ops.runtime import Failure, InputError, progress_bar

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


@dataclass(frozen=True)
class FoundVideo:
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


def find_on_disk(folder: Path, storage: str, template: str, jobs: int) -> tuple[list[FoundVideo], Counter[str]]:
    """The video files or the frame folders in ``folder``, at any depth, in order of their paths.

    Returns:
        them, and how many files that are neither have which ending (counted among video files only).
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: expected the folder of the {storage} (--media), got no such folder")
    if storage == "videos":
        paths, others = find_videos(folder)
        return [FoundVideo(path, problem=unlistable(path)) for path in paths], others
    found = find_frame_folders(folder, template, jobs)
    return sorted(found, key=lambda video: video.path), Counter()


def find_frame_folders(folder: Path, template: str, jobs: int) -> list[FoundVideo]:
    """The folders of images, counted with ``jobs`` threads, which wait for the disk rather than compute."""
    tops = [entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith(".")]
    search = functools.partial(frame_folders_below, folder, template)
    found: list[FoundVideo] = []
    with ThreadPoolExecutor(jobs) as pool, progress_bar(len(tops), "folder") as progress:
        try:
            for videos in pool.map(search, map(Path, tops)):
                found += videos
                progress.update()
        except BaseException:
            pool.shutdown(cancel_futures=True)  # Ctrl-C need not wait for every folder
            raise
    return found


def frame_folders_below(root: Path, template: str, top: Path) -> list[FoundVideo]:
    """The folders of images in ``root / top``, itself included; what has neither images nor subfolders is one too."""
    with os.scandir(root / top) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".")]
    images = {entry.name for entry in visible if entry.name.lower().endswith(IMAGE_SUFFIXES)}
    subfolders = [] if images else [entry.name for entry in visible if entry.is_dir()]
    if subfolders:
        return [video for name in sorted(subfolders) for video in frame_folders_below(root, template, top / name)]
    count, problem = count_images(images, template)
    return [FoundVideo(top, count, problem or unlistable(top))]


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
        return "its name has a line break, or begins or ends with a space"
    return ""


@dataclass(frozen=True)
class Listing:
    """One list file.

    Args:
        name: of the file.
        lines: its lines.
        missing: samples without a video.
        total: samples in the annotations.
    """

    name: str
    lines: tuple[str, ...]
    missing: tuple[str, ...]
    total: int


class VideoIndex:
    """Finds the video of a sample.

    Args:
        videos: those on the disk.
        prefix: the path of their folder, as lists write it.
        classes: all class names.
    """

    def __init__(self, videos: Iterable[FoundVideo], prefix: Path, classes: Sequence[str]) -> None:
        self.prefix = prefix
        self.names = [comparable(name) for name in classes]
        self.known = set(self.names)
        self.problems: dict[Path, Failure] = {}
        self.of_stem: dict[str, list[FoundVideo]] = {}
        for video in videos:
            self.of_stem.setdefault(video.stem, []).append(video)

    def find(self, sample: Sample) -> FoundVideo | None:
        """The video of that name in the folder of its class, else in a folder of no class."""
        candidates = self.of_stem.get(sample.stem, [])
        parents = [comparable(video.path.parent.name) for video in candidates]
        own = [m for m, parent in zip(candidates, parents, strict=True) if parent == self.names[sample.label]]
        free = [m for m, parent in zip(candidates, parents, strict=True) if parent not in self.known]
        return next(iter(own or free), None)

    def line(self, video: FoundVideo, label: int) -> str:
        """The video's line in a list."""
        path = (self.prefix / video.path).as_posix()
        return f"{path} {label}" if video.frames is None else f"{path} {video.frames} {label}"

    def listing(self, name: str, samples: Sequence[Sample]) -> Listing:
        """The list of those samples that have a video without a problem."""
        lines, missing = [], []
        for sample in samples:
            video = self.find(sample)
            if video is None:
                missing.append(sample.stem)
            elif video.problem:
                self.problems[video.path] = Failure(str(video.path), video.problem)
            else:
                lines.append(self.line(video, sample.label))
        return Listing(name, tuple(lines), tuple(missing), len(samples))


def list_prefix(videos: Path, root: Path) -> Path:
    """The path of the folder ``videos`` in lists of a data set at ``root``: relative where it lies inside."""
    inside, outside = Path(os.path.abspath(videos)), Path(os.path.abspath(root))
    return inside.relative_to(outside) if inside.is_relative_to(outside) else inside


class FolderIndex(VideoIndex):
    """Finds videos by their paths, which name the samples of a folder of class folders."""

    def __init__(self, videos: Sequence[FoundVideo], prefix: Path, classes: Sequence[str]) -> None:
        super().__init__((), prefix, classes)
        self.of_path = {video.path.as_posix(): video for video in videos}

    def find(self, sample: Sample) -> FoundVideo | None:
        return self.of_path[sample.stem]
