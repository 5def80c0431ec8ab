"""What the scripts for many videos share: one job per video, in worker processes, with progress and a summary.

An output that exists is complete (output_items.py) and is skipped; everything else is done, or done again. One run at
a time holds an output folder, and all its runs have the same settings.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ops.preparation.jobs.batch_plan import Plan, plan_batch
from ops.preparation.jobs.output_items import FinishItem, WriteOutput, Written
from ops.preparation.jobs.shards import EVERYTHING, Shard, add_shard_options, shard_of
from ops.preparation.video_files import describe_skipped
from ops.runtime import (
    SHOWN,
    Done,
    Failure,
    InputError,
    number_type,
    plural,
    print_any_name,
    processors,
    progress_bar,
    run_tasks,
    show,
    try_lock,
)

Check = Callable[[Path, str], None]
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class BatchOptions:
    """What the command line says of a batch; ``add_batch_options`` describes each."""

    videos: Path
    out: Path
    jobs: int
    timeout: float
    keep_damaged: bool
    dry_run: bool
    shard: Shard = EVERYTHING
    status: bool = False


def add_batch_options(parser: argparse.ArgumentParser) -> None:
    """The options that every script for many videos has."""
    add = parser.add_argument
    add("videos", type=Path, metavar="VIDEOS",
        help="folder that is searched for videos, subfolders included, or one video (required)")  # fmt: skip
    add("out", type=Path, metavar="OUT", help="folder to write to; it gets the same subfolders as VIDEOS (required)")
    add("-j", "--jobs", type=number_type(int, 1), default=processors(), metavar="N",
        help="number of worker processes (default: one per processor, here %(default)s)")  # fmt: skip
    add("--timeout", type=number_type(float, 0), default=1800.0, metavar="SECONDS",
        help="a video that takes longer than this fails; 0 disables (default: %(default)g)")  # fmt: skip
    add("--keep_damaged", action="store_true",
        help="keep what can be decoded of a damaged or cut-off video, and report it (default: such a video fails)",
        )  # fmt: skip
    add("--dry-run", action="store_true", help="only print what would be done (default: do it)")
    add_shard_options(parser)


def batch_options(parsed: argparse.Namespace) -> BatchOptions:
    """The part of a parsed command line that ``add_batch_options`` declared."""
    values = {field.name: getattr(parsed, field.name) for field in fields(BatchOptions)}
    return BatchOptions(**values | {"shard": shard_of(parsed)})


@contextlib.contextmanager
def claimed_folder(
    out: Path,
    tool: str,
    settings: dict[str, Any],
    check: Check = lambda path, text: None,
    shard: Shard = EVERYTHING,
) -> Iterator[None]:
    """Lock a part of ``out`` for this run, and check that its content was made with the same settings.

    Without the check, a run with other settings would take the outputs of an earlier one for its own.

    Args:
        check: raises unless the text of a file holds these settings.
    """
    path = out / f".{tool}.json"
    try:
        out.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{out}: expected a folder to write to, got {error.strerror}") from None
    with file:
        if not try_lock(file, shard.first, shard.places):
            these = "in this folder" if shard.count == 1 else f"for the videos of {shard}"
            raise InputError(f"{out}: expected no other run {these}, got one that has locked {path.name}")
        file.seek(0)
        if not file.read():
            write_settings(path, file.fileno(), settings)
        file.seek(0)
        check(path, file.read())  # opening the file once more would end the lock
        yield


def write_settings(path: Path, file: int, settings: dict[str, Any]) -> None:
    """Writes all of the settings or none: a part of them would close the folder to later runs."""
    content = (json.dumps(settings) + "\n").encode()
    try:
        while content:
            content = content[os.write(file, content) :]  # unbuffered: nothing is left to write at the end
    except OSError as error:
        os.ftruncate(file, 0)
        raise InputError(f"{path}: expected to write settings, got {error.strerror}") from None


@dataclass(frozen=True)
class Batch:
    """One run of a script over many videos.

    Args:
        tool: name of the script; its settings and failures are kept under it.
        did: past tense of what it does.
        suffix: ending of an output's name.
        first: name of a file that an output, if it is a folder, contains.
        settings: what decides the content of an output.
        write: makes one output.
        before: settings of older versions, which did not save them.
        options_of: the options with which an earlier run had its settings.
    """

    tool: str
    did: str
    suffix: str
    first: str
    settings: dict[str, Any]
    write: WriteOutput
    before: Mapping[str, Any] = field(default_factory=dict)
    options_of: Callable[[Mapping[str, Any]], str] | None = None

    def run(self, options: BatchOptions) -> int:
        """Do what is not done yet; returns the exit status."""
        print_any_name()
        plan = plan_batch(options.videos, options.out, self.suffix, self.first, options.shard)
        if options.shard.count > 1:
            print(f"{options.shard}, by name")
        if options.status:
            return self.show_status(plan, options.out)
        if options.dry_run:
            settings = options.out / f".{self.tool}.json"
            if settings.is_file():
                self.check_settings(settings, settings.read_text(encoding="utf-8"))
            self.preview(plan)
            return 1 if plan.failures else 0
        with claimed_folder(options.out, self.tool, self.settings, self.check_settings, options.shard):
            return self.carry_out(plan, options)

    def check_settings(self, path: Path, text: str) -> None:
        """Raise unless ``text``, from ``path``, holds the settings of this run."""
        try:
            found = json.loads(text.partition("\n")[0])  # parts that start at once may all have written them
        except ValueError as error:
            raise InputError(f"{path}: expected the settings of an earlier run, got invalid JSON ({error})") from None
        saved = {**self.before, **found} if isinstance(found, dict) else {}
        for key, value in self.settings.items():
            before = saved.get(key)
            if before != value:
                resume = f", or continue it with {self.options_of(saved)}" if saved and self.options_of else ""
                raise InputError(
                    f"{path.parent}: expected {key} {before} as in earlier runs, got {key} {value}; choose another "
                    f"output folder{resume}"
                )

    def preview(self, plan: Plan) -> None:
        """Print what a run would do."""
        for item in plan.todo[:SHOWN]:
            print(f"{item.source} -> {item.output}")
        if len(plan.todo) > SHOWN:
            print(f"... and {len(plan.todo) - SHOWN:,} more")
        print(f"to do: {plural(len(plan.todo), 'video')}; {rest(plan)}")
        self.report(plan.failures)

    def carry_out(self, plan: Plan, options: BatchOptions) -> int:
        """Do the items of the plan with a progress bar, and sum up; returns the exit status."""
        done: dict[str, Written] = {}
        failures = list(plan.failures)
        started = time.monotonic()
        interrupted, no_room = False, ""
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        results = run_tasks(plan.todo, FinishItem(self.write), options.jobs, options.timeout)
        with progress_bar(len(plan.todo), "video") as progress:
            try:
                with contextlib.closing(results):
                    for result in results:
                        if isinstance(result, Done):
                            done[result.name] = result.result
                        elif result.errno in NO_ROOM:  # no fault of the video, and the next would fail as well
                            no_room = os.strerror(result.errno)
                            break
                        else:
                            failures.append(result)
                            progress.set_postfix_str(f"{len(failures)} failed", refresh=False)
                        progress.update()
            except KeyboardInterrupt:
                interrupted = True
        self.sum_up(plan, done, failures, time.monotonic() - started)
        self.report(failures, options.out / f"{self.tool}_failed{options.shard.suffix}.txt")
        left = plural(len(plan.todo) - len(done) - (len(failures) - len(plan.failures)), "video")
        if no_room:
            raise InputError(
                f"{options.out}: expected room for more, got {no_room} with {left} left; make room and run the same "
                f"command to continue"
            )
        if interrupted:
            print(f"interrupted with {left} left; run the same command to continue", file=sys.stderr)
            return 130
        return 1 if failures else 0

    def sum_up(self, plan: Plan, done: dict[str, Written], failures: Sequence[Failure], seconds: float) -> None:
        """Print how many videos were done, skipped and failed."""
        frames = sum(written.frames for written in done.values())
        rate = f", {frames / seconds:,.0f} frames/s" if frames else ""
        print(f"{self.did} {plural(len(done), 'video')} ({plural(frames, 'frame')}) in {seconds:.1f} s{rate}", end="")
        print(f"; {rest(plan)}; failed: {len(failures):,}")
        remarks = [Failure(name, written.remark) for name, written in done.items() if written.remark]
        show("damaged, but kept", remarks)

    def show_status(self, plan: Plan, out: Path) -> int:
        """Print how many videos are done, failed and missing, whoever did them; returns the exit status."""
        failed = {failure.name: failure.reason for failure in plan.failures}
        todo = {item.name for item in plan.todo}
        for path in sorted(out.glob(f"{self.tool}_failed*.txt")):
            for line in path.read_text(encoding="utf-8").splitlines():
                name, _, reason = line.partition(": ")
                if name in todo:  # and not done since
                    failed[name] = reason
        total = len(plan.finished) + len(plan.failures) + len(plan.todo)
        missing = total - len(plan.finished) - len(failed)
        print(f"{plural(total, 'video')}: {len(plan.finished):,} done, {len(failed):,} failed, {missing:,} missing")
        show("failed", [Failure(name, reason) for name, reason in failed.items()])
        return 1 if failed or missing else 0

    def report(self, failures: Sequence[Failure], path: Path | None = None) -> None:
        """Print what failed and why to stderr, the first of them; write all of them to a file."""
        show("failed", failures)
        if path is None:
            return
        if not failures:
            path.unlink(missing_ok=True)
            return
        lines = [f"{failure.name}: {failure.reason}\n" for failure in failures]
        try:
            path.write_text("".join(lines), encoding="utf-8", errors="backslashreplace")
            print(f"full list: {path}", file=sys.stderr)
        except OSError as error:
            print(f"{path}: expected to write the failures, got {error.strerror}", file=sys.stderr)


def rest(plan: Plan) -> str:
    """What a run does not touch."""
    others = f"; {describe_skipped(plan.others)}" if plan.others else ""
    return f"already done: {len(plan.finished):,}{others}"
