"""The videos of a folder of scores, one by one: what was said of each. N videos, K classes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from ops.evaluation.measurement import has_top5
from ops.evaluation.results import protocol_line
from ops.evaluation.score_averaging import as_probabilities, average_views, label_ranks
from ops.runtime import InputError, plural

_VIEW = re.compile(r"(\d+)_crop(\d+)\.pkl")


@dataclass(frozen=True)
class ScoredVideos:
    """Videos with their averaged scores.

    Args:
        folder: where the scores lie.
        scores: (N, K) averages over views.
        labels: (N,)
        rule: what was averaged, one of AVERAGED.
        protocol: how it was measured.
        videos: names, as in their list; None where the scores do not say.
        dataset: name of the data set, likewise.
        class_names: empty where the scores do not say.
    """

    folder: Path
    scores: np.ndarray
    labels: np.ndarray
    rule: str
    protocol: str
    videos: tuple[str, ...] | None
    dataset: str | None
    class_names: tuple[str, ...]

    @property
    def num_classes(self) -> int:
        return int(self.scores.shape[1])

    @property
    def has_top5(self) -> bool:
        return has_top5(self.num_classes)

    @cached_property
    def probabilities(self) -> np.ndarray:
        """(N, K)"""
        return as_probabilities(self.scores, self.rule)

    @cached_property
    def ranks(self) -> np.ndarray:
        """(N,) place of the label among the scores, from 0."""
        return label_ranks(self.scores, self.labels)

    @property
    def right(self) -> np.ndarray:
        """(N,) whether the class with the highest score is the label."""
        return np.asarray(self.ranks == 0)

    def best(self, count: int) -> np.ndarray:
        """(N, count) classes with the highest scores; of equal scores the lower class is first."""
        return np.argsort(-self.scores, axis=1, kind="stable")[:, :count]

    def at(self, places: Sequence[int]) -> "ScoredVideos":
        """Some of the videos, in this order."""
        videos = self.videos and tuple(self.videos[i] for i in places)
        return replace(self, scores=self.scores[list(places)], labels=self.labels[list(places)], videos=videos)


def read_scored_videos(
    folder: Path, num_clips: int | None = None, num_crops: int | None = None, rule: str | None = None
) -> ScoredVideos:
    """Average the views of a folder.

    Args:
        num_clips, num_crops: None: as many as there are.
        rule: what is averaged; None: as recorded, or softmax.

    Raises:
        InputError: there are none, or they do not belong together.
    """
    clips, crops = views_in(folder)
    clips, crops = num_clips or clips, num_crops or crops
    found = average_views(folder, clips, crops, rule)
    measured = found.first.measurement
    return ScoredVideos(
        folder=folder,
        scores=found.averaged,
        labels=found.labels,
        rule=found.rule,
        protocol=protocol_line([folder], clips, crops, [found]),
        videos=found.first.videos,
        dataset=None if measured is None else measured.dataset,
        class_names=found.first.class_names,
    )


def views_in(folder: Path) -> tuple[int, int]:
    """Numbers of clips and crops that the score files of a folder have.

    Raises:
        InputError: it is no folder, or has no score files.
    """
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError as error:
        raise InputError(f"{folder}: expected a folder of scores, got {error.strerror}") from None
    views = [tuple(map(int, found.groups())) for name in names if (found := _VIEW.fullmatch(name))]
    if not views:
        raise InputError(f"{folder}: expected score files of a test script, like 0_crop0.pkl, got none")
    return max(clip for clip, _ in views) + 1, max(crop for _, crop in views) + 1


def of_the_same_videos(first: ScoredVideos, second: ScoredVideos) -> tuple[ScoredVideos, ScoredVideos]:
    """Both with the videos that both have, in the order of the first.

    Raises:
        InputError: they are of different classes or videos, or disagree on a label.
    """
    where = f"{second.folder}: expected"
    if first.num_classes != second.num_classes:
        raise InputError(f"{where} {first.num_classes} classes as in {first.folder}, got {second.num_classes}")
    for label, (a, b) in enumerate(zip(first.class_names, second.class_names, strict=False)):
        if a != b:
            raise InputError(f"{where} the name {a!r} of class {label} as in {first.folder}, got {b!r}")
    first, second = _in_common(first, second)
    for i in np.flatnonzero(first.labels != second.labels)[:1]:
        name = repr(first.videos[i]) if first.videos is not None else str(i)
        label, other = first.labels[i], second.labels[i]
        raise InputError(f"{where} label {label} of video {name} as in {first.folder}, got {other}")
    return first, second


def _in_common(first: ScoredVideos, second: ScoredVideos) -> tuple[ScoredVideos, ScoredVideos]:
    if first.videos is None or second.videos is None or first.videos == second.videos:
        counts = [plural(len(part.labels), "video") for part in (first, second)]
        if counts[0] != counts[1]:
            raise InputError(f"{second.folder}: expected {counts[0]} as in {first.folder}, got {counts[1]}")
        return first, second
    places = {name: place for place, name in enumerate(second.videos)}
    both = [(i, places[name]) for i, name in enumerate(first.videos) if name in places]
    if not both:
        raise InputError(f"{second.folder}: expected scores of the videos of {first.folder}, got none of them")
    mine, others = zip(*both, strict=True)
    return first.at(mine), second.at(others)
