"""What averaged scores amount to: top-1, top-5, accuracy per class and confusion matrix, and how they were measured."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix, recall_score

from ops.data import read_class_names
from ops.evaluation.measurement import AVERAGED, accuracies, has_top5
from ops.evaluation.score_averaging import Ensemble, average_views, check_agreement, check_same_rule, top_accuracies
from ops.runtime import InputError, plural, write_atomically
from ops.settings import ResultsConfig


@dataclass(frozen=True)
class Results:
    """What averaged scores amount to.

    Args:
        top1, top5, mean_class: accuracies in percent; top-5 is None where there are five classes or fewer.
        per_class: (K,) accuracies in percent, NaN for classes without videos.
        confusion: (K, K) numbers of videos, by true and by predicted class.
        protocol: how it was measured.
        average: what was averaged over views and folders, one of AVERAGED.
        class_names: as they came with the scores; empty where they did not.
    """

    top1: float
    top5: float | None
    mean_class: float
    per_class: np.ndarray
    confusion: np.ndarray
    protocol: str
    average: str = "softmax"
    class_names: tuple[str, ...] = ()

    @property
    def accuracies(self) -> str:
        return f"{accuracies(self.top1, self.top5)}, mean class accuracy {self.mean_class:.2f} %"


def compute_results(config: ResultsConfig) -> Results:
    """Average the views of one folder, or of two, and compare with the labels.

    Raises:
        InputError: a view is missing, unreadable, or disagrees with the others.
    """
    parts = [average_views(folder, config.num_clips, config.num_crops, config.average) for folder in config.folders]
    for part in parts[1:]:
        check_agreement(parts[0].first, part.first, same_models=False)
        check_same_rule(parts[0].rule, parts[0].first, part.rule, part.first)
    averaged = np.mean([part.averaged for part in parts], axis=0)  # (N, classes)
    labels = parts[0].labels
    top1, top5 = top_accuracies(averaged, labels)
    predicted = averaged.argmax(axis=1)
    classes = np.arange(averaged.shape[1])
    per_class = 100 * recall_score(labels, predicted, labels=classes, average=None, zero_division=np.nan)
    return Results(
        top1=top1,
        top5=top5 if has_top5(len(classes)) else None,
        mean_class=float(np.nanmean(per_class)),
        per_class=per_class,
        confusion=confusion_matrix(labels, predicted, labels=classes),
        protocol=protocol_line(config.folders, config.num_clips, config.num_crops, parts),
        average=parts[0].rule,
        class_names=next((part.first.class_names for part in parts if part.first.class_names), ()),
    )


def protocol_line(folders: Sequence[Path], num_clips: int, num_crops: int, parts: Sequence[Ensemble]) -> str:
    """How it was measured, as far as the files say."""
    used = f"{plural(num_crops, 'crop')} x {plural(num_clips, 'clip')}"
    lines = []
    for folder, part in zip(folders, parts, strict=True):
        measured = part.first.measurement
        if measured is None:
            number = plural(len(part.labels), "video")
            views = f"views {AVERAGED[part.rule]}"
            missing = f"frames, size, data set and checkpoint are not recorded in {folder}"
            lines.append(f"{used}, {number}, {views}; {missing}")
            continue
        line = replace(measured, average=part.rule).line()
        if (measured.crops, measured.clips) != (num_crops, num_clips):
            line += f", of which only {used} are averaged"
        lines.append(line)
    return " + ".join(lines) + (f"; folders {AVERAGED[parts[0].rule]}" if len(parts) > 1 else "")


def load_class_names(config: ResultsConfig, results: Results) -> tuple[str, ...]:
    """Names for reports: from the file that was given, else those that came with the scores, else numbers."""
    return names_or_numbers(config.class_names, results.class_names, len(results.per_class))


def names_or_numbers(path: Path | None, known: tuple[str, ...], num_classes: int) -> tuple[str, ...]:
    """Class names of a file, else those that are known, else numbers."""
    if path is None:
        return known or tuple(map(str, range(num_classes)))
    names = read_class_names(path)
    if len(names) != num_classes:
        raise InputError(f"{path}: expected {num_classes} class names, got {len(names)}")
    return names


def report(results: Results, names: tuple[str, ...], per_class: bool) -> str:
    """Text for the terminal and for results.txt."""
    lines = [results.accuracies, f"[{results.protocol}]"]
    if per_class:
        width = max(map(len, names))
        counts = results.confusion.sum(axis=1)
        lines.append(f"{'class':<{width}}  videos  top-1 %")
        for name, count, accuracy in zip(names, counts, results.per_class, strict=True):
            lines.append(f"{name:<{width}}  {count:>6}  " + ("      -" if np.isnan(accuracy) else f"{accuracy:>7.2f}"))
    return "\n".join(lines)


def write_results(results: Results, names: tuple[str, ...], folders: tuple[Path, ...], picture: bytes) -> list[Path]:
    """Write results.txt, results.json and the confusion matrix (CSV, PNG) into the first folder; returns their paths.

    ``picture`` is the confusion matrix as PNG.

    Those of several folders together are called ``ensemble_results.txt`` and so on, beside the folder's own.
    """
    content: dict[str, Any] = {
        "top1": results.top1,
        "top5": results.top5,
        "mean_class_accuracy": results.mean_class,
        "average": results.average,
        "protocol": results.protocol,
        "per_class": {n: None if np.isnan(a) else a for n, a in zip(names, results.per_class.tolist(), strict=True)},
    }
    header = ",".join(["true / predicted", *map(_csv_field, names)])
    rows = [",".join([_csv_field(n), *map(str, row)]) for n, row in zip(names, results.confusion.tolist(), strict=True)]
    files = {
        "results.txt": (report(results, names, per_class=True) + "\n").encode(),
        "results.json": (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode(),
        "confusion_matrix.csv": ("\n".join([header, *rows]) + "\n").encode(),
        "confusion_matrix.png": picture,
    }
    prefix = "ensemble_" if len(folders) > 1 else ""
    paths = [folders[0] / f"{prefix}{name}" for name in files]
    for path, data in zip(paths, files.values(), strict=True):
        write_atomically(path, data)
    return paths


def _csv_field(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
