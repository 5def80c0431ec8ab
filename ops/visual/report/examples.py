"""Which classes and videos a report shows frames of. N videos, K classes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ops.evaluation import ScoredVideos

VIDEOS = 3  # of a class


@dataclass(frozen=True)
class Example:
    """A class and some of its videos, by number."""

    label: int
    videos: tuple[int, ...]


@dataclass(frozen=True)
class Group:
    """Classes under a heading; ``remark`` says which of their videos are shown."""

    title: str
    remark: str
    examples: tuple[Example, ...]


def choose_examples(parts: Sequence[ScoredVideos], shown: int) -> list[Group]:
    """The worst and the best classes; of two folders also those in which the second is much worse or better.

    Args:
        parts: scores of one or two folders, of the same videos.
        shown: most classes in a group.
    """
    labels, num_classes = parts[0].labels, parts[0].num_classes
    right = np.stack([part.right for part in parts])  # (folders, N)
    confidence = np.mean([part.probabilities.max(axis=1) for part in parts], axis=0)  # (N,)
    counts = np.bincount(labels, minlength=num_classes)
    there = np.flatnonzero(counts)

    def mean_of_classes(values: np.ndarray) -> np.ndarray:
        """(K,) of (N,); 0 for classes without videos."""
        return np.bincount(labels, weights=values, minlength=num_classes) / np.maximum(counts, 1)

    def group(title: str, remark: str, order: np.ndarray, most: int, wanted: np.ndarray) -> Group:
        """The first classes by (K,) ``order``, with the videos (N,) that are ``wanted``, the most confident first."""
        classes = there[np.lexsort((there, -counts[there], order[there]))][:most]
        found = []
        for label in classes.tolist():
            videos = np.flatnonzero((labels == label) & wanted)
            videos = videos[np.argsort(-confidence[videos], kind="stable")][:VIDEOS]
            found.append(Example(label, tuple(videos.tolist())))
        return Group(title, remark, tuple(found))

    accuracy = mean_of_classes(right.mean(axis=0))
    worst, best = min(shown, (len(there) + 1) // 2), min(shown, len(there) // 2)
    wrong, right_ones = (
        ("a wrong answer", "the right answer") if len(parts) == 1 else ("wrong answers", "right answers")
    )
    groups = [
        group("Worst classes", f"videos with {wrong}, the most confident first", accuracy, worst,
              np.asarray(~right.any(axis=0))),
        group("Best classes", f"videos with {right_ones}, the most confident first", -accuracy, best,
              np.asarray(right.all(axis=0))),
    ]  # fmt: skip
    if len(parts) == 2:
        gain = mean_of_classes(right[1].astype(float) - right[0])
        groups += [
            group("Most lost", "videos that only the first gets right", gain, min(shown, int((gain < 0).sum())),
                  right[0] & ~right[1]),
            group("Most gained", "videos that only the second gets right", -gain, min(shown, int((gain > 0).sum())),
                  right[1] & ~right[0]),
        ]  # fmt: skip
    return [each for each in groups if each.examples]


def videos_of(groups: Sequence[Group]) -> Iterator[int]:
    """All videos of some groups, each once, in order of number."""
    yield from sorted({video for group in groups for example in group.examples for video in example.videos})
