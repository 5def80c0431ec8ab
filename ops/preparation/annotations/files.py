"""Reads the annotation files of data sets as their makers distribute them.

Every reader returns the class names in label order and, for each split, which media have which label. A line that does
not say what it should is an error that names file and line. Labels are alphabetical unless the files number them.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import reprlib
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ops.preparation.annotations.lines import (
    check_class_name,
    class_labels,
    find_file,
    json_array,
    json_errors,
    numbered_lines,
    read_text,
    unquoted,
    wrong,
)
from ops.runtime import InputError

KINETICS_SPLITS = {"train": "train", "val": "val", "validate": "val", "validation": "val", "test": "test"}
KINETICS_COLUMNS = ("youtube_id", "time_start", "time_end", "split")


@dataclass(frozen=True)
class Sample:
    """A video or a folder of frames, as the annotations name it.

    Args:
        stem: its name without folders and without an ending.
        label: 0..K-1.
    """

    stem: str
    label: int


@dataclass(frozen=True)
class Annotations:
    """What a data set's files say.

    Args:
        classes: names in label order.
        splits: samples of train, val and perhaps test.
        unlabelled: how many samples of a split have no label, and so cannot be listed.
    """

    classes: tuple[str, ...]
    splits: Mapping[str, Sequence[Sample]]
    unlabelled: Mapping[str, int] = field(default_factory=dict)


def label_of_template(labels: Mapping[str, int], template: str) -> int | None:
    """The label of a class name in which words may stand in brackets, like ``Holding [something]``."""
    return labels.get(template, labels.get(template.replace("[", "").replace("]", "")))


# Something-Something V1 and Jester: CSV with semicolons


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


def add_sample(samples: dict[str, Sample], sample: Sample, path: Path, line: int) -> None:
    """Adds a sample, which must be new."""
    if sample.stem in samples:
        raise wrong(path, line, "each video once", f"{sample.stem!r} again")
    samples[sample.stem] = sample


# Something-Something V2: JSON


def read_something_v2(folder: Path) -> Annotations:
    """``something-something-v2-labels.json``, ``-train.json``, ``-validation.json``, ``-test.json``.

    The answers to the test set came as ``test-answers.csv``, and the files of that edition are called ``labels.json``
    and so on.
    """
    prefix = "something-something-v2-"
    labels = read_json_labels(find_file(folder, f"{prefix}labels.json", "labels.json"))
    splits = {
        "train": read_json_split(find_file(folder, f"{prefix}train.json", "train.json"), labels),
        "val": read_json_split(find_file(folder, f"{prefix}validation.json", "validation.json"), labels),
    }
    unlabelled = {}
    for name in (f"{prefix}test-answers.csv", "test-answers.csv"):
        if (folder / name).is_file():
            splits["test"] = read_semicolon_split(folder / name, labels)
            break
    else:
        for name in (f"{prefix}test.json", "test.json"):
            if (folder / name).is_file():
                unlabelled["test"] = sum(1 for _ in json_array(folder / name))
                break
    return Annotations(tuple(labels), splits, unlabelled)


def read_json_labels(path: Path) -> dict[str, int]:
    """Labels of a JSON object ``{"class name": "number", ...}``, which numbers the classes from 0."""
    text = read_text(path)

    def line_of(name: str) -> int:
        spellings = (json.dumps(name, ensure_ascii=escaped) for escaped in (False, True))
        return text.count("\n", 0, max(0, *map(text.find, spellings))) + 1

    with json_errors(path, 1):
        pairs = json.loads(text, object_pairs_hook=list, parse_int=str)
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs) or not pairs:
        raise wrong(path, 1, 'an object {"class name": "number", ...}', repr(text[:40]))
    numbered: dict[int, str] = {}
    for name, number in pairs:
        valid = isinstance(number, str) and re.fullmatch(r"[0-9]{1,9}", number)
        if not valid or int(number) >= len(pairs) or int(number) in numbered:
            raise wrong(path, line_of(name), f"a new number in 0..{len(pairs) - 1} for {name!r}", reprlib.repr(number))
        numbered[int(number)] = name
    return class_labels(path, [(line_of(numbered[number]), numbered[number]) for number in sorted(numbered)])


def read_json_split(path: Path, labels: Mapping[str, int]) -> list[Sample]:
    """Samples of a JSON array of objects with ``id`` and ``template``."""
    samples: dict[str, Sample] = {}
    for line, entry in json_array(path):
        if not isinstance(entry, dict) or not entry.get("id") or not isinstance(entry.get("template"), str):
            raise wrong(path, line, 'an object with "id" and "template"', reprlib.repr(entry))
        label = label_of_template(labels, entry["template"])
        if label is None:
            raise wrong(path, line, "a template that, without brackets, is a class", repr(entry["template"])[:120])
        add_sample(samples, Sample(str(entry["id"]), label), path, line)
    return list(samples.values())


# Kinetics: CSV with a header


class KineticsRow(NamedTuple):
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
    rows = [row for path in paths for row in kinetics_rows(path)]
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


def kinetics_rows(path: Path) -> Iterator[KineticsRow]:
    """The rows of a file."""
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        for column in KINETICS_COLUMNS:
            if column not in header:
                raise wrong(path, 1, f"a header with {','.join(('label', *KINETICS_COLUMNS))}", ",".join(header))
        for row in reader:
            if "".join(row).strip():
                yield kinetics_row(path, reader.line_num, header, row)
    except csv.Error as error:
        raise wrong(path, reader.line_num, "CSV", str(error)) from None


def kinetics_row(path: Path, line: int, header: Sequence[str], row: Sequence[str]) -> KineticsRow:
    """One row; only the test split may come without labels."""
    if len(row) != len(header):
        raise wrong(path, line, f"{len(header)} fields", f"{len(row)}: {','.join(row)}")
    fields = {name: value.strip() for name, value in zip(header, row, strict=True)}
    split = KINETICS_SPLITS.get(fields["split"])
    if split is None:
        raise wrong(path, line, "a split train, validate or test", repr(fields["split"]))
    if not fields["youtube_id"]:
        raise wrong(path, line, "a youtube_id", "none")
    name = fields.get("label", "")
    if name or split != "test":
        check_class_name(path, line, name)
    start, end = (kinetics_second(path, line, fields[key]) for key in ("time_start", "time_end"))
    return KineticsRow(path, line, name, f"{fields['youtube_id']}_{start:06d}_{end:06d}", split)


def kinetics_second(path: Path, line: int, text: str) -> int:
    """A time in whole seconds."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise wrong(path, line, "a time in seconds", repr(text))
    return int(value)


