"""Score files: written view by view, read without trust.

A view is one crop of one clip of every video of a list. ``{clip}_crop{k}.pkl`` is a pickled list in list order, one
``[scores, label]`` a video, scores float32 (1, classes), raw logits: the form that the tools of TDN and MSN read.
``{clip}_crop{k}.json`` beside it says which videos they are and how they were measured. Nothing here needs torch.
"""

import json
import os
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ops.evaluation.measurement import Measurement
from ops.evaluation.score_files import safe_unpickling
from ops.runtime import InputError, write_atomically


def view_path(folder: Path, clip: int, crop: int) -> Path:
    return folder / f"{clip}_crop{crop}.pkl"


@dataclass(frozen=True)
class View:
    """Scores of one view.

    Args:
        path: where it was read.
        scores: (N, classes) float32, raw logits.
        labels: (N,)
        videos: names, or None where nothing lies beside the pickle.
        measurement: likewise.
        class_names: in label order; empty where they are not known.
    """

    path: Path
    scores: np.ndarray
    labels: np.ndarray
    videos: tuple[str, ...] | None
    measurement: Measurement | None
    class_names: tuple[str, ...] = ()


def write_view(
    folder: Path, clip: int, crop: int, scores: np.ndarray, labels: Sequence[int], videos: Sequence[str],
    measurement: Measurement, data: str | None = None, class_names: Sequence[str] = (),
) -> None:  # fmt: skip
    """Write a view's pickle and what goes beside it; scores (N, classes); ``data`` tells pictures from others."""
    rows = [[row[None].astype(np.float32), int(label)] for row, label in zip(scores, labels, strict=True)]
    path = view_path(folder, clip, crop)
    beside = {"clip": clip, "crop": crop, "measurement": measurement.to_dict(), "data": data,
              "class_names": list(class_names), "videos": list(videos)}  # fmt: skip
    write_atomically(path, pickle.dumps(rows, protocol=4))
    write_atomically(path.with_suffix(".json"), (json.dumps(beside, indent=1) + "\n").encode())


def read_view(path: Path) -> View:
    """Read one view.

    Raises:
        InputError: the file is missing, or is anything but a list of scores and labels.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: expected a score file, got {error.strerror or error}") from None
    try:
        rows = safe_unpickling.loads(content)
    except Exception as error:  # a pickle from an untrusted source can raise any exception
        raise InputError(f"{path}: expected a pickle of scores, got {type(error).__name__}: {error}") from None
    if not isinstance(rows, list) or not rows:
        raise InputError(f"{path}: expected a list of [scores, label], got {_describe(rows)}")
    scores: list[np.ndarray] = []
    labels: list[int] = []
    size = 0
    for number, row in enumerate(rows):
        try:
            row_scores, label = _parse_row(row)
        except ValueError as error:
            raise InputError(f"{path}, video {number}: {error}") from None
        if scores and row_scores.shape != scores[0].shape:
            raise InputError(f"{path}, video {number}: expected {len(scores[0])} scores, got {len(row_scores)}")
        size += row_scores.size
        if size > len(content):  # a pickle can name one array many times
            raise InputError(f"{path}, video {number}: expected scores that {len(content)} bytes can hold, got more")
        scores.append(row_scores)
        labels.append(label)
    if not 0 <= min(labels) <= max(labels) < len(scores[0]):
        wrong = next(i for i, label in enumerate(labels) if not 0 <= label < len(scores[0]))
        raise InputError(f"{path}, video {wrong}: expected a label in 0..{len(scores[0]) - 1}, got {labels[wrong]}")
    stacked = np.stack(scores)
    return View(path, stacked, np.array(labels), *_read_beside(path.with_suffix(".json"), *stacked.shape))


def _describe(value: object) -> str:
    return "an empty list" if isinstance(value, list) else type(value).__name__


def _parse_row(row: object) -> tuple[np.ndarray, int]:
    if not isinstance(row, list | tuple) or len(row) != 2:
        raise ValueError(f"expected [scores, label], got {_describe(row)}")
    scores, label = (np.asarray(_numbers(part)) for part in row)
    if scores.dtype.kind not in "fiu" or scores.ndim < 1 or scores.size < 1 or scores.size != scores.shape[-1]:
        raise ValueError(f"expected scores (1, classes), got {scores.dtype} {scores.shape}")
    with np.errstate(over="ignore"):
        scores = scores.astype(np.float32)
    if not np.isfinite(scores).all():
        raise ValueError("expected finite scores, got NaN or infinity")
    if label.dtype.kind not in "iu" or label.size != 1:
        raise ValueError(f"expected a whole number as label, got {label.dtype} {label.shape}")
    return scores.reshape(-1), int(label.reshape(-1)[0])


def _numbers(part: Any) -> Any:
    """Numbers as they are; NumPy would follow lists in lists in lists, of which a few bytes can name billions."""
    if isinstance(part, list | tuple) and len(part) == 1:
        (part,) = part
    if isinstance(part, list | tuple) and any(isinstance(number, list | tuple | np.ndarray) for number in part):
        raise ValueError(f"expected numbers, got {_describe(part)} of {_describe(part[0])}")
    return part


def _read_beside(
    path: Path, num_videos: int, num_classes: int
) -> tuple[tuple[str, ...] | None, Measurement | None, tuple[str, ...]]:
    """Names of videos, measurement and class names from the file beside a pickle, if there is one."""
    if not os.path.isfile(path):
        return None, None, ()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        videos, measurement = tuple(map(str, content["videos"])), Measurement.from_dict(content["measurement"])
        class_names = tuple(map(str, content.get("class_names", ())))  # older files have none
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: expected what a test script writes beside a score file, got {error}") from None
    for count in (len(videos), measurement.scored_videos):
        if count != num_videos:
            raise InputError(f"{path}: expected {num_videos} videos like the score file beside it, got {count}")
    if class_names and len(class_names) != num_classes:
        raise InputError(f"{path}: expected {num_classes} class names, as many as scores, got {len(class_names)}")
    return videos, measurement, class_names


def measured_videos(path: Path, measurement: Measurement, data: str | None = None) -> tuple[str, ...] | None:
    """The videos of a score file that was measured like this, with or without its broken ones; None for any other."""
    try:
        beside = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        measured = Measurement.from_dict(beside["measurement"])
        same = replace(measured, scored_videos=measurement.scored_videos) == measurement
        return tuple(map(str, beside["videos"])) if same and beside.get("data") == data else None
    except (OSError, ValueError, TypeError, KeyError):
        return None
