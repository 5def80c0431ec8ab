"""How a batch travels from the worker that read it to the main process.

Tensors and arrays are written to a file in memory (memfd), which the main process maps: one copy, and no room taken
in /dev/shm, of which a container has 64 MB by default. What cannot be delivered arrives as Undelivered, in its place:
where torch sends batches itself, an error of the sending thread loses the batch, and the main process waits for ever.
"""

import errno
import io
import mmap
import os
import pickle
import resource
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import queues
from multiprocessing.context import ForkContext
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ops.runtime import InputError

ALIGNMENT = 64  # bytes, of each array in a file
FILES = 16  # that may be opened besides: by a process at work,
FILES_A_WORKER = 5  # and for a worker and its batches, besides its queue
SHARED_MEMORY = Path("/dev/shm")


class Undelivered(NamedTuple):
    """Takes the place of a batch that could not be sent, and says why."""

    reason: str


class _Pickler(pickle.Pickler):
    """Pickles tensors as NumPy arrays, which can lie outside of the pickle."""

    def reducer_override(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return NotImplemented
        order = sorted(range(value.dim()), key=value.stride, reverse=True)  # as it lies in memory
        return _tensor, (value.permute(order).contiguous().numpy(), tuple(np.argsort(order).tolist()))


def _tensor(array: np.ndarray, order: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(array).permute(order)


class Parcel:
    """A batch in a file in memory; unpickled in another process, it is the batch again, or Undelivered.

    Args:
        batch: of tensors, arrays and whatever else can be pickled.

    Raises:
        OSError: there is no memory for the file, or too many are open.
    """

    def __init__(self, batch: object) -> None:
        arrays: list[pickle.PickleBuffer] = []
        content = io.BytesIO()
        _Pickler(content, protocol=5, buffer_callback=arrays.append).dump(batch)
        self.content = content.getvalue()
        self.places: list[tuple[int, int]] = []  # offset and length of each array
        self.file = os.memfd_create("batch", os.MFD_CLOEXEC)
        end = 0
        for array in arrays:
            with array.raw() as view:
                start = -end % ALIGNMENT + end
                self.places.append((start, view.nbytes))
                end = start
                while end < start + view.nbytes:  # a write takes 2 GB at most
                    end += os.pwrite(self.file, view[end - start :], end)

    def __del__(self) -> None:
        if hasattr(self, "file"):
            os.close(self.file)

    def __reduce__(self) -> tuple[Callable, tuple]:
        return _unpack, (self.content, DupFd(self.file), self.places)


def _unpack(content: bytes, file: Any, places: Sequence[tuple[int, int]]) -> Any:
    """What a parcel holds, in the memory that its sender wrote to."""
    try:
        descriptor = file.detach()
        try:
            memory = memoryview(mmap.mmap(descriptor, 0) if any(length for _, length in places) else bytearray())
        finally:
            os.close(descriptor)
        return pickle.loads(content, buffers=[memory[start : start + length] for start, length in places])
    except (ConnectionError, EOFError):  # the sender is gone: the loader finds out why
        raise
    except (OSError, RuntimeError) as error:
        if "DataLoader worker (pid" in str(error):  # raised here by torch's handler of the signal that a worker died
            raise
        return Undelivered(reason_of(error))


class Packing:
    """Makes batches and packs them, in a worker.

    Args:
        collate: makes a batch of samples.
    """

    def __init__(self, collate: Callable[[list], object]) -> None:
        self.collate = collate

    def __call__(self, samples: list) -> object:
        batch = self.collate(samples)
        try:
            return Parcel(batch)
        except OSError as error:
            if error.errno in (errno.ENOSYS, errno.EPERM):  # no such files here: torch sends the batch through /dev/shm
                return batch
            return Undelivered(reason_of(error))
        except AttributeError:  # nor on this system
            return batch


class _Queue(queues.Queue):
    """A queue whose receiver is told what could not be sent."""

    def _on_queue_feeder_error(self, error: Exception, item: Any) -> None:
        with suppress(ValueError):  # it is closed: nobody waits for it any more
            self.put((item[0], Undelivered(reason_of(error))))


class DeliveringContext(ForkContext):
    """For a DataLoader's workers: forked, so that they share the list of videos, and with queues that lose nothing."""

    def Queue(self, maxsize: int = 0) -> queues.Queue:  # noqa: N802 (the base class calls it so)
        return _Queue(maxsize, ctx=self.get_context())

    def check_can_start(self, workers: int) -> None:
        """Try what starting workers and receiving from them takes: torch fails untidily in the middle of it.

        Raises:
            InputError: there are too few open files, or no room for semaphores in /dev/shm.
        """
        files: list[int] = []
        try:
            trial = [self.Queue() for _ in range(workers + 1)], self.Event()
            files.extend(os.dup(0) for _ in range(FILES + FILES_A_WORKER * workers))
            del trial
        except OSError as error:
            raise InputError(reason_of(error)) from None
        finally:
            for file in files:
                os.close(file)


def reason_of(error: BaseException) -> str:
    """One line: why workers and the main process cannot exchange batches, and what to do."""
    said = " ".join(str(error).split())
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.EMFILE, errno.ENFILE) or "Too many open files" in said or "items of ancdata" in said:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return (
            f"expected to open one more file, got the limit of {limit} open files; raise it (ulimit -n 4096) or use "
            f"fewer data-loading workers (-j)"
        )
    if number == errno.ENOSPC or "No space left on device" in said or "unable to allocate shared memory" in said:
        size = shutil.disk_usage(SHARED_MEMORY).total / 2**20
        return (
            f"{SHARED_MEMORY}: expected room for what data-loading workers share, got a full file system of {size:.3g} "
            f"MB; make it larger (docker run --shm-size=8g) or use fewer workers (-j)"
        )
    return f"expected batches from data-loading workers, got {said or type(error).__name__}"
