"""Annotations of Something-Something V2: JSON files, of which one numbers the classes."""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Mapping
from pathlib import Path

from ops.preparation.annotations.lines import class_labels, find_file, json_array, json_errors, read_text, wrong
from ops.preparation.annotations.samples import Annotations, Sample, add_sample, label_of_template
from ops.preparation.annotations.semicolon_csv import read_semicolon_split


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
