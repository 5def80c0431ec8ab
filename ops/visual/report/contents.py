"""What a report says of scored videos, for its template and its scripts. N videos, K classes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ops.evaluation import (
    Interval,
    ScoredVideos,
    bootstrap_intervals,
    calibrate,
    difference_interval,
    holm,
    mcnemar,
    most_confused,
    wilson_intervals,
)
from ops.visual.report.page import packed

PAIRS = 25  # most confused ones
ANSWERS = 5  # classes that are kept of each video
SCALE = 65535  # of a probability of 1


class Tile(NamedTuple):
    """A number with its name, and its interval or a remark."""

    name: str
    value: str
    remark: str


class Accuracy(NamedTuple):
    """Of a class, in percent; None where it has no videos."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class ClassRow:
    """A row of the table of classes.

    Args:
        accuracies: one a folder.
        taken_for: label, number of videos and share of the class that it is most often taken for, by the last folder.
        first_only, second_only: videos that only one of two folders gets right.
        p: McNemar's, corrected for the number of classes.
    """

    label: int
    name: str
    videos: int
    accuracies: tuple[Accuracy, ...]
    taken_for: tuple[int, int, float] | None
    first_only: int = 0
    second_only: int = 0
    p: float = 1.0


def tiles(part: ScoredVideos) -> list[Tile]:
    """The figures at the head of a page."""
    intervals = bootstrap_intervals(part.ranks, part.labels, part.num_classes)
    right = part.right
    counts = np.bincount(part.labels, minlength=part.num_classes)
    hits = np.bincount(part.labels, weights=right, minlength=part.num_classes)
    confidence = part.probabilities.max(axis=1)
    found = [("top-1", right.mean(), "top1"), ("top-5", (part.ranks < 5).mean(), "top5")][: 1 + part.has_top5]
    found.append(("mean class accuracy", (hits[counts > 0] / counts[counts > 0]).mean(), "mean_class"))
    gap = 100 * (confidence.mean() - right.mean())
    remark = f"{abs(gap):.1f} points too {'confident' if gap > 0 else 'cautious'} on average"
    return [
        *(Tile(name, f"{100 * value:.2f} %", _interval(intervals[key])) for name, value, key in found),
        Tile("calibration error", f"{calibrate(confidence, right).error:.2f} %", remark),
    ]


def _interval(ends: Interval, sign: str = "") -> str:
    return f"95 % interval {ends.low:{sign}.2f} to {ends.high:{sign}.2f}"


def comparison(first: ScoredVideos, second: ScoredVideos) -> dict[str, Any]:
    """How two folders differ on the same videos."""
    a, b = first.right, second.right
    test = mcnemar(int((a & ~b).sum()), int((b & ~a).sum()))
    gain = 100 * (b.mean() - a.mean())
    return {
        "difference": f"{abs(gain):.2f} points {'higher' if gain > 0 else 'lower'} than" if gain else "the same as",
        "interval": _interval(difference_interval(a, b), "+"),
        "p": p_value(test.p),
        "differs": test.p < 0.05,
        "chi2": f"{test.chi2:.2f}",
        "p_chi2": p_value(test.p_chi2),
        "both": int((a & b).sum()),
        "first_only": test.first_only,
        "second_only": test.second_only,
        "neither": int((~a & ~b).sum()),
    }


def p_value(p: float) -> str:
    """``p = 0.031``, or a bound for what is very small."""
    return f"p = {p:.2g}" if p >= 1e-4 else f"p < 1e{min(math.ceil(math.log10(p)), -4)}" if p > 0 else "p < 1e-300"


def class_rows(parts: Sequence[ScoredVideos], names: Sequence[str]) -> list[ClassRow]:
    """The table of classes."""
    labels, num_classes = parts[0].labels, parts[0].num_classes
    counts = np.bincount(labels, minlength=num_classes)
    accuracies = [_of_classes(part, counts) for part in parts]
    taken_for: dict[int, tuple[int, int, float]] = {}
    for pair in most_confused(labels, parts[-1].best(1)[:, 0], num_classes, limit=len(labels)):
        taken_for.setdefault(pair.true, (pair.predicted, pair.videos, pair.share))
    only = np.zeros((2, num_classes), int)
    if len(parts) == 2:
        a, b = (part.right for part in parts)
        only = np.stack([np.bincount(labels[right], minlength=num_classes) for right in (a & ~b, b & ~a)])
    p = np.ones(num_classes)
    p[counts > 0] = holm(np.array([mcnemar(*pair).p for pair in only[:, counts > 0].T.tolist()]))
    return [
        ClassRow(label, name, int(counts[label]), tuple(each[label] for each in accuracies), taken_for.get(label),
                 int(only[0, label]), int(only[1, label]), float(p[label]))
        for label, name in enumerate(names)
    ]  # fmt: skip


def _of_classes(part: ScoredVideos, counts: np.ndarray) -> list[Accuracy]:
    hits = np.bincount(part.labels[part.right], minlength=len(counts))
    ends = wilson_intervals(hits, counts)
    return [
        Accuracy(100 * hit / count, low, high) if count else Accuracy(None, None, None)
        for hit, count, (low, high) in zip(hits.tolist(), counts.tolist(), ends.tolist(), strict=True)
    ]


def confused_pairs(part: ScoredVideos) -> list[tuple[int, int, int, float]]:
    """True class, answer, videos, and their share of the class in percent."""
    pairs = most_confused(part.labels, part.best(1)[:, 0], part.num_classes, PAIRS)
    return [(pair.true, pair.predicted, pair.videos, 100 * pair.share) for pair in pairs]


def reliability(part: ScoredVideos) -> dict[str, Any]:
    """The bins of a reliability diagram; None in empty ones."""
    found = calibrate(part.probabilities.max(axis=1), part.right)
    bins = zip(found.counts.tolist(), found.confidence.tolist(), found.accuracy.tolist(), strict=True)
    return {"error": found.error, "most": int(found.counts.max()),
            "bins": [(n, c if n else None, a if n else None) for n, c, a in bins]}  # fmt: skip


def data_of_videos(
    parts: Sequence[ScoredVideos], names: Sequence[str], folders: Sequence[str], strips: Mapping[int, str],
    root: str | None, ending: str,
) -> dict[str, Any]:  # fmt: skip
    """What the page's scripts know of the videos; all numbers are in the order of the videos.

    Args:
        names: of the classes.
        folders: what the folders are called.
        strips: data URIs of frames, by number of the video.
        root: where the videos lie, seen from the page; None where that is not known.
        ending: what the name of a video's file has behind its name.
    """
    first = parts[0]
    kept = min(ANSWERS, first.num_classes)
    kind = "u2" if first.num_classes <= 65536 else "u4"
    best = [part.best(kept) for part in parts]
    probabilities = [np.take_along_axis(part.probabilities, b, axis=1) for part, b in zip(parts, best, strict=True)]
    return {
        "classes": list(names),
        "folders": list(folders),
        "bytes": int(kind[1]),
        "labels": packed(first.labels, kind),
        "videos": None if first.videos is None else "\n".join(" ".join(name.splitlines()) for name in first.videos),
        "kept": kept,
        "answers": [packed(each, kind) for each in best],
        "scale": SCALE,
        "probabilities": [packed((SCALE * each).round(), "u2") for each in probabilities],
        "strips": {str(number): uri for number, uri in strips.items()},
        "root": root,
        "ending": ending,
    }
