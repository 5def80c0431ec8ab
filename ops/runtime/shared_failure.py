"""The error of one process ends all of them, and is said once.

A process that fails notes it in the store that all processes reach. The others look there twice a second and end,
whatever they wait for, before they could fail for the loss of the first.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from typing import Any

from ops.runtime.errors import EXIT_BAD_INPUT

_FAILED, _ENDED = "failed", "ended"  # how many processes did
LOOK_SECONDS = 0.5
WAIT_SECONDS = 10.0


class FailureWatch:
    """Ends this process when another one has failed.

    Args:
        store: of torch.distributed, with keys of its own.
        processes: how many there are.
    """

    def __init__(self, store: Any, processes: int) -> None:
        self._store = store
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
                    self._end()
            except RuntimeError:  # the process that keeps the store has ended
                return

    def _end(self) -> None:
        """At once: the main thread may wait for a process that is no more."""
        for child in multiprocessing.active_children():
            child.terminate()
        self._store.add(_ENDED, 1)
        os._exit(EXIT_BAD_INPUT)

    def is_first(self) -> bool:
        """Note that this process has failed; whether it is the first, which says why."""
        try:
            first = self._store.add(_FAILED, 1) == 1
            if not first:
                self._store.add(_ENDED, 1)
        except RuntimeError:
            return True
        return first

    def wait_for_others(self) -> None:
        """Until all others have ended, which need this process until then, or a while is over."""
        deadline = time.monotonic() + WAIT_SECONDS
        try:
            while self._store.add(_ENDED, 0) < self._processes - 1 and time.monotonic() < deadline:
                time.sleep(LOOK_SECONDS / 10)
        except RuntimeError:
            return
