"""A check of lists: every video read in worker processes, then a report on each list.

Each video is read in a process of its own kind, with a time limit: one that crashes or hangs its decoder fails, and no
other does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.data import DatasetSpec
from ops.preparation.checking import reports
from ops.preparation.checking.facts import Facts, ListedVideo, Problem, some
from ops.preparation.checking.inspection import Inspect, digest
from ops.preparation.checking.journal import Journal, Known, facts_in
from ops.preparation.checking.list_check import Finding, VideoList, find_problems, read_entries, same_size, videos_of
from ops.preparation.jobs.shards import EVERYTHING, Shard
from ops.runtime import (
    SHOWN,
    Done,
    Failure,
    InputError,
    plural,
    print_any_name,
    progress_bar,
    run_tasks,
    show,
    try_lock,
)
from ops.video import PacketIndex, choose_decoder, index_beside

JOURNAL = ".check_dataset{}.jsonl"  # of all videos, or of one part of them


@dataclass(frozen=True)
class CheckOptions:
    """How lists are checked.

    Args:
        decoder: of video files.
        jobs: number of worker processes.
        timeout: seconds after which reading a video fails; 0 for no limit.
        report: folder of the reports; None for that of each list.
        write_clean: also write lists without what cannot be used.
        verify_frames: compare the frames that training reads with those of plain decoding.
        shard: only these videos are read, and nothing is reported; a check of all takes over what is known.
        status: nothing is read.
    """

    decoder: str
    jobs: int
    timeout: float
    report: Path | None
    write_clean: bool
    verify_frames: bool = False
    shard: Shard = EVERYTHING
    status: bool = False


def check_lists(spec: DatasetSpec, paths: Sequence[Path], options: CheckOptions) -> int:
    """Check lists of a data set and write the reports; returns the exit status."""
    print_any_name()
    lists = [read_entries(path, spec) for path in paths]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return check(spec, lists, options)
    except KeyboardInterrupt:
        print("interrupted; run the same command to continue", file=sys.stderr)
        return 130


def check(spec: DatasetSpec, lists: Sequence[VideoList], options: CheckOptions) -> int:
    """Checks the lists and reports; returns the exit status."""
    if not spec.root.is_dir():
        raise InputError(f"{spec.root}: expected the root folder of data set {spec.name}, got no such folder")
    check_targets(lists, options.report)
    decoder = choose_decoder(options.decoder) if spec.storage == "videos" else "images"
    settings = {
        "storage": spec.storage,
        "image_tmpl": spec.image_tmpl,
        "decoder": decoder,
        "verify_frames": options.verify_frames,
    }
    folder, videos = options.report or lists[0].path.parent, videos_of(lists)
    if options.status:
        return show_status(folder, settings, videos)
    own = folder / JOURNAL.format(options.shard.suffix)
    with Journal(own, settings) as journal:
        indexes = [*indexes_beside(lists, spec)]
        work = Inspect(spec, decoder, options.verify_frames, indexes[0] if indexes else None)
        if options.shard.count > 1:
            return check_shard(spec, videos, work, options, journal)
        parts = journals_of_parts(folder, settings)
        for known in parts.values():
            journal.known.update(known)
        facts = inspect_all(videos, work, options, journal)
        for index in indexes[1:]:
            named = videos_of([part for part in lists if part.path.parent == index.file.parent])
            indexes[0].copy_to(index, [video.path for video in named])
        found = find_problems(lists, spec, facts, digest_all(facts, options))
        say_what_stood_in(facts, decoder)
        described = f"data set {spec.name}, {spec.storage}, {plural(spec.num_classes, 'class')}"
        for part, findings in zip(lists, found, strict=True):
            report(part, findings, described, options)
        journal.finish()
        for path in parts:
            path.unlink(missing_ok=True)
    return 1 if any(found) else 0


def indexes_beside(lists: Sequence[VideoList], spec: DatasetSpec) -> Iterator[PacketIndex]:
    """That of packets in each folder of lists of video files, where there can be one."""
    for folder in dict.fromkeys(part.path.parent for part in lists if spec.storage == "videos"):
        index = index_beside(folder / "list", spec.root)
        if index is not None:
            yield index


def check_shard(
    spec: DatasetSpec, videos: Sequence[ListedVideo], work: Inspect, options: CheckOptions, journal: Journal
) -> int:
    """Read the videos of one part into its journal; returns the exit status."""
    own = [video for video in videos if options.shard.has(os.path.relpath(video.path, spec.root))]
    facts = inspect_all(own, work, options, journal)
    wrong = [Failure(video.name, facts[video].problems[0].detail) for video in own if facts[video].problems]
    print(f"{options.shard}, by name: {plural(len(own), 'video')}, {len(wrong):,} with problems; the same command "
          f"without --shard reports on all")  # fmt: skip
    show("with problems", wrong)
    return 1 if wrong else 0


def journals_of_parts(folder: Path, settings: dict[str, Any]) -> dict[Path, Known]:
    """What the parts of a check have found, by file.

    Raises:
        InputError: one of them is still running.
    """
    found = {}
    for path in sorted(folder.glob(JOURNAL.format("_*of*"))):
        with path.open("a+", encoding="utf-8") as file:
            if not try_lock(file):
                raise InputError(f"{path}: expected all parts of this check to have ended, got one that is running")
            file.seek(0)
            known = facts_in(file.read(), settings)
        if known is not None:
            found[path] = known
    return found


def show_status(folder: Path, settings: dict[str, Any], videos: Sequence[ListedVideo]) -> int:
    """Print how many videos are read, have problems, and are missing, over all parts; returns the exit status."""
    known: Known = {}
    for path in sorted(folder.glob(JOURNAL.format("*"))):
        known |= facts_in(path.read_text(encoding="utf-8"), settings) or {}
    there = [video.name for video in videos if video.name in known]
    wrong = [Failure(name, known[name][1].problems[0].detail) for name in there if known[name][1].problems]
    missing = len(videos) - len(there)
    print(
        f"{plural(len(videos), 'video')}: {len(there) - len(wrong):,} done, {len(wrong):,} failed, {missing:,} missing"
    )
    show("failed", wrong)
    return 1 if wrong or missing else 0


def check_targets(lists: Sequence[VideoList], folder: Path | None) -> None:
    """Raise if two reports would have the same name, or a report would replace a list."""
    taken = {part.path.resolve(): f"the list {part.path}" for part in lists}
    for part in lists:
        for path in reports.report_paths(part, folder).values():
            earlier = taken.setdefault(path.resolve(), f"a report on {part.path}")
            if earlier != f"a report on {part.path}":
                raise InputError(f"{path}: expected a free name for a report on {part.path}, got that of {earlier}")


def inspect_all(
    videos: Sequence[ListedVideo], work: Inspect, options: CheckOptions, journal: Journal
) -> dict[ListedVideo, Facts]:
    """The facts of every video; those that an interrupted run found are kept."""
    recalled = {video: journal.recall(video) for video in videos}
    facts = {video: known for video, known in recalled.items() if known is not None}
    if facts:
        print(f"continuing an interrupted check: {plural(len(facts), 'video')} already checked")
    todo = [video for video in videos if video not in facts]
    video_of = {video.name: video for video in todo}
    wrong = sum(bool(known.problems) for known in facts.values())
    results = run_tasks(todo, work, options.jobs, options.timeout)
    with progress_bar(len(todo), "video") as progress, contextlib.closing(results):
        for result in results:
            video = video_of[result.name]
            if isinstance(result, Done):
                facts[video] = result.result
                journal.add(video, result.result)
            else:  # not in the journal: the next run tries again
                facts[video] = Facts(0, 0, (Problem("unreadable", result.reason),))
            wrong += bool(facts[video].problems)
            progress.set_postfix_str(f"{wrong} with problems", refresh=False)
            progress.update()
    return facts


def say_what_stood_in(facts: dict[ListedVideo, Facts], decoder: str) -> None:
    """Say once that PyAV read files in place of another decoder: the workers' own warnings are not printed."""
    names = [video.name for video, there in facts.items() if there.stood_in]
    if names:
        read = f"PyAV read {plural(len(names), 'video')} of {len(facts):,}"
        print(f"{read}, as in training, because {decoder} may return wrong frames for them: {some(names)}")


