"""One of N parts of the videos, for a job array or several hosts: which videos it has follows from their names alone.

A name's digest is a place on a line of 2^32 places, and part K of N is the K-th N-th of the line. So the parts are
disjoint and complete whatever else lies in the folder, parts of different N overlap where their pieces of the line do,
and a lock on a piece of a file as long as the line keeps two runs from the same videos.
"""

from __future__ import annotations

import argparse
import hashlib
import os
from dataclasses import dataclass

from ops.runtime import InputError

PLACES = 2**32


@dataclass(frozen=True)
class Shard:
    """Part ``number`` of ``count``, from 1."""

    number: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise InputError(f"expected --shard K/N with K from 1 to N, got {self.number}/{self.count}")

    @property
    def first(self) -> int:
        """Its first place on the line."""
        return -(-(self.number - 1) * PLACES // self.count)

    @property
    def places(self) -> int:
        """How many places it has; of the whole line 0, as a lock of a whole file has it."""
        return 0 if self.count == 1 else -(-self.number * PLACES // self.count) - self.first

    def has(self, name: str) -> bool:
        """Whether the video of this name, relative to the folder of all, belongs to this part."""
        if self.count == 1:
            return True
        digest = hashlib.blake2b(name.encode(errors="surrogateescape"), digest_size=4).digest()
        return int.from_bytes(digest, "big") * self.count // PLACES == self.number - 1

    @property
    def suffix(self) -> str:
        """Behind the names of this part's own files: ``_3of200``, or nothing for all videos."""
        return "" if self.count == 1 else f"_{self.number}of{self.count}"

    def __str__(self) -> str:
        return f"part {self.number} of {self.count}"


EVERYTHING = Shard()


def add_shard_options(parser: argparse.ArgumentParser) -> None:
    """``--shard`` and ``--status``."""
    add = parser.add_argument
    add("--shard", type=_shard, metavar="K/N",
        help="do only the K-th of N parts of the videos, which their names decide; start it once for each K, at any "
        "time, on any host (default: everything; in a SLURM job array the part of this task)")  # fmt: skip
    add("--status", action="store_true",
        help="only count what is done, failed and missing, over all parts (default: do it)")  # fmt: skip


def shard_of(parsed: argparse.Namespace) -> Shard:
    """The part that a command line asks for, or SLURM where it asks for none: a task of a job array is one part.

    Raises:
        InputError: the array's numbers leave gaps.
    """
    if parsed.shard is not None:
        return parsed.shard
    names = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX", "SLURM_ARRAY_TASK_COUNT")
    if parsed.status or names[0] not in os.environ:
        return EVERYTHING
    texts = [os.environ.get(name, "") for name in names]
    if not all(text.isdecimal() for text in texts):
        raise InputError(f"expected whole numbers in {', '.join(names)}, got {', '.join(map(repr, texts))}")
    task, low, high, count = map(int, texts)
    if high - low + 1 != count:
        got = f"{count} tasks from {low} to {high}"
        raise InputError(f"expected a job array without gaps, as --array=1-{count}, got {got}")
    return Shard(task - low + 1, count)


def _shard(text: str) -> Shard:
    number, slash, count = text.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise argparse.ArgumentTypeError(f"expected K/N with K from 1 to N, as 3/200, got {text!r}")
    return Shard(int(number), int(count))
