"""Signals: a request to stop lets the current step end, so that a run can be saved before it stops."""

import os
import signal
import threading
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import TypeVar

from ops.runtime import exchange, launcher
from ops.runtime.errors import Stopped

# A scheduler or torchrun; Ctrl-C; a terminal or an ssh connection that closes; SLURM's warning before the time limit.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
Item = TypeVar("Item")


class StopRequest:
    """Remembers that a signal asked this process to stop; all processes then stop at the same step.

    One more signal ends the process at once. Under torchrun it takes two more: of the first, torchrun sends every
    process a copy of its own.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._patience = 2 if launcher.is_torchrun() else 1

    def listen(self) -> None:
        """Catch the signals, from now to the end of the process; under nohup the run outlives its terminal."""
        for number in SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self._patience == 0:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self._patience -= 1
        self.signal = self.signal or number

    def check(self) -> None:
        """Raise Stopped, in all processes alike, once one of them was asked to stop. Every process must call this."""
        number = exchange.highest(self.signal)
        if number:
            raise Stopped(signal.Signals(number).name)

    def checking(self, items: Iterable[Item], count: int) -> Iterator[Item]:
        """``items`` with a check before each; ``count``: the most items that a process has, all others one less."""
        self.check()
        for done, item in enumerate(items, 1):
            yield item
            if done < count:
                self.check()


def shield_worker(worker_id: int) -> None:
    """For the start of a data-loading worker process: its parent alone ends it.

    What a terminal or a scheduler sends to every process of a job must not take the workers from a run that wants to
    end its step. A thread waits for SIGTERM, since only there the sender can be told: the parent, and not anyone else.
    (A process that was spawned, not forked, has threads that do not block SIGTERM, which then ends it as usual.)
    """
    for number in SIGNALS:
        if number != signal.SIGTERM:
            signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    else:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _end_with_parent(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
