"""The error of one process ends all of them, and is said once.

A process that fails notes it in the store that all processes reach. The others look there twice a second and end,
whatever they wait for, before they could fail for the loss of the first.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from typing import Any, NoReturn

from ops.runtime.errors import EXIT_BAD_INPUT

_FAILED, _LEFT = "failed", "left"  # how many processes have
LOOK_SECONDS = 0.5
WAIT_SECONDS = 5.0


class FailureWatch:
    """Ends this process when another one has failed.

    Args:
        store: of torch.distributed, with keys of its own. The first process may be the one that keeps it.
        rank: of this process.
        processes: how many there are.
    """

    def __init__(self, store: Any, rank: int, processes: int) -> None:
        self._store = store
        self._rank = rank
        self._processes = processes
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(LOOK_SECONDS):
            try:
                if self._store.check([_FAILED]):
                    self._end_without_a_word()
            except RuntimeError:  # the process that keeps the store has ended
                return

    def _end_without_a_word(self) -> NoReturn:
        """At once: the main thread may wait for a process that is no more."""
        for child in multiprocessing.active_children():
            child.terminate()
        self._leave()
        os._exit(EXIT_BAD_INPUT)

    def is_first(self) -> bool:
        """Note that this process has failed; whether it is the first, which says why."""
        try:
            return self._store.add(_FAILED, 1) == 1
        except RuntimeError:
            return True

    def leave(self, said: bool) -> None:
        """Before this process ends: the one that has said why waits until all others have left."""
        if said:
            self._wait_for(self._processes - 1)
        self._leave()

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
