"""Views of a test: whether they belong together, and their average."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ops.evaluation.score_files.score_pickle import View, read_view, view_path
from ops.runtime import InputError


def top_accuracies(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Top-1 and top-5 in percent of finite scores (N, classes); among equal scores the lower class counts first."""
    if not np.isfinite(probabilities).all():
        raise ValueError("expected finite scores, got NaN or infinity")
    rank = (probabilities > probabilities[np.arange(len(labels)), labels][:, None]).sum(axis=1)
    ties = probabilities == probabilities[np.arange(len(labels)), labels][:, None]
    rank += (ties & (np.arange(probabilities.shape[1]) < labels[:, None])).sum(axis=1)
    return 100 * float((rank < 1).mean()), 100 * float((rank < 5).mean())


def softmax(scores: np.ndarray) -> np.ndarray:
    """Rows of logits (N, classes) as probabilities, in double precision."""
    shifted = scores.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    np.exp(shifted, out=shifted)
    shifted /= shifted.sum(axis=1, keepdims=True)
    return shifted


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
            if expected[key] != got[key]:
                refuse(key, expected[key], got[key])


def _only_in(view: View, other: View) -> str:
    """A video that one view has and the other lacks, in brackets."""
    if view.videos is None or other.videos is None:
        return ""
    others = set(other.videos)
    only = [name for name in view.videos if name not in others]
    return f" ({only[0]!r} among them)" if only else ""


@dataclass(frozen=True)
class Ensemble:
    """Averaged views: probabilities (N, classes) in double precision, labels (N,), and the first view."""

    probabilities: np.ndarray
    labels: np.ndarray
    first: View


def average_views(folder: Path, num_clips: int, num_crops: int) -> Ensemble:
    """Sum over clips and crops of softmax(logits), divided by their number; one view in memory at a time.

    Raises:
        InputError: a view is missing, unreadable or disagrees with the first.
    """
    paths = [view_path(folder, clip, crop) for clip in range(num_clips) for crop in range(num_crops)]
    missing = [p for p in paths if not p.is_file()]
    if missing:
        raise InputError(
            f"{missing[0]}: expected {num_clips} clips x {num_crops} crops in {folder}, got no such file "
            f"({len(missing)} of {len(paths)} are missing)"
        )
    first = read_view(paths[0])
    total = softmax(first.scores)
    for path in paths[1:]:
        view = read_view(path)
        check_agreement(first, view, same_models=True)
        total += softmax(view.scores)
    return Ensemble(total / len(paths), first.labels, first)
