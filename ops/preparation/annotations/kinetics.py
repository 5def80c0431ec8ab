"""Annotations of Kinetics: CSV files with a header.

Labels are alphabetical.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ops.preparation.annotations.lines import check_class_name, read_text, wrong
from ops.preparation.annotations.samples import Annotations, Sample, add_sample
from ops.runtime import InputError

SPLITS = {"train": "train", "val": "val", "validate": "val", "validation": "val", "test": "test"}
COLUMNS = ("youtube_id", "time_start", "time_end", "split")


class Row(NamedTuple):
    """A row, and where it stands."""

    path: Path
    line: int
    name: str
    stem: str
    split: str


def read_kinetics(source: Path) -> Annotations:
    """A CSV file, or a folder of them, with the columns ``label,youtube_id,time_start,time_end,split``."""
    paths = sorted(source.glob("*.csv")) if source.is_dir() else [source]
    if not paths:
        raise InputError(f"{source}: expected CSV files, got none")
    rows = [row for path in paths for row in read_rows(path)]
    labels = {name: label for label, name in enumerate(sorted({row.name for row in rows if row.name}))}
    splits: dict[str, dict[str, Sample]] = {"train": {}, "val": {}}
    unlabelled: dict[str, int] = {}
    for row in rows:
        if row.name:
            sample = Sample(row.stem, labels[row.name])
            add_sample(splits.setdefault(row.split, {}), sample, row.path, row.line)
        else:
            unlabelled[row.split] = unlabelled.get(row.split, 0) + 1
    for split in ("train", "val"):
        if not splits[split]:
            raise InputError(f"{source}: expected rows of the split {split}, got none")
    return Annotations(tuple(labels), {split: list(found.values()) for split, found in splits.items()}, unlabelled)


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a file."""
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        for column in COLUMNS:
            if column not in header:
                raise wrong(path, 1, f"a header with {','.join(('label', *COLUMNS))}", ",".join(header))
        for row in reader:
            if "".join(row).strip():
                yield parse_row(path, reader.line_num, header, row)
    except csv.Error as error:
        raise wrong(path, reader.line_num, "CSV", str(error)) from None


def parse_row(path: Path, line: int, header: Sequence[str], row: Sequence[str]) -> Row:
    """One row; only the test split may come without labels."""
    if len(row) != len(header):
        raise wrong(path, line, f"{len(header)} fields", f"{len(row)}: {','.join(row)}")
    fields = {name: value.strip() for name, value in zip(header, row, strict=True)}
    split = SPLITS.get(fields["split"])
    if split is None:
        raise wrong(path, line, "a split train, validate or test", repr(fields["split"]))
    if not fields["youtube_id"]:
        raise wrong(path, line, "a youtube_id", "none")
    name = fields.get("label", "")
    if name or split != "test":
        check_class_name(path, line, name)
    start, end = (parse_second(path, line, fields[key]) for key in ("time_start", "time_end"))
    return Row(path, line, name, f"{fields['youtube_id']}_{start:06d}_{end:06d}", split)


def parse_second(path: Path, line: int, text: str) -> int:
    """A time in whole seconds."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise wrong(path, line, "a time in seconds", repr(text))
    return int(value)
