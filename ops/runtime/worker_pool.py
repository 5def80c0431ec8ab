"""Does tasks in worker processes: a worker that dies or that takes too long costs its task and nothing else.

Each worker is one process that does one task at a time. Whatever ends the pool, its workers end with it, and what
they had begun is cleaned up.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, NoReturn, Protocol

from ops.runtime.errors import InputError

LONGEST_WAIT = 3600.0  # seconds; the system's own limit is about 25 days


class Task(Protocol):
    """Something to do, sent to a worker."""

    @property
    def name(self) -> str:
        """What messages call it."""

    def clean_up(self) -> None:
        """Removes what an attempt that did not succeed has left."""


@dataclass(frozen=True)
class Failure:
    """A task that could not be done, and why; ``errno`` is that of an OSError."""

    name: str
    reason: str
    errno: int | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Done:
    """A task that was done, and what came of it."""

    name: str
    result: Any


# Does a task with some threads.
Work = Callable[[Any, int], Any]


def attempt(task: Task, work: Work, threads: int) -> Done | Failure:
    """Does one task; whatever is raised is its failure."""
    try:
        return Done(task.name, work(task, threads))
    except Exception as error:
        task.clean_up()
        reason = " ".join(str(error).split()) or type(error).__name__
        return Failure(task.name, reason, getattr(error, "errno", None))


def serve(connection: Connection, work: Work, threads: int) -> None:
    """A worker process: does the tasks that it is sent, and ends with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # stays ignored where a library unblocks signals
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> NoReturn:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
    connection.send(None)  # ready
    while True:
        connection.send(attempt(connection.recv(), work, threads))


class Worker:
    """A process and the task that it is at.

    Args:
        work: what it does to a task.
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
        self.task: Task | None = None
        self.deadline = math.inf

    def begin(self, task: Task, timeout: float) -> None:
        self.task, self.deadline = task, time.monotonic() + (timeout or math.inf)
        with contextlib.suppress(OSError):  # a worker that has died is found by its closed connection
            self.connection.send(task)

    def stop(self) -> None:
        """Ends the process and cleans up what it had begun."""
        self.process.kill()
        self.process.join()
        self.connection.close()
        if self.task is not None:
            self.task.clean_up()

    def receive(self) -> Done | Failure | None:
        """The result that has come, or None for the sign that the worker is ready."""
        try:
            result = self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            if self.task is None:  # it would happen again
                raise InputError(
                    f"expected worker processes to start, got exit status {self.process.exitcode}"
                ) from None
            result = Failure(self.task.name, f"its process died ({exit_reason(self.process.exitcode or 0)})")
        else:
            self.ready, self.task, self.deadline = True, None, math.inf
        return result


def exit_reason(code: int) -> str:
    """An exit status in words."""
    return f"exit status {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


def run_tasks(tasks: Sequence[Task], work: Work, jobs: int, timeout: float) -> Generator[Done | Failure, None, None]:
    """Does the tasks with up to ``jobs`` processes and yields each result as it comes.

    Where there are more processes than tasks, each gets the more threads.
    """
    count = min(jobs, len(tasks))
    threads = max(1, jobs // max(count, 1))
    waiting = deque(tasks)
    workers: list[Worker] = []
    try:
        for _ in range(count):
            workers.append(Worker(work, threads))
        while waiting or any(worker.task for worker in workers):
            for worker in [worker for worker in workers if worker.ready and worker.task is None]:
                if waiting:
                    worker.begin(waiting.popleft(), timeout)
                else:
                    workers.remove(worker)
                    worker.stop()
            patience = min(worker.deadline for worker in workers) - time.monotonic()
            answered = wait([w.connection for w in workers], min(max(patience, 0), LONGEST_WAIT))
            for worker in list(workers):
                result: Done | Failure | None = None
                if worker.connection in answered:
                    result = worker.receive()
                elif worker.deadline <= time.monotonic() and worker.task is not None:
                    result = Failure(worker.task.name, f"took longer than {timeout:g} s (--timeout)")
                if result is not None and worker.task is not None:  # it died or is late
                    workers.remove(worker)
                    worker.stop()
                    if waiting:
                        workers.append(Worker(work, threads))
                if result is not None:
                    yield result
    finally:
        for worker in workers:
            worker.stop()
