"""The packet indexes of a run's machines: who writes which; what two of them say of a video must be the same.

Each machine has one of its own, or all have one in a shared folder. An index is a memory, not a list: each machine has
opened other videos so far, and what it knows of one that has changed no longer counts. So only videos are compared that
two machines know.
"""

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ops.runtime import InputError, distributed, exchange, get_logger, launcher, this_process
from ops.video.index.known import state_of
from ops.video.index.packet_index import NAME, PacketIndex, digest_of

ROW = np.dtype([("name", np.uint64), ("digest", np.int64)])  # a number that stands for a video's name; of its frames
LOOKED_AT = 10_000  # of the videos of a machine that differ


class _Said(NamedTuple):
    """What a process says of a video: the process, the index, the video's name, what is known, as words and digest."""

    who: str
    file: str
    name: str
    words: str
    digest: int


def index_beside(video_list: Path, root: Path) -> PacketIndex | None:
    """The index of the lists in a folder, made if there is none; None, and a line that says why, where that cannot be.

    Every process of a run calls it. The processes of a machine write, unless an earlier machine has the same file:
    locks of files on a network are not to be trusted over machines.
    """
    index = PacketIndex(video_list.with_name(NAME), root)
    first_here = launcher.rank() - launcher.local_rank()
    number, problem = None, None
    for is_turn in (first_here == 0, first_here > 0):  # a shared folder has that of the first machine by then
        if is_turn:
            try:
                number = index.create()
            except sqlite3.Error as error:
                where = f"{index.file}, {this_process()}" if first_here else index.file
                problem = (
                    f"{where}: no index of packets is kept, so opening a video takes a few milliseconds more: {error}"
                )
        exchange.barrier()
    found = exchange.from_all((number, first_here, problem))
    index.writes = first_here == min(first for other, first, _ in found if other == number)
    if launcher.rank() == 0:
        for line in {first: line for _, first, line in reversed(found) if line is not None}.values():  # one a machine
            get_logger().warning("%s", line)
    return index if problem is None else None


def require_same_frames(lists: Sequence[Path], root: Path, videos: Callable[[], Iterable[Path]]) -> None:
    """Compare the packet indexes beside lists over machines, by digest; every process calls it.

    Args:
        lists: of the run.
        root: of their videos.
        videos: all of them; called only where something differs.

    Raises:
        InputError: two machines know a video otherwise; names the machines, their indexes and the video.
    """
    if distributed.world_size() == 1:
        return
    files = dict.fromkeys(path.with_name(NAME) for path in lists) if launcher.local_rank() == 0 else ()
    indexes = [PacketIndex(file, root, writes=False) for file in files]
    try:
        rows = _rows(indexes)
        digests = exchange.from_all(hashlib.sha256(rows.tobytes()).hexdigest() if len(rows) else None)
        different = [digests.index(digest) for digest in dict.fromkeys(digests) if digest is not None]
        for rank in different[:-1]:
            _compare(indexes, rows, rank, videos)
    finally:
        for index in indexes:
            index.close()


def _compare(indexes: Sequence[PacketIndex], rows: np.ndarray, rank: int, videos: Callable[[], Iterable[Path]]) -> None:
    """Compare the videos of every machine with those of one process; all of them call it."""
    is_it = distributed.rank() == rank
    its_rows = np.frombuffer(exchange.bytes_from(rank, rows.tobytes() if is_it else None), ROW)
    _, own, its = np.intersect1d(rows["name"], its_rows["name"], assume_unique=True, return_indices=True)
    differ = own[rows["digest"][own] != its_rows["digest"][its]]
    found = exchange.from_all(_said(indexes, rows["name"][differ].tolist(), videos))
    asked = {number for of_one in found for number in of_one}
    expected = exchange.from_all(_said(indexes, asked, videos) if is_it else {})[rank]
    for of_one in found:
        for number in sorted(of_one.keys() & expected.keys()):
            if of_one[number].digest != expected[number].digest:
                raise InputError(_difference(expected[number], of_one[number]))


def _rows(indexes: Sequence[PacketIndex]) -> np.ndarray:
    """ROW (R,) of the videos in indexes, sorted by name; the first index counts where two have one."""
    pairs = ((_number(name), digest) for index in indexes for name, digest in index.digests())
    rows = np.fromiter(pairs, ROW)
    return rows[np.unique(rows["name"], return_index=True)[1]]


def _number(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")


def _said(
    indexes: Sequence[PacketIndex], numbers: Iterable[int], videos: Callable[[], Iterable[Path]]
) -> dict[int, _Said]:
    """What this machine says of videos, by the numbers of their names: of the run's whose files have not changed."""
    wanted, said = set(numbers), dict[int, _Said]()
    of_run = {os.path.abspath(video) for video in videos()} if wanted and indexes else set()
    for index in indexes:
        for name in [name for name, _ in index.digests() if _number(name) in wanted]:
            with suppress(OSError):  # it is not there any more
                state = state_of(index.path(name))
                known = index.recall(state) if state.path in of_run and len(said) < LOOKED_AT else None
                if known is not None:
                    words = f"{state.size} bytes, {known.length} frames"
                    words += "" if known.places is not None else ", damaged or without usable times"
                    file, digest = str(index.file), digest_of(state.size, known)
                    said.setdefault(_number(name), _Said(this_process(), file, name, words, digest))
    return said


def _difference(one: _Said, other: _Said) -> str:
    got = f"{other.words} instead of {one.words}" if other.words != one.words else "others, of the same number"
    return (
        f"{other.file}, {other.who}: expected the frames of {other.name} as in {one.file}, {one.who}, got {got} "
        f"(if both have the same video, run check_dataset.py on both machines, or delete both indexes)"
    )