def digest_all(facts: dict[ListedVideo, Facts], options: CheckOptions) -> dict[ListedVideo, str]:
    """Hashes of the videos that may have the same content."""
    videos = same_size(facts)
    video_of = {video.name: video for video in videos}
    digests = {}
    results = run_tasks(videos, digest, options.jobs, options.timeout)
    with progress_bar(len(videos), "comparison") as progress, contextlib.closing(results):
        for result in results:
            if isinstance(result, Done):
                digests[video_of[result.name]] = result.result
            progress.update()
    return digests


def report(part: VideoList, findings: Sequence[Finding], settings: str, options: CheckOptions) -> None:
    """Write the report on a list, and print its summary and its first findings."""
    paths = reports.report_paths(part, options.report)
    reports.write_text(paths["text"], reports.text_report(part, findings, settings))
    reports.write_text(paths["csv"], reports.csv_report(findings))
    print(reports.heading(part, findings))
    if findings:
        print(f"  {reports.counts(findings)}")
        shown = sorted(findings, key=lambda finding: not finding.problem.unusable)[:SHOWN]
        for finding in shown:
            print(f"  {reports.describe(finding)}")
        if len(findings) > SHOWN:
            print(f"  ... and {len(findings) - SHOWN:,} more")
    written = [paths["text"], paths["csv"]]
    if options.write_clean:
        reports.write_text(paths["clean"], reports.clean_list(part, findings))
        written.append(paths["clean"])
    print(f"  written: {', '.join(map(str, written))}")
