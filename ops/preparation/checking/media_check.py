"""Looks at a video or a folder of images, from its first frame to its last, and says what is wrong with it.

Reading goes through the readers that training uses; video files are decoded from end to end besides. Runs in worker
processes, which need not import torch.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from ops.data import DatasetSpec
from ops.preparation.jobs import video_input
from ops.video import FrameFolder, VideoError, open_video

CHUNK = 32  # images that are in memory at a time
SHOWN = 3  # numbers or names that a message gives


@dataclass(frozen=True)
class Medium:
    """A file or a folder that lists name; a task of worker_pool.py."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path)

    def clean_up(self) -> None:
        """Looking leaves nothing behind."""


class Problem(NamedTuple):
    """What is wrong with a video: in a word, in a sentence, and whether it must not be trained on."""

    kind: str
    detail: str
    unusable: bool = True


class Facts(NamedTuple):
    """What there is at a path.

    Args:
        frames: frames of a video as its reader counts them; images of a folder without a gap from the first.
        size: bytes of the file, or of all images.
        problems: what is wrong.
    """

    frames: int
    size: int
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Inspect:
    """Work of worker_pool.py: the facts of a medium.

    Args:
        spec: the data set.
        decoder: of video files.
    """

    spec: DatasetSpec
    decoder: str

    def __call__(self, medium: Medium, threads: int) -> Facts:
        if self.spec.storage == "frames":
            return inspect_folder(medium.path, self.spec.image_tmpl)
        with quiet_stderr():
            return inspect_video(medium.path, self.decoder, threads)


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keeps from the terminal what decoders write there of every damaged block of a picture."""
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def absent(path: Path) -> Facts:
    return Facts(0, 0, (Problem("missing", "nothing there"),))


# Videos


def inspect_video(path: Path, decoder: str, threads: int) -> Facts:
    """Opens a video as training does and reads its first, middle and last frame; then decodes all of it."""
    if not os.path.lexists(path):
        return absent(path)
    size = path.stat().st_size if path.is_file() else 0
    try:
        reader = open_video(path, decoder)
        count = len(reader)
        reader.get_frames(np.unique([0, count // 2, count - 1]))
    except VideoError as error:
        return Facts(0, size, (Problem("unreadable", without_path(error, path)),))
    problems = list(decoded_problems(path, count, threads))
    if not problems and is_turned(path):
        detail = "turned by its metadata, which decoders treat differently; resize_videos.py writes it upright"
        problems.append(Problem("turned", detail, unusable=False))
    return Facts(count, size, tuple(problems))


def decoded_problems(path: Path, count: int, threads: int) -> Iterator[Problem]:
    """What decoding every frame shows."""
    reader = video_input.VideoReader(path, threads, keep_damaged=True)
    sizes: Counter[str] = Counter()
    try:
        for frame in reader.frames():
            sizes[f"{frame.width}x{frame.height}"] += 1
    except video_input.VideoError as error:
        yield Problem("unreadable", str(error))
        return
    if reader.damage:
        yield Problem("damaged", some(reader.damage, "; "))
    decoded = sizes.total()
    if decoded != count:
        detail = f"the reader counts {count} frames, {decoded} can be decoded"
        yield Problem("frame count", detail, unusable=decoded < count)
    if len(sizes) > 1:
        yield Problem("frame sizes", in_numbers(sizes))


def is_turned(path: Path) -> bool:
    """Whether a note in the file says how to turn its pictures."""
    with av.open(str(path.absolute()), metadata_errors="replace") as container:
        frame = next(container.decode(video_input.picture_stream(container)))
        return video_input.upright(frame) is not frame


# Folders of images


def inspect_folder(folder: Path, template: str) -> Facts:
    """Numbers and sizes of the images of a folder, each of which is read as training reads it."""
    if not os.path.lexists(folder):
        return absent(folder)
    if not folder.is_dir():
        return Facts(0, 0, (Problem("unreadable", "expected a folder of images, got a file"),))
    with os.scandir(folder) as entries:
        sizes = {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
    numbers = image_numbers(sizes, template)
    if not numbers:
        example = f", but {min(sizes)} (--image_tmpl)" if sizes else ""
        return Facts(0, 0, (Problem("unreadable", f"no image {template.format(1)}{example}"),))
    first = 0 if numbers[0] == 0 else 1
    consecutive = sum(1 for place, number in enumerate(numbers, first) if place == number)
    problems = [*numbering_problems(numbers, first, template), *image_problems(folder, consecutive, template)]
    total = sum(sizes[template.format(number)] for number in numbers)
    return Facts(consecutive, total, tuple(problems))


def image_numbers(names: dict[str, int], template: str) -> list[int]:
    """Numbers of the images of that template, in order."""
    before, after = (re.escape(part) for part in re.split(r"\{[^}]*\}", template, maxsplit=1))
    found = (re.fullmatch(rf"{before}(\d+){after}", name) for name in names)
    return sorted({int(match[1]) for match in found if match and template.format(int(match[1])) == match[0]})


def numbering_problems(numbers: list[int], first: int, template: str) -> Iterator[Problem]:
    gaps = [(a + 1, b) for a, b in itertools.pairwise([first - 1, *numbers]) if b > a + 1]
    if gaps:
        names = [(template.format(a), template.format(b - 1)) for a, b in gaps]
        yield Problem("gap", f"missing: {some([' to '.join(dict.fromkeys(pair)) for pair in names])}", unusable=False)


def image_problems(folder: Path, count: int, template: str) -> Iterator[Problem]:
    """Images that cannot be read, and images of several sizes, among the first ``count``."""
    reader = FrameFolder(folder, count, template)
    sizes: Counter[str] = Counter()
    broken: list[str] = []
    for start in range(0, count, CHUNK):
        for images in read_chunk(reader, np.arange(start, min(start + CHUNK, count))):
            if isinstance(images, VideoError):
                broken.append(without_path(images, folder))
            else:
                sizes[f"{images.shape[2]}x{images.shape[1]}"] += len(images)
    if broken:
        yield Problem("unreadable", some(broken, "; "))
    if len(sizes) > 1:
        yield Problem("frame sizes", in_numbers(sizes))


def read_chunk(reader: FrameFolder, indices: np.ndarray) -> Iterator[np.ndarray | VideoError]:
    """Images (F, H, W, 3), at once where all can be read and have one size, else one by one."""
    try:
        yield reader.get_frames(indices)
    except VideoError:
        for index in indices:
            try:
                yield reader.get_frames(np.array([index]))
            except VideoError as error:
                yield error


# Content


def digest(medium: Medium, threads: int) -> str:
    """Work of worker_pool.py: a hash of a file's bytes, or of the names and bytes of a folder's files."""
    content = hashlib.blake2b(digest_size=16)
    folder = medium.path
    files = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else [folder]
    for path in files:
        if path != folder:
            content.update(f"{path.name}\0{path.stat().st_size}\0".encode(errors="surrogateescape"))
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                content.update(block)
    return content.hexdigest()


# Words


def without_path(error: Exception, path: Path) -> str:
    """An error's message without the path that the report names anyway."""
    return str(error).removeprefix(f"{path}/").removeprefix(f"{path}: ")


def some(texts: list[str], separator: str = ", ") -> str:
    """The first few of some texts, and how many more there are."""
    rest = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return separator.join(texts[:SHOWN]) + rest


def in_numbers(sizes: Counter[str]) -> str:
    return ", ".join(f"{size} ({count} frames)" for size, count in sizes.most_common())
