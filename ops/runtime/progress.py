"""Time a step takes, time it waits for data, and time left."""

import time
from typing import NamedTuple


class StepTime(NamedTuple):
    """Seconds of one step, and how many of them went by waiting for data."""

    total: float
    waiting: float


class Clock:
    """Seconds of steps, and how many of them went by waiting for data.

    A step is ``start``, then for each batch ``data_ready`` and ``work_done``, then ``stop``.
    """

    def __init__(self) -> None:
        self.steps = 0
        self.total = 0.0
        self.waiting = 0.0
        self.last_step = StepTime(0.0, 0.0)
        self._begun = 0.0
        self._mark = 0.0
        self._waited = 0.0

    def start(self) -> None:
        self._begun = self._mark = time.perf_counter()
        self._waited = 0.0

    def data_ready(self) -> None:
        self._waited += time.perf_counter() - self._mark

    def work_done(self) -> None:
        self._mark = time.perf_counter()

    def stop(self) -> None:
        self.last_step = StepTime(time.perf_counter() - self._begun, self._waited)
        self.add(self.last_step)

    def add(self, step: StepTime) -> None:
        """Count a step that has been timed."""
        self.steps += 1
        self.total += step.total
        self.waiting += step.waiting


def duration(seconds: float) -> str:
    """``3 d 04:05:06``, ``04:05:06``."""
    days, rest = divmod(int(seconds), 86400)
    text = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    return f"{days} d {text}" if days else text
