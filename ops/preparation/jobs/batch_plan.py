"""Which videos a data-preparation script finds, and which of them are still to be done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ops.preparation.jobs.output_items import Item
from ops.preparation.video_files import describe_skipped, find_videos
from ops.runtime import Failure, InputError


@dataclass(frozen=True)
class Plan:
    """What a run has to do.

    Args:
        todo: items without an output.
        finished: how many outputs exist.
        failures: items that cannot be started.
        others: how many files that are not videos have which ending.
    """

    todo: tuple[Item, ...]
    finished: int
    failures: tuple[Failure, ...]
    others: Mapping[str, int]


def plan_batch(source: Path, out: Path, suffix: str, first: str) -> Plan:
    """Matches the videos of ``source`` with outputs in ``out``.

    Args:
        source: a folder, or one video.
        out: folder of the outputs.
        suffix: ending of an output's name, instead of the video's.
        first: name of a file that an output, if it is a folder, contains.
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
    todo, failures = [], []
    output_of = {video: out / video.with_name(video.stem + suffix) for video in videos}
    owner = {output: video for video, output in reversed(output_of.items())}  # the first of several
    finished = 0
    for video, output in output_of.items():
        inside = next((owner[parent] for parent in output.parents if parent in owner), None)
        if owner[output] != video:
            failures.append(
                Failure(str(video), f"its output would have the same path as that of {owner[output]}: {output}")
            )
        elif inside is not None:
            failures.append(Failure(str(video), f"its output would lie inside the output folder of {inside}: {output}"))
        elif is_foreign(output, first):
            failures.append(
                Failure(str(video), f"expected no file or a complete output at {output}, got something else")
            )
        elif is_finished(output):
            finished += 1
        else:
            todo.append(Item(str(video), source / video, output))
    return Plan(tuple(todo), finished, tuple(failures), others)


def is_finished(output: Path) -> bool:
    """Whether an output exists; an empty folder does not count."""
    if output.is_dir():
        return next(output.iterdir(), None) is not None
    return output.exists()


def is_foreign(output: Path, first: str) -> bool:
    """Whether the output's path is taken by something that this tool did not make."""
    if first and output.is_dir():
        return is_finished(output) and not (output / first).is_file()
    return output.is_dir() != bool(first) and output.exists()
