"""What a check finds out about a video: its size, its number of frames, and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

SHOWN = 3  # numbers or names that a message gives


@dataclass(frozen=True)
class ListedVideo:
    """A video file or a folder of images that a list names; a task of worker_pool.py."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path)

    def clean_up(self) -> None:
        """Reading leaves nothing behind."""


class Problem(NamedTuple):
    """What is wrong with a video: in a word, in a sentence, and whether it must not be trained on."""

    kind: str
    detail: str
    unusable: bool = True


class Facts(NamedTuple):
    """What there is at a path.

    Args:
        frames: frames of a video as its reader counts them; images of a folder without a gap from the first.
        size: bytes of the file, or of all images.
        problems: what is wrong.
        stood_in: PyAV read a file, in place of the decoder that was asked for.
    """

    frames: int
    size: int
    problems: tuple[Problem, ...]
    stood_in: bool = False


def absent(path: Path) -> Facts:
    return Facts(0, 0, (Problem("missing", "nothing there"),))


def without_path(error: Exception, path: Path) -> str:
    """An error's message without the path that the report names anyway."""
    return str(error).removeprefix(f"{path}/").removeprefix(f"{path}: ")


def some(texts: Sequence[str], separator: str = ", ") -> str:
    """The first few of some texts, and how many more there are."""
    rest = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return separator.join(texts[:SHOWN]) + rest


def in_numbers(sizes: Counter[str]) -> str:
    return ", ".join(f"{size} ({count} frames)" for size, count in sizes.most_common())
