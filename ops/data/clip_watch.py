"""Which video each data worker is reading, so that a decoder that hangs or kills its process can be named.

Workers note in shared memory what they begin to read; that costs a few stores a clip. The main process looks once a
second, and ends a worker that stays at one video too long, or all of them where it waits and none of them reads. Reads
in the main process itself (no workers) go unwatched.
"""

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.sharedctypes import RawArray

from torch.utils.data import get_worker_info

from ops.runtime import InputError

PROCESS, VIDEO, SERIAL = range(3)  # of a worker's slot
SLOT = 3
IDLE = -1
POLL_SECONDS = 1.0
LOST_SECONDS = 60.0  # of waiting for workers that read nothing: what is waited for cannot come


class ClipWatch:
    """Shared between a data set in its workers and the main process.

    Args:
        workers: how many processes read.
        timeout: seconds that a worker may stay at one video; 0 is for ever.
        name_of: where a video is, by its place in the list.
    """

    def __init__(self, workers: int, timeout: float, name_of: Callable[[int], object]) -> None:
        self.workers = workers
        self.timeout = timeout
        self.name_of = name_of
        self._waiting = False
        self._slots = RawArray("q", [0, IDLE, 0] * workers)

    def start(self, worker: int) -> None:
        """In a worker: this process is ``worker``."""
        self._slots[SLOT * worker + PROCESS] = os.getpid()

    def begin(self, video: int) -> None:
        """In a worker: this video is being read from now on."""
        worker = get_worker_info()
        if worker is not None:
            slot = SLOT * worker.id
            self._slots[slot + SERIAL] += 1
            self._slots[slot + VIDEO] = video

    def end(self) -> None:
        """In a worker: no video is being read."""
        worker = get_worker_info()
        if worker is not None:
            self._slots[SLOT * worker.id + VIDEO] = IDLE

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """In the main process: a batch is waited for."""
        self._waiting = True
        try:
            yield
        finally:
            self._waiting = False

    @contextmanager
    def guard(self) -> Iterator[None]:
        """In the main process, around the use of a loader: what kills or stops a worker becomes an InputError.

        Raises:
            InputError: a worker died or hung; the message names the video that it was at.
        """
        late: dict[int, str] = {}  # workers that were ended for being late, and what came of them instead of a clip
        stop = threading.Event()
        thread = threading.Thread(target=self._end_late_workers, args=(late, stop), daemon=True)
        if self.workers:
            thread.start()
        try:
            yield
        except (RuntimeError, ConnectionError, EOFError) as error:
            message = str(error)
            if isinstance(error, ConnectionError | EOFError) or message.startswith("Pin memory thread exited"):
                # The worker ended while a clip was handed over, and without a failure that a signal would have told of.
                ended = ", ".join(str(process) for process in self._ended_workers())
                message = f"DataLoader worker (pid(s) {ended}) is gone: {message}"
            elif "DataLoader worker (pid" not in message:  # an exception in a worker is "in DataLoader worker process"
                raise
            raise InputError(self._explain(message, late)) from None
        finally:
            stop.set()
            if thread.is_alive():
                thread.join()

    def _end_late_workers(self, late: dict[int, str], stop: threading.Event) -> None:
        """Time is counted look by look, so that a stopped or crowded machine makes no worker late."""
        interval = min(POLL_SECONDS, self.timeout / 4 or POLL_SECONDS)
        at, waited, lost = [0] * self.workers, [0.0] * self.workers, 0.0
        last = time.monotonic()
        while not stop.wait(interval):
            now = time.monotonic()
            elapsed, last = min(now - last, 2 * interval), now
            slots = [self._slot(worker) for worker in range(self.workers)]
            reads = any(video != IDLE or serial != at[worker] for worker, (_, video, serial) in enumerate(slots))
            lost = 0.0 if reads or not self._waiting else lost + elapsed
            if lost > LOST_SECONDS:
                for process, _, _ in slots:
                    _end(process, late, f"none for {LOST_SECONDS:g} s")
            for worker, (process, video, serial) in enumerate(slots):
                if video == IDLE or serial != at[worker]:
                    at[worker], waited[worker] = serial, 0.0
                    continue
                waited[worker] += elapsed
                if self.timeout and waited[worker] > self.timeout:
                    _end(process, late, f"none within {self.timeout:g} s (--clip_timeout)")

    def _slot(self, worker: int) -> tuple[int, int, int]:
        process, video, serial = self._slots[SLOT * worker : SLOT * (worker + 1)]
        return process, video, serial

    def _ended_workers(self) -> list[int]:
        """Processes of workers that have ended, which are this process's children."""
        processes = {self._slot(worker)[0] for worker in range(self.workers)} - {0}
        ended = []
        for process in processes:
            try:
                if os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                    ended.append(process)
            except ChildProcessError:
                ended.append(process)
        return ended

    def _explain(self, message: str, late: Mapping[int, str]) -> str:
        found = re.search(r"DataLoader worker \(pid\D*([\d, ]+)", message)
        ended = {int(number) for number in re.findall(r"\d+", found[1])} if found else set()
        slots = [self._slot(worker) for worker in range(self.workers)]
        videos = [str(self.name_of(video)) for process, video, _ in slots if process in ended and video != IDLE]
        reason = f"a worker process that died: {' '.join(message.split())}"
        for process in ended & late.keys():
            reason = late[process]
        if not videos:
            return f"expected clips from data workers, got {reason.removesuffix('.')} (it was not reading a video)"
        return (
            f"{', '.join(videos)}: expected a clip, got {reason.removesuffix('.')}; "
            f"scripts/preparation/check_dataset.py --write_clean finds such videos and writes lists without them"
        )


def _end(process: int, late: dict[int, str], reason: str) -> None:
    """Kill a worker, once; its end is noticed where the main process waits for it."""
    if process and process not in late:
        late[process] = reason
        os.kill(process, signal.SIGKILL)
