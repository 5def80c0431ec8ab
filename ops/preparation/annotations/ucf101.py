"""Annotations of UCF101: a file that numbers the classes, and two lists for each of three splits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ops.preparation.annotations.lines import class_labels, find_file, numbered_lines, wrong
from ops.preparation.annotations.samples import Annotations, Sample, add_sample
from ops.runtime import InputError


def read_ucf101(folder: Path) -> dict[int, Annotations]:
    """``classInd.txt``, which numbers the classes from 1, ``trainlist0N.txt`` and ``testlist0N.txt``, by N."""
    path = find_file(folder, "classInd.txt")
    names: list[tuple[int, str]] = []
    for line, text in numbered_lines(path):
        number, _, name = text.partition(" ")
        if number != str(len(names) + 1) or not name.strip():
            raise wrong(path, line, f"'{len(names) + 1} ClassName'", repr(text))
        names.append((line, name.strip()))
    labels = class_labels(path, names)
    found = {}
    for split in (1, 2, 3):
        train, test = f"trainlist{split:02d}.txt", f"testlist{split:02d}.txt"
        if (folder / train).is_file() or (folder / test).is_file():
            samples = {
                "train": read_ucf101_split(find_file(folder, train), labels),
                "val": read_ucf101_split(find_file(folder, test), labels),
            }
            found[split] = Annotations(tuple(labels), samples)
    if not found:
        raise InputError(f"{folder}: expected trainlist01.txt, got no such file")
    return found


def read_ucf101_split(path: Path, labels: Mapping[str, int]) -> list[Sample]:
    """Samples of lines ``ClassName/video.avi``, with the class's number behind it or without."""
    samples: dict[str, Sample] = {}
    for line, text in numbered_lines(path):
        video, _, number = text.partition(".avi")
        name, slash, stem = video.partition("/")
        if not slash or not stem or name not in labels:
            raise wrong(path, line, "'ClassName/video.avi' with a class of classInd.txt", repr(text))
        if number.strip() not in ("", str(labels[name] + 1)):
            raise wrong(path, line, f"the number {labels[name] + 1} of {name}, or none", repr(number.strip()))
        add_sample(samples, Sample(stem, labels[name]), path, line)
    return list(samples.values())
