"""Which videos a data-preparation script finds, and which of them are still to be done."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ops.preparation.jobs.output_items import Item
from ops.runtime import Failure, InputError

VIDEO_SUFFIXES = frozenset(
    (".mp4", ".webm", ".avi", ".mkv", ".mov", ".m4v", ".mpg", ".mpeg", ".flv", ".wmv", ".3gp", ".ts", ".ogv")
)


@dataclass(frozen=True)
class Plan:
    """What a run has to do.

    Args:
        todo: items without an output.
        finished: how many outputs are there already.
        failures: items that cannot be begun.
        ignored: files that are no videos, by their names.
    """

    todo: tuple[Item, ...]
    finished: int
    failures: tuple[Failure, ...]
    ignored: int


def find_videos(source: Path, out: Path | None = None) -> tuple[list[Path], int]:
    """Paths, relative to ``source``, of the videos in it, in order, and the number of other files.

    Hidden files and folders and the folder ``out`` are passed by; links to folders are followed, each folder once.
    """
    found: list[Path] = []
    others = 0
    seen = {out.resolve()} if out is not None else set()
    for folder, subfolders, names in os.walk(source, followlinks=True):
        fresh = []
        for name in sorted(subfolders):
            real = Path(folder, name).resolve()
            if not name.startswith(".") and real not in seen:
                seen.add(real)
                fresh.append(name)
        subfolders[:] = fresh
        for name in names:
            if not name.startswith("."):
                is_video = Path(name).suffix.lower() in VIDEO_SUFFIXES
                others += not is_video
                if is_video:
                    found.append(Path(folder, name).relative_to(source))
    return sorted(found), others


def plan_batch(source: Path, out: Path, suffix: str, first: str) -> Plan:
    """Matches the videos of ``source`` with outputs in ``out``.

    Args:
        source: a folder, or one video.
        out: folder of the outputs.
        suffix: ending of an output's name, instead of the video's.
        first: name of a file that an output, if it is a folder, contains.
    """
    if source.is_file():
        videos, ignored, source = [Path(source.name)], 0, source.parent
    elif source.is_dir():
        if source.resolve() == out.resolve():
            raise InputError(f"expected OUT to be another folder than VIDEOS, got {out} twice")
        videos, ignored = find_videos(source, out)
    else:
        raise InputError(f"{source}: expected a folder of videos or a video, got no such file")
    if not videos:
        raise InputError(f"{source}: expected videos ({', '.join(sorted(VIDEO_SUFFIXES))}), got none")
    todo, failures = [], []
    output_of = {video: out / video.with_name(video.stem + suffix) for video in videos}
    owner = {output: video for video, output in reversed(output_of.items())}  # the first of several
    finished = 0
    for video, output in output_of.items():
        inside = next((owner[parent] for parent in output.parents if parent in owner), None)
        if owner[output] != video:
            reason = f"expected an output of its own, got that of {owner[output]}: {output}"
            failures.append(Failure(str(video), reason))
        elif inside is not None:
            failures.append(
                Failure(str(video), f"expected an output of its own, got one in that of {inside}: {output}")
            )
        elif is_foreign(output, first):
            failures.append(Failure(str(video), f"expected nothing or a complete output, got something else: {output}"))
        elif is_finished(output):
            finished += 1
        else:
            todo.append(Item(str(video), source / video, output))
    return Plan(tuple(todo), finished, tuple(failures), ignored)


def is_finished(output: Path) -> bool:
    """Whether an output is there; an empty folder is none."""
    if output.is_dir():
        return next(output.iterdir(), None) is not None
    return output.exists()


def is_foreign(output: Path, first: str) -> bool:
    """Whether something is in the place of an output that this tool did not make."""
    if first and output.is_dir():
        return is_finished(output) and not (output / first).is_file()
    return output.is_dir() != bool(first) and output.exists()
