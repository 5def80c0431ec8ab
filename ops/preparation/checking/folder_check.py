"""A folder of images: its numbering, and every image read as training reads it."""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ops.preparation.checking.facts import Facts, Problem, absent, in_numbers, some, without_path
from ops.video import FrameFolder, VideoError

CHUNK = 32  # images that are in memory at a time


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
