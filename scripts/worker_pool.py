"""Does items in worker processes: a worker that dies or that takes too long costs its item and nothing else.

An item is a source and the output that it becomes. A worker writes under a hidden temporary name beside the output
and renames at the end, so an output that exists is complete. Each worker is one process that does one item at a time.
Whatever ends the pool, its workers end with it, and what they had begun is removed.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import NoReturn

from ops.errors import InputError


@dataclass(frozen=True)
class Item:
    """A file and what it becomes.

    Args:
        name: what messages call it.
        source: the file that is read.
        output: the file or folder that exists when the item is finished.
    """

    name: str
    source: Path
    output: Path

    @property
    def temporary(self) -> Path:
        """Hidden name beside the output, for what is not complete yet."""
        return self.output.with_name(f".{self.output.name}.tmp")


@dataclass(frozen=True)
class Failure:
    """An item that could not be done, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Done:
    """An item that was done.

    Args:
        frames: frames written.
        remark: what a user should know of it, or nothing.
    """

    name: str
    frames: int
    remark: str = ""


# Writes an item's output under its temporary name with some threads; returns the frames written and a remark.
Work = Callable[[Path, Path, int], tuple[int, str]]


def discard(path: Path) -> None:
    """Removes a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def finish_item(item: Item, work: Work, threads: int) -> Done | Failure:
    """Does one item: the output appears under its name only when it is complete."""
    try:
        item.output.parent.mkdir(parents=True, exist_ok=True)
        discard(item.temporary)
        frames, remark = work(item.source, item.temporary, threads)
        item.temporary.rename(item.output)
    except Exception as error:
        discard(item.temporary)
        return Failure(item.name, " ".join(str(error).split()) or type(error).__name__)
    return Done(item.name, frames, remark)


def serve(connection: Connection, work: Work, threads: int) -> None:
    """A worker process: does the items that it is sent, and ends with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # stays ignored where a library unblocks signals
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> NoReturn:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
    connection.send(None)  # ready
    while True:
        connection.send(finish_item(connection.recv(), work, threads))


class Worker:
    """A process and the item that it is at.

    Args:
        work: what it does to an item.
        threads: how many threads it may use.
    """

    def __init__(self, work: Work, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, work, threads), daemon=True)
        # The child inherits the blocked signal: Ctrl-C is the parent's to handle. The resource tracker, which the first
        # start would bring up, unblocks it: it is brought up before.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))
        theirs.close()
        self.ready = False
        self.item: Item | None = None
        self.deadline = math.inf

    def begin(self, item: Item, timeout: float) -> None:
        self.item, self.deadline = item, time.monotonic() + (timeout or math.inf)
        with contextlib.suppress(OSError):  # a worker that has died is found by its closed connection
            self.connection.send(item)

    def stop(self) -> None:
        """Ends the process and removes what it had begun."""
        self.process.kill()
        self.process.join()
        self.connection.close()
        if self.item is not None:
            discard(self.item.temporary)

    def receive(self) -> Done | Failure | None:
        """The result that has come, or None for the sign that the worker is ready."""
        try:
            result = self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            if self.item is None:  # nothing can be done to an item that would not happen again
                raise InputError(
                    f"expected worker processes to start, got exit status {self.process.exitcode}"
                ) from None
            result = Failure(self.item.name, f"its process died ({exit_reason(self.process.exitcode or 0)})")
        else:
            self.ready, self.item, self.deadline = True, None, math.inf
        return result


def exit_reason(code: int) -> str:
    """An exit status in words."""
    return f"exit status {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


def run_items(items: Sequence[Item], work: Work, jobs: int, timeout: float) -> Generator[Done | Failure, None, None]:
    """Does the items with up to ``jobs`` processes and yields each result as it comes.

    Where there are more processes than items, each gets the more threads.
    """
    count = min(jobs, len(items))
    threads = max(1, jobs // max(count, 1))
    waiting = deque(items)
    workers: list[Worker] = []
    try:
        for _ in range(count):
            workers.append(Worker(work, threads))
        while waiting or any(worker.item for worker in workers):
            for worker in [worker for worker in workers if worker.ready and worker.item is None]:
                if waiting:
                    worker.begin(waiting.popleft(), timeout)
                else:
                    workers.remove(worker)
                    worker.stop()
            patience = min(worker.deadline for worker in workers) - time.monotonic()
            answered = wait([w.connection for w in workers], None if patience == math.inf else max(patience, 0))
            for worker in list(workers):
                result: Done | Failure | None = None
                if worker.connection in answered:
                    result = worker.receive()
                elif worker.deadline <= time.monotonic() and worker.item is not None:
                    result = Failure(worker.item.name, f"took longer than {timeout:g} s (--timeout)")
                if result is not None and worker.item is not None:  # it died or is late
                    workers.remove(worker)
                    worker.stop()
                    if waiting:
                        workers.append(Worker(work, threads))
                if result is not None:
                    yield result
    finally:
        for worker in workers:
            worker.stop()
