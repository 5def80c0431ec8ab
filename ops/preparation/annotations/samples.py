"""What annotation files say: class names in label order and, for each split, which videos have which label."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ops.preparation.annotations.lines import wrong


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


def add_sample(samples: dict[str, Sample], sample: Sample, path: Path, line: int) -> None:
    """Adds a sample, which must be new."""
    if sample.stem in samples:
        raise wrong(path, line, "each video once", f"{sample.stem!r} again")
    samples[sample.stem] = sample


def comparable(name: str) -> str:
    """A class name reduced to what survives when folders are named after it."""
    letters = "".join(letter for letter in unicodedata.normalize("NFC", name).casefold() if letter.isalnum())
    return letters or name
