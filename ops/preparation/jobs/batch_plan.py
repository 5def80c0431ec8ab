"""Which videos a data-preparation script finds, and which of them are still to be done."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ops.preparation.jobs.output_items import Item
from ops.preparation.jobs.shards import Shard
from ops.preparation.video_files import describe_skipped, find_videos
from ops.runtime import Failure, InputError


@dataclass(frozen=True)
class Plan:
    """What a run has to do.

    Args:
        todo: items without an output.
        finished: names of the videos whose outputs exist.
        failures: items that cannot be started.
        others: how many files that are not videos have which ending.
    """

    todo: tuple[Item, ...]
    finished: tuple[str, ...]
    failures: tuple[Failure, ...]
    others: Mapping[str, int]


def plan_batch(source: Path, out: Path, suffix: str, first: str, shard: Shard) -> Plan:
    """Matches the videos of ``source`` with outputs in ``out``.

    Args:
        source: a folder, or one video.
        out: folder of the outputs.
        suffix: ending of an output's name, instead of the video's.
        first: name of a file that an output, if it is a folder, contains.
        shard: of the videos; their outputs alone are looked for, and each folder of outputs is listed once.
    """
    others: Counter[str] = Counter()
    if source.is_file():
        videos, source = [Path(source.name)], source.parent
    elif source.is_dir():
        if source.resolve() == out.resolve():
            raise InputError(f"expected OUT to be another folder than VIDEOS, got {out} for both")
        videos, others = find_videos(source, out)
    else:
        raise InputError(f"{source}: expected a folder of videos or a video, got no such file")
    if not videos:
        got = describe_skipped(others) if others else "no file"
        raise InputError(f"{source}: expected videos, like .mp4 or .webm, got none: {got}")
    names = [video.as_posix() for video in videos]
    output_of = {name: os.path.splitext(name)[0] + suffix for name in names}
    owner = {output: name for name, output in reversed(output_of.items())}  # the first of several
    there = _Listings(out)
    todo, failures, finished = [], [], []
    for name, output in output_of.items():
        if not shard.has(name):
            continue
        problem = _clash(name, output, owner, out) or there.problem(output, first)
        if problem is not None:
            failures.append(Failure(name, problem))
        elif there.is_finished(output):
            finished.append(name)
        else:
            todo.append(Item(name, source / name, out / output))
    return Plan(tuple(todo), tuple(finished), tuple(failures), others)


def _clash(name: str, output: str, owner: Mapping[str, str], out: Path) -> str | None:
    """What another video makes impossible, in words."""
    if owner[output] != name:
        return f"its output would have the same path as that of {owner[output]}: {out / output}"
    parts = output.split("/")
    above = ("/".join(parts[:depth]) for depth in range(len(parts) - 1, 0, -1))
    inside = next((owner[folder] for folder in above if folder in owner), None)
    return None if inside is None else f"its output would lie inside the output folder of {inside}: {out / output}"


def _leads_nowhere(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() and not os.path.exists(entry)


class _Listings:
    """What there is in the folders of outputs; each is listed once, which a slow file system thanks."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self._folders: dict[str, dict[str, bool]] = {}
        self._with_first: set[str] = set()

    def _in(self, folder: str) -> dict[str, bool]:
        """Names in a folder, and whether each is a folder itself."""
        if folder not in self._folders:
            above, _, name = folder.rpartition("/")
            if folder and name not in self._in(above):
                return self._folders.setdefault(folder, {})
            try:
                with os.scandir(self.out / folder) as entries:
                    self._folders[folder] = {
                        entry.name: entry.is_dir() for entry in entries if not _leads_nowhere(entry)
                    }
            except (FileNotFoundError, NotADirectoryError):
                self._folders[folder] = {}
        return self._folders[folder]

    def is_finished(self, output: str) -> bool:
        """Whether an output exists; an empty folder does not count."""
        folder, _, name = output.rpartition("/")
        is_folder = self._in(folder).get(name)
        return is_folder is not None and (not is_folder or output in self._with_first or self._is_filled(output))

    def problem(self, output: str, first: str) -> str | None:
        """That the output's path is taken by something that this tool did not make, in words."""
        folder, _, name = output.rpartition("/")
        is_folder = self._in(folder).get(name)
        if is_folder is None:
            return None
        if first and is_folder:
            if (self.out / output / first).is_file():
                self._with_first.add(output)
            foreign = output not in self._with_first and self._is_filled(output)
        else:
            foreign = is_folder != bool(first)
        return f"expected no file or a complete output at {self.out / output}, got something else" if foreign else None

    def _is_filled(self, output: str) -> bool:
        with os.scandir(self.out / output) as entries:
            return next(entries, None) is not None
