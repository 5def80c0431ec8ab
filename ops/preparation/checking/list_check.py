"""What is wrong with lists, given what was found at the paths in them.

A finding belongs to a line, or to a whole list. Of a video that a list names twice, the first line stays; of a video
that several lists name, the line in the last of them, so that nothing that is validated on is trained on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ops.data import DatasetSpec, parse_list, video_path
from ops.preparation.checking.facts import Facts, ListedVideo, Problem, some


@dataclass(frozen=True)
class Entry:
    """A line of a list.

    Args:
        number: of the line, from 1.
        text: as it stands.
        video: what it names; None if the line is wrong.
        num_frames: as it says; None for video files.
        label: as it says; -1 if the line is wrong.
        error: what is wrong with the line, or nothing.
    """

    number: int
    text: str
    video: ListedVideo | None
    num_frames: int | None = None
    label: int = -1
    error: str = ""


@dataclass(frozen=True)
class VideoList:
    """A list file and its lines."""

    path: Path
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Finding:
    """A problem of an entry, or of a whole list (None)."""

    entry: Entry | None
    problem: Problem

    def line(self) -> int:
        """Number of the line; 0 of the whole list."""
        return self.entry.number if self.entry else 0


def read_entries(path: Path, spec: DatasetSpec) -> VideoList:
    """The lines of a list, right or wrong.

    Raises:
        InputError: the file is missing or empty.
    """
    entries = []
    for number, text, record in parse_list(path, spec):
        if isinstance(record, ValueError):
            entries.append(Entry(number, text, None, error=str(record)))
        else:
            video = ListedVideo(video_path(record, spec))
            entries.append(Entry(number, text, video, record.num_frames, record.label))
    return VideoList(path, tuple(entries))


def videos_of(lists: Sequence[VideoList]) -> list[ListedVideo]:
    """What the lists name, each once."""
    return list(dict.fromkeys(entry.video for part in lists for entry in part.entries if entry.video))


def find_problems(
    lists: Sequence[VideoList],
    spec: DatasetSpec,
    facts: Mapping[ListedVideo, Facts],
    digests: Mapping[ListedVideo, str],
) -> list[list[Finding]]:
    """The findings of each list, in order of its lines."""
    found = []
    for place, part in enumerate(lists):
        findings = [
            *line_findings(part, facts),
            *repeated_findings(part),
            *shared_findings(part, lists[:place], lists[place + 1 :]),
            *content_findings(part, lists, digests),
        ]
        found.append([*sorted(findings, key=Finding.line), *class_findings(part, spec)])
    return found


def line_findings(part: VideoList, facts: Mapping[ListedVideo, Facts]) -> Iterator[Finding]:
    """Wrong lines, broken videos, and lines that contradict their videos."""
    for entry in part.entries:
        if entry.video is None:
            yield Finding(entry, Problem("line", entry.error))
            continue
        there = facts[entry.video]
        yield from (Finding(entry, problem) for problem in there.problems)
        counted = there.frames or not any(problem.unusable for problem in there.problems)
        if entry.num_frames is not None and counted and entry.num_frames != there.frames:
            detail = f"the list says {entry.num_frames} frames, the folder has {there.frames} without a gap"
            yield Finding(entry, Problem("frame count", detail, unusable=entry.num_frames > there.frames))


def repeated_findings(part: VideoList) -> Iterator[Finding]:
    """Lines that name what an earlier one names."""
    first: dict[ListedVideo, Entry] = {}
    for entry in part.entries:
        if entry.video is None:
            continue
        earlier = first.setdefault(entry.video, entry)
        if earlier is not entry:
            label = "" if earlier.label == entry.label else f", under label {earlier.label}"
            yield Finding(entry, Problem("repeated", f"the same path as line {earlier.number}{label}"))


def shared_findings(part: VideoList, earlier: Sequence[VideoList], later: Sequence[VideoList]) -> Iterator[Finding]:
    """Lines that name what another list names; they stay in the last list only."""
    for others, unusable in ((earlier, False), (later, True)):
        for other in others:
            line_of = {entry.video: entry.number for entry in reversed(other.entries)}
            for entry in part.entries:
                if entry.video is not None and entry.video in line_of:
                    detail = f"the same path as line {line_of[entry.video]} of {other.path.name}"
                    yield Finding(entry, Problem("other list", detail, unusable))


def content_findings(
    part: VideoList, lists: Sequence[VideoList], digests: Mapping[ListedVideo, str]
) -> Iterator[Finding]:
    """Lines whose videos have the same bytes as others, under other paths."""
    owners: dict[str, dict[ListedVideo, str]] = {}
    for other in lists:
        for entry in other.entries:
            if entry.video is not None and entry.video in digests:
                place = f"line {entry.number}" + (f" of {other.path.name}" if other is not part else "")
                owners.setdefault(digests[entry.video], {}).setdefault(entry.video, place)
    for entry in part.entries:
        if entry.video is not None and entry.video in digests:
            twins = [place for video, place in owners[digests[entry.video]].items() if video != entry.video]
            if twins:
                yield Finding(entry, Problem("same content", f"the same bytes as {some(twins)}", unusable=False))


def class_findings(part: VideoList, spec: DatasetSpec) -> Iterator[Finding]:
    """Classes of which the list has no video."""
    seen = {entry.label for entry in part.entries}
    names = spec.class_names or tuple(map(str, range(spec.num_classes)))
    without = [f"{label} ({names[label]})" for label in range(spec.num_classes) if label not in seen]
    if without:
        detail = f"{len(without)} of {spec.num_classes} classes have no video: {some(without)}"
        yield Finding(None, Problem("classes", detail, unusable=False))


def same_size(facts: Mapping[ListedVideo, Facts]) -> list[ListedVideo]:
    """Media that have their number of frames and of bytes in common with another."""
    groups: dict[tuple[int, int], list[ListedVideo]] = {}
    for video, there in facts.items():
        if there.size:
            groups.setdefault((there.frames, there.size), []).append(video)
    return [video for group in groups.values() if len(group) > 1 for video in group]
