"""Annotations of HMDB51: a file for each class and each of three splits.

Labels are alphabetical.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ops.preparation.annotations.lines import class_labels, numbered_lines, wrong
from ops.preparation.annotations.samples import Annotations, Sample, add_sample
from ops.runtime import InputError


def read_hmdb51(folder: Path) -> dict[int, Annotations]:
    """``<class>_test_splitN.txt``, by N: lines ``video.avi 1`` for training, 2 for testing, 0 for neither."""
    files: dict[tuple[int, str], Path] = {}
    for path in sorted(folder.glob("*_test_split?.txt")):
        parts = re.fullmatch(r"(.+)_test_split([123])\.txt", path.name)
        if parts:
            files[int(parts[2]), parts[1]] = path
    if not files:
        raise InputError(f"{folder}: expected files <class>_test_split1.txt, got no such file")
    labels = class_labels(folder, enumerate(sorted({name for _, name in files}), start=1))
    found = {}
    for number in sorted({number for number, _ in files}):
        splits: dict[str, list[Sample]] = {"train": [], "val": []}
        for name, label in labels.items():
            if (number, name) not in files:
                raise InputError(f"{folder}: expected {name}_test_split{number}.txt, as for other classes, got none")
            for split, sample in read_hmdb51_class(files[number, name], label):
                splits[split].append(sample)
        found[number] = Annotations(tuple(labels), splits)
    return found


def read_hmdb51_class(path: Path, label: int) -> Iterator[tuple[str, Sample]]:
    """Split and sample of each line of one class's file."""
    seen: dict[str, Sample] = {}
    for line, text in numbered_lines(path):
        video, _, use = text.rpartition(" ")
        video = video.strip()
        if use not in ("0", "1", "2") or not video.endswith(".avi"):
            raise wrong(path, line, "'video.avi 0', 1 or 2", repr(text))
        sample = Sample(video.removesuffix(".avi"), label)
        add_sample(seen, sample, path, line)
        if use != "0":
            yield ("train" if use == "1" else "val"), sample
