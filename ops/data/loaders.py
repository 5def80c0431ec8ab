"""Data loaders: batches of clips, read by this process or by workers."""

import gc
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from ops.data.clip_watch import ClipWatch
from ops.data.dataset import BrokenVideo, Clip, TestVideo, TestVideos, TrainClips
from ops.data.planes import PackedClip
from ops.data.samplers import ListBatchSampler, TrainBatchSampler
from ops.data.transforms import Frames
from ops.data.transport import DeliveringContext, Packing, Undelivered
from ops.runtime import InputError, distributed, plural, processors, shield_worker

SIGNAL_SECONDS = 3.0  # in which the signal of a worker that failed comes
MARGIN = 1.1  # times as many workers as are needed on average: reading takes uneven times


class Batch(NamedTuple):
    """pixels (N, T, F, 3, s, s) uint8, labels (N,), places in the list; the videos that could not be read.

    ``missing`` are those of ``broken`` in whose place there is no other. RGB lies with channels innermost, as it was
    decoded. Packed clips become these on the model's device.
    """

    pixels: Tensor | tuple[PackedClip, ...] | None
    labels: Tensor
    videos: tuple[int, ...]
    broken: tuple[BrokenVideo, ...]
    missing: tuple[BrokenVideo, ...]

    def to(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Pixels (N, T, F, 3, s, s) and labels of a batch that has some, on their way to a device."""
        assert self.pixels is not None
        labels = self.labels.to(device, non_blocking=True)
        if isinstance(self.pixels, tuple):
            return torch.stack([clip.on(device) for clip in self.pixels]), labels
        return self.pixels.to(device, non_blocking=True).contiguous(), labels


def collate_clips(samples: Sequence[Clip | BrokenVideo]) -> Batch:
    """Stack clips into a batch."""
    clips = [s for s in samples if isinstance(s, Clip)]
    broken = [b for s in samples for b in (s.replaced if isinstance(s, Clip) else (s,))]
    return Batch(
        _stacked([c.pixels for c in clips]) if clips else None,
        torch.tensor([c.label for c in clips], dtype=torch.long),
        tuple(c.video for c in clips),
        tuple(broken),
        tuple(s for s in samples if isinstance(s, BrokenVideo)),
    )


def _stacked(pixels: Sequence[Frames]) -> Tensor | tuple[PackedClip, ...]:
    """RGB is stacked as it lies, channels innermost, which is several times faster than to move each byte."""
    if isinstance(pixels[0], PackedClip):
        return tuple(pixels)
    return torch.stack([clip.movedim(-3, -1) for clip in pixels]).movedim(-1, -3)


def collate_first_view(samples: Sequence[TestVideo | BrokenVideo]) -> Batch:
    """Stack the first view of each video into a batch."""
    return collate_clips([s if isinstance(s, BrokenVideo) else Clip(s.first_view(), s.label, s.video) for s in samples])


class ClipLoader(DataLoader):
    """A DataLoader that is used inside ``guard()``, which names the video that hangs or kills a worker."""

    dataset: TrainClips | TestVideos

    def check_worker_number_rationality(self) -> None:
        """Nothing: ``workers_warning`` says it, once a run and not once a loader."""

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Around the use: names the video that hangs or kills a worker; whatever ends the use early ends the workers.

        Left to the garbage collector, each of them would keep this process waiting for five seconds.

        Raises:
            InputError: a worker died or hung.
        """
        try:
            with self.dataset.watch.guard():
                yield
        except BaseException:
            started: Any = self._iterator
            if started is not None:
                with suppress(RuntimeError):  # another worker has died meanwhile
                    started._shutdown_workers()
                self._iterator = None
            raise

    def __iter__(self) -> Any:
        if self.num_workers and self._iterator is None:
            self.multiprocessing_context.check_can_start(self.num_workers)
        return _delivered(super().__iter__(), self.dataset.watch)


def _delivered(batches: Iterator[Any], watch: ClipWatch) -> Iterator[Any]:
    """``batches``, while the watch knows when one is waited for.

    Where a connection to a worker breaks, the signal that tells which one died is waited for: torch raises in that
    signal's handler, wherever the main process is by then: here it is where guard() sees it.

    Raises:
        InputError: a batch could not be delivered.
    """
    while True:
        try:
            with watch.waiting():
                batch = next(batches)
        except StopIteration:
            return
        except (ConnectionError, EOFError):
            time.sleep(SIGNAL_SECONDS)
            raise
        if isinstance(batch, Undelivered):
            raise InputError(batch.reason)
        yield batch


def _start_worker(watch: ClipWatch, worker: int) -> None:
    shield_worker(worker)
    watch.start(worker)
    gc.freeze()  # a collection would write to, and so copy, every object of the main process


def _build_loader(
    dataset: TrainClips | TestVideos,
    sampler: Sampler | Sequence[list[int]],
    collate: Callable,
    workers: int,
    device: torch.device,
    clip_timeout: float,
) -> ClipLoader:
    dataset.watch = ClipWatch(workers, clip_timeout, dataset.source.path)
    options: dict[str, Any] = {}
    if workers:
        options = {"persistent_workers": True, "prefetch_factor": 2, "multiprocessing_context": DeliveringContext()}
    return ClipLoader(
        dataset,
        batch_sampler=sampler,
        collate_fn=Packing(collate) if workers else collate,
        num_workers=workers,
        pin_memory=device.type == "cuda",
        worker_init_fn=partial(_start_worker, dataset.watch),
        generator=torch.Generator().manual_seed(0),  # its own, so that the workers' seeds cost the run no random number
        **options,
    )


def train_loader(
    dataset: TrainClips, sampler: TrainBatchSampler, workers: int, device: torch.device, clip_timeout: float
) -> ClipLoader:
    """Batches for training, from the sampler's position; ``clip_timeout`` in seconds, 0 for none."""
    return _build_loader(dataset, sampler, collate_clips, workers, device, clip_timeout)


def validation_loader(
    dataset: TestVideos,
    batch_size: int,
    workers: int,
    device: torch.device,
    rank: int,
    world_size: int,
    clip_timeout: float,
) -> ClipLoader:
    """Batches of one view a video."""
    sampler = ListBatchSampler(len(dataset), batch_size, rank, world_size)
    return _build_loader(dataset, sampler, collate_first_view, workers, device, clip_timeout)


def test_loader(
    dataset: TestVideos,
    sampler: Sampler | Sequence[list[int]],
    workers: int,
    device: torch.device,
    clip_timeout: float,
) -> ClipLoader:
    """Lists of TestVideo or BrokenVideo."""
    return _build_loader(dataset, sampler, list, workers, device, clip_timeout)


def workers_warning(workers: int) -> str | None:
    """What to say of a number of data-loading workers a process, if they are more than the processor cores."""
    here, cores = workers * distributed.processes_here(), processors()
    if here <= cores:
        return None
    return f"{plural(here, 'data-loading worker')} share {plural(cores, 'processor core')}: a lower -j may be faster"


def workers_enough(work_seconds: float, step_seconds: float) -> int:
    """How many workers read batches as fast as a network takes them.

    Args:
        work_seconds: of one worker, to read the batches of a step.
        step_seconds: of a step that never waits.
    """
    return max(1, math.ceil(MARGIN * work_seconds / step_seconds))
