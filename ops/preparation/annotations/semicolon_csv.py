"""Annotations of Something-Something V1 and of Jester: CSV files with semicolons.

Labels are alphabetical.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ops.preparation.annotations.lines import class_labels, find_file, numbered_lines, unquoted, wrong
from ops.preparation.annotations.samples import Annotations, Sample, add_sample, label_of_template


def read_semicolon_csv(folder: Path, prefix: str) -> Annotations:
    """``PREFIX-labels.csv`` (a name a line), ``-train.csv``, ``-validation.csv`` (``id;name``), ``-test.csv``."""
    path = find_file(folder, f"{prefix}-labels.csv")
    names = [(line, unquoted(text)) for line, text in numbered_lines(path)]
    labels = class_labels(path, sorted(names, key=lambda entry: entry[1]))
    splits = {
        "train": read_semicolon_split(find_file(folder, f"{prefix}-train.csv"), labels),
        "val": read_semicolon_split(find_file(folder, f"{prefix}-validation.csv"), labels),
    }
    unlabelled = {}
    test = folder / f"{prefix}-test.csv"
    if test.is_file():
        lines = numbered_lines(test)
        if any(";" in text for _, text in lines):
            splits["test"] = read_semicolon_split(test, labels)
        else:
            unlabelled["test"] = len(lines)
    return Annotations(tuple(labels), splits, unlabelled)


def read_semicolon_split(path: Path, labels: Mapping[str, int]) -> list[Sample]:
    """Samples of a file of lines ``id;class name``."""
    samples: dict[str, Sample] = {}
    for line, text in numbered_lines(path):
        stem, semicolon, name = (part.strip() for part in text.partition(";"))
        if not semicolon or not stem or not name:
            raise wrong(path, line, "'id;class name'", repr(text))
        label = label_of_template(labels, unquoted(name))
        if label is None:
            raise wrong(path, line, "a class of the labels file", repr(name))
        add_sample(samples, Sample(stem, label), path, line)
    return list(samples.values())
