#!/usr/bin/env python3
"""Opens and decodes every video of lists, and says what is wrong with the lists and with the videos.

    python scripts/check_dataset.py something -j 8                  its training and its validation list
    python scripts/check_dataset.py ucf101 --split 2 --write_clean
    python scripts/check_dataset.py data/mine/train.txt             with data/mine/dataset.toml

Each video is read in a process of its own kind, with a time limit: one that crashes or hangs its decoder costs
itself. Beside each list (or in --report DIR) a report is written, LIST_check.txt and LIST_check.csv, and with
--write_clean the list without what cannot be used, LIST_clean.txt. Interrupt it when you like; the same command goes
on. Exit status: 0 nothing wrong, 1 something is, 2 the command is wrong, 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # ops/, from any working directory

from ops.data import DatasetSpec
from ops.preparation.checking import reports as check_reports
from ops.preparation.checking.journal import Journal
from ops.preparation.checking.list_check import Finding, VideoList, find_problems, media_of, read_entries, same_size
from ops.preparation.checking.media_check import Facts, Inspect, Medium, Problem, digest
from ops.runtime import (
    SHOWN,
    Done,
    InputError,
    OneLineParser,
    number_type,
    plural,
    print_any_name,
    processors,
    progress_bar,
    run_script,
    run_tasks,
)
from ops.settings import add_source_arguments, resolve_sources
from ops.video import choose_decoder

JOURNAL = ".check_dataset.jsonl"


def parse_command_line() -> argparse.Namespace:
    parser = OneLineParser(description="Opens and decodes every video of a data set.", allow_abbrev=False)
    add_source_arguments(parser)
    add = parser.add_argument_group("check").add_argument
    add("-j", "--jobs", type=number_type(int, 1), default=processors(), help="processes (default: the processors)")
    limit = number_type(float, 0)
    add("--timeout", type=limit, default=300.0, metavar="SECONDS",
        help="give a video up after that long; 0 for never (default: %(default)g)")  # fmt: skip
    add("--report", type=Path, metavar="DIR", help="folder of the reports (default: that of each list)")
    add("--write_clean", action="store_true", help="write lists without what cannot be used: LIST_clean.txt")
    return parser.parse_args()


def check_targets(lists: Sequence[VideoList], folder: Path | None) -> None:
    """Raise if two reports would have one name, or one would replace a list."""
    taken = {part.path.resolve(): f"the list {part.path}" for part in lists}
    for part in lists:
        for path in check_reports.report_paths(part, folder).values():
            earlier = taken.setdefault(path.resolve(), f"a report on {part.path}")
            if earlier != f"a report on {part.path}":
                raise InputError(f"{path}: expected a name for a report on {part.path}, got that of {earlier}")


def inspect_all(
    media: Sequence[Medium], work: Inspect, args: argparse.Namespace, journal: Journal
) -> dict[Medium, Facts]:
    """The facts of every medium; those of an interrupted run are not looked for again."""
    recalled = {medium: journal.recall(medium) for medium in media}
    facts = {medium: known for medium, known in recalled.items() if known is not None}
    if facts:
        print(f"going on after {plural(len(facts), 'video')} of an interrupted check")
    todo = [medium for medium in media if medium not in facts]
    medium_of = {medium.name: medium for medium in todo}
    wrong = sum(bool(known.problems) for known in facts.values())
    results = run_tasks(todo, work, args.jobs, args.timeout)
    with progress_bar(len(todo), "video") as progress, contextlib.closing(results):
        for result in results:
            medium = medium_of[result.name]
            if isinstance(result, Done):
                facts[medium] = result.result
                journal.add(medium, result.result)
            else:  # not in the journal: the next run tries again
                facts[medium] = Facts(0, 0, (Problem("unreadable", result.reason),))
            wrong += bool(facts[medium].problems)
            progress.set_postfix_str(f"{wrong} with problems", refresh=False)
            progress.update()
    return facts


def digest_all(facts: dict[Medium, Facts], args: argparse.Namespace) -> dict[Medium, str]:
    """Hashes of the media that may have the same content."""
    media = same_size(facts)
    medium_of = {medium.name: medium for medium in media}
    digests = {}
    results = run_tasks(media, digest, args.jobs, args.timeout)
    with progress_bar(len(media), "comparison") as progress, contextlib.closing(results):
        for result in results:
            if isinstance(result, Done):
                digests[medium_of[result.name]] = result.result
            progress.update()
    return digests


def report(part: VideoList, findings: Sequence[Finding], settings: str, args: argparse.Namespace) -> None:
    """Writes the report on a list, and says the most important of it."""
    paths = check_reports.report_paths(part, args.report)
    check_reports.write_text(paths["text"], check_reports.text_report(part, findings, settings))
    check_reports.write_text(paths["csv"], check_reports.csv_report(findings))
    print(check_reports.heading(part, findings))
    if findings:
        print(f"  {check_reports.counts(findings)}")
        shown = sorted(findings, key=lambda finding: not finding.problem.unusable)[:SHOWN]
        for finding in shown:
            print(f"  {check_reports.describe(finding)}")
        if len(findings) > SHOWN:
            print(f"  ... and {len(findings) - SHOWN:,} more")
    written = [paths["text"], paths["csv"]]
    if args.write_clean:
        check_reports.write_text(paths["clean"], check_reports.clean_list(part, findings))
        written.append(paths["clean"])
    print(f"  written: {', '.join(map(str, written))}")


def check(spec: DatasetSpec, lists: Sequence[VideoList], args: argparse.Namespace) -> int:
    """Checks the lists and reports; returns the exit status."""
    if not spec.root.is_dir():
        raise InputError(f"{spec.root}: expected the root folder of data set {spec.name}, got no such folder")
    check_targets(lists, args.report)
    decoder = choose_decoder(args.decoder) if spec.storage == "videos" else "images"
    settings = {"storage": spec.storage, "image_tmpl": spec.image_tmpl, "decoder": decoder}
    with Journal((args.report or lists[0].path.parent) / JOURNAL, settings) as journal:
        facts = inspect_all(media_of(lists), Inspect(spec, decoder), args, journal)
        found = find_problems(lists, spec, facts, digest_all(facts, args))
        described = f"data set {spec.name}, {spec.storage}, {plural(spec.num_classes, 'class')}"
        for part, findings in zip(lists, found, strict=True):
            report(part, findings, described, args)
        journal.finish()
    return 1 if any(found) else 0


def main() -> None:
    print_any_name()
    args = parse_command_line()
    spec, paths = resolve_sources(args)
    lists = [read_entries(path, spec) for path in paths]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        status = check(spec, lists, args)
    except KeyboardInterrupt:
        print("interrupted: the same command goes on there", file=sys.stderr)
        status = 130
    sys.exit(status)


if __name__ == "__main__":
    run_script(main)
