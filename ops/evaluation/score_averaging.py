"""Views of a test: whether they belong together, and their average.

Three rules of averaging were used for published accuracies: TDN and MSN average softmax(logits), TSM and TSN the logits
themselves; the figures of TDN and MSN for 8 and 16 segments together are sums of max(logit, 0) over two folders.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ops.evaluation.score_files.score_pickle import View, read_view, view_path
from ops.runtime import InputError


def label_ranks(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Place (N,), from 0, of each label among finite scores (N, classes); of equal scores the lower class is first."""
    if not np.isfinite(scores).all():
        raise ValueError("expected finite scores, got NaN or infinity")
    of_label = scores[np.arange(len(labels)), labels][:, None]
    before = scores > of_label
    before |= (scores == of_label) & (np.arange(scores.shape[1]) < labels[:, None])
    ranks: np.ndarray = before.sum(axis=1)
    return ranks


def top_accuracies(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Top-1 and top-5 in percent of finite scores (N, classes)."""
    ranks = label_ranks(probabilities, labels)
    return 100 * float((ranks < 1).mean()), 100 * float((ranks < 5).mean())


def softmax(scores: np.ndarray) -> np.ndarray:
    """Rows of logits (N, classes) as probabilities, in double precision."""
    shifted = scores.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    np.exp(shifted, out=shifted)
    shifted /= shifted.sum(axis=1, keepdims=True)
    return shifted


def _logits(scores: np.ndarray) -> np.ndarray:
    return scores.astype(np.float64)


def _relu(scores: np.ndarray) -> np.ndarray:
    return np.maximum(scores, 0, dtype=np.float64)


# What is averaged of the logits (N, classes) of a view, by the names of --average.
RULES: dict[str, Callable[[np.ndarray], np.ndarray]] = {"softmax": softmax, "logits": _logits, "relu": _relu}


def as_probabilities(averaged: np.ndarray, rule: str) -> np.ndarray:
    """Averaged scores (N, classes) as probabilities, with the same order of classes."""
    return averaged if rule == "softmax" else softmax(averaged)


def check_agreement(first: View, other: View, same_models: bool) -> None:
    """Raise on the first thing in which two views that are to be averaged differ.

    Args:
        same_models: whether they must come from the same checkpoints and settings (views of one folder do, two
            folders that are ensembled do not).
    """

    def refuse(what: str, expected: object, got: object) -> None:
        raise InputError(f"{other.path}: expected {what} {expected} as in {first.path}, got {got}")

    if len(first.labels) != len(other.labels):
        names = [f"{len(view.labels)}{_only_in(view, ref)}" for view, ref in ((first, other), (other, first))]
        refuse("number of videos", *names)
    if first.scores.shape[1] != other.scores.shape[1]:
        refuse("number of classes", first.scores.shape[1], other.scores.shape[1])
    if first.class_names and other.class_names:
        for i, (a, b) in enumerate(zip(first.class_names, other.class_names, strict=True)):
            if a != b:
                refuse(f"name of class {i}", repr(a), repr(b))
    for i in np.flatnonzero(first.labels != other.labels)[:1]:
        refuse(f"label of video {i}", first.labels[i], other.labels[i])
    if first.videos is not None and other.videos is not None:
        for i, (a, b) in enumerate(zip(first.videos, other.videos, strict=True)):
            if a != b:
                refuse(f"video {i}", repr(a), repr(b))
    if same_models and first.measurement is not None and other.measurement is not None:
        expected, got = first.measurement.to_dict(), other.measurement.to_dict()
        for key in expected:
            if key != "average" and expected[key] != got[key]:
                refuse(key, expected[key], got[key])


def check_same_rule(rule: str, first: View, other_rule: str, other: View) -> None:
    """Raise if two views that are to be averaged were recorded with different rules."""
    if other_rule != rule:
        raise InputError(
            f"{other.path}: expected a test with --average {rule} as in {first.path}, got --average {other_rule}; "
            f"choose one for both with --average"
        )


def _check_are_logits(view: View, rule: str) -> None:
    """Raise if a view holds what the rule is not meant for: probabilities, or their logarithms."""
    if view.scores.min() >= 0 and np.allclose(view.scores.sum(axis=1, dtype=np.float64), 1, atol=1e-3):
        raise InputError(
            f"{view.path}: expected scores before the softmax (logits), got probabilities: those of each video sum to 1"
        )
    logarithms = view.measurement is not None and view.measurement.softmax
    if view.scores.max() <= 0:
        logarithms |= np.allclose(np.exp(_logits(view.scores)).sum(axis=1), 1, atol=1e-3)
    if rule != "softmax" and logarithms:
        raise InputError(
            f"{view.path}: expected scores before the softmax (logits) for --average {rule}, got logarithms of "
            f"probabilities, as --softmax writes them; use --average softmax"
        )


def _only_in(view: View, other: View) -> str:
    """A video that one view has and the other lacks, in brackets."""
    if view.videos is None or other.videos is None:
        return ""
    others = set(other.videos)
    only = [name for name in view.videos if name not in others]
    return f" ({only[0]!r} among them)" if only else ""


@dataclass(frozen=True)
class Ensemble:
    """Averaged views: scores (N, classes) in double precision, labels (N,), the first view, and the rule."""

    averaged: np.ndarray
    labels: np.ndarray
    first: View
    rule: str


def average_views(folder: Path, num_clips: int, num_crops: int, rule: str | None = None) -> Ensemble:
    """Sum over clips and crops of softmax(logits), or what the rule says, divided by their number.

    One view is in memory at a time.

    Args:
        rule: one of RULES; None: the one that was recorded with the scores, or softmax.

    Raises:
        InputError: a view is missing, unreadable, no logits, or disagrees with the first.
    """
    paths = [view_path(folder, clip, crop) for clip in range(num_clips) for crop in range(num_crops)]
    missing = [p for p in paths if not p.is_file()]
    if missing:
        raise InputError(
            f"{missing[0]}: expected {num_clips} clips x {num_crops} crops in {folder}, got no such file "
            f"({len(missing)} of {len(paths)} are missing)"
        )
    first = read_view(paths[0])
    rule_of_all = rule or recorded_rule(first) or "softmax"
    total = np.zeros(first.scores.shape)
    for number, path in enumerate(paths):
        view = read_view(path) if number else first
        check_agreement(first, view, same_models=True)
        check_same_rule(rule_of_all, first, rule or recorded_rule(view) or rule_of_all, view)
        _check_are_logits(view, rule_of_all)
        total += RULES[rule_of_all](view.scores)
    return Ensemble(total / len(paths), first.labels, first, rule_of_all)


def recorded_rule(view: View) -> str | None:
    """The rule that a view's test was told to average by, if that is recorded."""
    return None if view.measurement is None else view.measurement.average
