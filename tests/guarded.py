"""Runs work in another process, one item after another, so that a crash or a hang is the result of its item alone."""

import multiprocessing
import resource
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Literal

import torch

HANG_SECONDS = 120.0  # of one item, far above what a slow machine needs
SPARE_BYTES = 8 << 30


@dataclass(frozen=True)
class Outcome:
    """What became of an item: the value that the work returned, or else what went wrong."""

    value: Any = None
    problem: str = ""


def outcomes(
    items: Sequence[Any], work: Callable[[Any], Any], start: Literal["fork", "spawn"] = "fork"
) -> list[Outcome]:
    """``work(item)`` of every item, in order; a process that is spawned inherits nothing, and gets ``work`` pickled."""
    found: list[Outcome] = []
    while len(found) < len(items):
        ours, theirs = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.get_context(start).Process(target=_serve, args=(theirs, items[len(found) :], work))
        process.start()
        theirs.close()
        problem = ""
        while len(found) < len(items) and not problem:
            if not ours.poll(HANG_SECONDS):
                problem = f"hung for {HANG_SECONDS:g} s"
                break
            try:
                found.append(ours.recv())
            except EOFError:
                process.join()
                problem = f"killed its process (exit code {process.exitcode})"
        if problem:
            found.append(Outcome(problem=problem))
        process.kill()
        process.join()
        ours.close()
    return found


def _serve(connection: Connection, items: Sequence[Any], work: Callable[[Any], Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)  # as data workers do: the threads of the parent are not here
    with open("/proc/self/statm") as file:
        in_use = int(file.read().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (in_use + SPARE_BYTES, hard))  # what asks for more fails, not the machine
    for item in items:
        try:
            outcome = Outcome(work(item))
        except BaseException as error:
            outcome = Outcome(problem=f"{type(error).__name__}: {error}")
        connection.send(outcome)