# UCF101 and HMDB51: three splits


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
        raise InputError(f"{folder}: expected trainlist01.txt, got none of that name")
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


def read_hmdb51(folder: Path) -> dict[int, Annotations]:
    """``<class>_test_splitN.txt``, by N: lines ``video.avi 1`` for training, 2 for testing, 0 for neither."""
    files: dict[tuple[int, str], Path] = {}
    for path in sorted(folder.glob("*_test_split?.txt")):
        parts = re.fullmatch(r"(.+)_test_split([123])\.txt", path.name)
        if parts:
            files[int(parts[2]), parts[1]] = path
    if not files:
        raise InputError(f"{folder}: expected files <class>_test_split1.txt, got none of that form")
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


def comparable(name: str) -> str:
    """A class name reduced to what survives when folders are named after it."""
    letters = "".join(letter for letter in unicodedata.normalize("NFC", name).casefold() if letter.isalnum())
    return letters or name


SINGLE: dict[str, Callable[[Path], Annotations]] = {
    "something": lambda folder: read_semicolon_csv(folder, "something-something-v1"),
    "somethingv2": read_something_v2,
    "jester": lambda folder: read_semicolon_csv(folder, "jester-v1"),
    "kinetics": read_kinetics,
}
SEVERAL: dict[str, Callable[[Path], dict[int, Annotations]]] = {"ucf101": read_ucf101, "hmdb51": read_hmdb51}
