"""What a checkpoint file says of itself, for people and as JSON."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from ops.checkpoints import describe, find_weights, read_hashed_checkpoint
from ops.evaluation import accuracies
from ops.runtime import plural

COLUMN = 14  # letters of the names on the left
MOST_CLASSES = 20  # that are named on the page
# What a checkpoint of today says, in the words of the page.
_SAID = {
    "network": "network", "arch": "backbone", "num_segments": "segments", "frames_per_segment": "frames per segment",
    "input_size": "frame size", "dataset": "data set", "class_names": "class names", "mirror_pairs": "mirror pairs",
    "mean": "normalization", "accuracy": "accuracy", "version": "version", "recipe": "recipe",
}  # fmt: skip


class CheckpointPage:
    """Everything a checkpoint says besides its weights.

    Args:
        path: a checkpoint of this project, old or new, or a published one; a file or a folder.

    Raises:
        InputError: it is none.
    """

    def __init__(self, path: Path) -> None:
        content, self.sha256 = read_hashed_checkpoint(path)
        self.path = path
        self.said = describe(content, path)
        self.epoch = _number(content.get("epoch"))
        self.best = _number(content.get("best_prec1"))
        config = content.get("config")
        self.recipe: Mapping[str, Any] = config if isinstance(config, Mapping) else {}

    @property
    def missing(self) -> list[str]:
        """What the file does not say, in words."""
        values = {**vars(self.said), "recipe": self.recipe}
        optional = {"mirror_pairs"} if self.said.mirror_pairs is not None else set()
        return [words for key, words in _SAID.items() if key not in optional and values[key] in (None, (), {})]

    def to_json(self) -> str:
        """All of it, every name and setting in full."""
        values: dict[str, Any] = {"file": str(self.path), "sha256": self.sha256, **asdict(self.said)}
        values |= {"epoch": self.epoch, "best_top1": self.best, "recipe": self.recipe, "missing": self.missing}
        return json.dumps(values, indent=2, default=str)

    def __str__(self) -> str:
        lines = [f"{self.path} ({os.path.getsize(find_weights(self.path)) / 1e6:.1f} MB, SHA-256 {self.sha256})"]
        lines += [f"{name:<{COLUMN}} {text}" for name, text in self._rows() if text]
        lines += [f"  {name} {_words(value)}" for name, value in _flat(self.recipe)]
        if self.missing:
            lines.append(f"{'not in it:':<{COLUMN}} {', '.join(self.missing)}")
        return "\n".join(lines)

    def _rows(self) -> Iterator[tuple[str, str]]:
        said = self.said
        motion = f" (motion modules: {','.join(said.motion) or 'none'})"
        yield "network", f"{(said.network or 'unknown').upper()}, {said.arch}{motion}"
        frames = f" of {plural(said.frames_per_segment, 'frame')}" if said.frames_per_segment else ""
        dense = ", from 64 consecutive frames" if said.dense_sample else ""
        yield "segments", f"{said.num_segments}{frames}{dense}" if said.num_segments else ""
        yield "motion window", plural(said.motion_window, "segment") if said.motion_window else ""
        yield "motion weight", f"{said.motion_weight:g}" if said.motion_weight is not None else ""
        yield "frame size", f"{said.input_size} x {said.input_size} pixels" if said.input_size else ""
        if said.mean and said.std:
            yield "normalization", f"mean {_words(said.mean)}, standard deviation {_words(said.std)}"
        yield "data set", said.dataset or ""
        yield "classes", self._classes()
        yield "mirror pairs", ", ".join(" - ".join(map(self._name, pair)) for pair in said.mirror_pairs or ())
        yield "trained", plural(self.epoch, "epoch") if isinstance(self.epoch, int) else ""
        yield "accuracy", self._accuracy()
        yield "best so far", f"top-1 {self.best:.2f} %" if self.best is not None else ""
        yield "version", said.version or ""
        yield "from its name", ", ".join(said.from_name)
        yield "recipe", "settings of main.py:" if self.recipe else ""

    def _classes(self) -> str:
        names = self.said.class_names
        more = ", ..." if len(names) > MOST_CLASSES else ""
        listed = f": {', '.join(names[:MOST_CLASSES])}{more}" if names else ""
        return f"{self.said.num_classes}{listed}"

    def _name(self, label: int) -> str:
        names = self.said.class_names
        return names[label] if label < len(names) else str(label)

    def _accuracy(self) -> str:
        found = self.said.accuracy
        if not found or _number(found.get("top1")) is None:
            return ""
        return f"{accuracies(float(found['top1']), _number(found.get('top5')))}   [{found.get('measured', '')}]"


def _number(value: Any) -> Any:
    """A number, be it saved as a tensor; None for anything else."""
    value = value.item() if isinstance(value, Tensor) and value.numel() == 1 else value
    return value if isinstance(value, int | float) else None


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Settings by their paths, like ``model.arch``; names of classes are above."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif name not in ("class_names", "mirror_pairs", "read_from"):
            yield prefix + name, value


def _words(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(_words, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else "none" if value is None else str(value)
