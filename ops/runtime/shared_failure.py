"""The error of one process ends all of them, and is said once on each machine.

A process that fails notes it in the store that all processes reach. The others look there twice a second and end,
whatever they wait for, before they could fail for the loss of the first. Where the store is not to be reached, nobody
can be told, and every process says what it knows: at once, if the store was silent before.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NoReturn, TypeVar

from ops.runtime.errors import EXIT_BAD_INPUT, report, this_process

_FAILED, _LEFT = "failed", "left"  # how many processes have
_REASON = "reason"
LOOK_SECONDS = 0.5
WAIT_SECONDS = 5.0
Result = TypeVar("Result")


class FailureWatch:
    """Ends this process when another one has failed.

    Args:
        store: of torch.distributed, with keys of its own. The first process may be the one that keeps it.
        rank: of this process.
        processes: how many there are.
        speaks: whether this process says why it ends where the one that failed is on another machine.
    """

    def __init__(self, store: Any, rank: int, processes: int, speaks: bool) -> None:
        self._store = store
        self._rank = rank
        self._processes = processes
        self._speaks = speaks
        self._reached = True  # the store
        self._asked: float | None = None  # when, if it has not answered since
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._done.set()
        self._thread.join(self._patience())  # longer only where a cable is cut

    def _look(self) -> None:
        while not self._done.wait(LOOK_SECONDS):
            self._asked = time.monotonic()
            try:
                if self._store.check([_FAILED]):
                    self._end()
            except RuntimeError:  # the process that keeps the store has ended, or is cut off
                return
            self._asked = None

    def _patience(self) -> float:
        """Seconds to wait for the store: none if it has already been silent for as long."""
        asked = self._asked
        return 0.0 if asked is not None and time.monotonic() - asked > WAIT_SECONDS else WAIT_SECONDS

    def _end(self) -> NoReturn:
        """At once: the main thread may wait for a process that is no more."""
        for child in multiprocessing.active_children():
            child.terminate()
        self._point()
        self._leave()
        os._exit(EXIT_BAD_INPUT)

    def point_to_first(self) -> None:
        """Say which process has failed first, where that is on another machine."""
        _within(2 * WAIT_SECONDS, self._point)

    def _point(self) -> None:
        if not self._speaks:
            return
        try:
            self._store.wait([_REASON], timedelta(seconds=WAIT_SECONDS))
            host, who, reason = json.loads(self._store.get(_REASON))
        except RuntimeError:
            return
        if host != platform.node():
            report(f"{who} has ended the run: {reason}")

    def is_first(self, reason: str) -> bool:
        """Note that this process has failed, and why; whether it is the first, which says so."""

        def note() -> bool:
            if self._store.add(_FAILED, 1) > 1:
                return False
            self._store.set(_REASON, json.dumps([platform.node(), this_process(), " ".join(reason.split())]))
            return True

        first = _within(self._patience(), note)
        self._reached = first is not None
        return first is not False

    def leave(self, said: bool) -> None:
        """Before this process ends: the one that has said why waits until all others have left."""

        def wait() -> None:
            if said:
                self._wait_for(self._processes - 1)
            self._leave()

        if self._reached:
            _within(3 * WAIT_SECONDS, wait)

    def _leave(self) -> None:
        try:
            self._store.add(_LEFT, 1)
        except RuntimeError:
            return
        if self._rank == 0:
            self._wait_for(self._processes)

    def _wait_for(self, count: int) -> None:
        """Until so many processes have left, or a while is over."""
        deadline = time.monotonic() + WAIT_SECONDS
        try:
            while self._store.add(_LEFT, 0) < count and time.monotonic() < deadline:
                time.sleep(LOOK_SECONDS / 10)
        except RuntimeError:
            return


def _within(seconds: float, function: Callable[[], Result]) -> Result | None:
    """What a function returns, or None: the store may not answer, ever, or fail."""
    answers: list[Result] = []

    def ask() -> None:
        try:
            answers.append(function())
        except RuntimeError:
            return

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return answers[0] if answers else None
