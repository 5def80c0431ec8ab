"""Batches: which samples make one, in which process, and the data loaders that decode them.

The order of training samples follows from (seed, epoch), and the b-th batch of validation or testing holds the same
videos whatever the number of processes.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from ops.data.clip_watch import ClipWatch
from ops.data.dataset import BrokenVideo, Clip, SampleKey, TestVideo, TestVideos, TrainClips
from ops.runtime import InputError, distributed, plural, processors, shield_worker

SIGNAL_SECONDS = 3.0  # in which the signal of a worker that failed comes


class Batch(NamedTuple):
    """pixels (N, T, F, 3, s, s) uint8, labels (N,), places in the list; the videos that could not be read.

    ``missing`` are those of ``broken`` in whose place there is no other.
    """

    pixels: Tensor | None
    labels: Tensor
    videos: tuple[int, ...]
    broken: tuple[BrokenVideo, ...]
    missing: tuple[BrokenVideo, ...]

    def to(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Pixels and labels of a batch that has some, on their way to a device."""
        assert self.pixels is not None
        return self.pixels.to(device, non_blocking=True), self.labels.to(device, non_blocking=True)


class TrainBatchSampler(Sampler[list[SampleKey]]):
    """Batches of one process, by optimiser steps; the incomplete last step of an epoch is left out.

    A step takes ``accumulate`` batches of ``batch_size`` from each of ``world_size`` processes, in the order of one
    permutation: for one global batch size the samples of a step do not depend on the number of processes.

    Args:
        num_videos: length of the list.
        batch_size: videos a batch, per process.
        accumulate: batches a step.
        seed: of the order.
    """

    def __init__(
        self, num_videos: int, batch_size: int, accumulate: int, rank: int, world_size: int, seed: int
    ) -> None:
        self.num_videos = num_videos
        self.batch_size = batch_size
        self.accumulate = accumulate
        self.rank = rank
        self.world_size = world_size
        self.seed = seed
        self.epoch = 0
        self.first_step = 0
        self.steps_per_epoch = num_videos // self.global_batch_size
        if self.steps_per_epoch == 0:
            raise InputError(
                f"expected a training list of at least one global batch ({batch_size} videos x {world_size} processes "
                f"x {accumulate} accumulated = {self.global_batch_size}), got {num_videos} videos"
            )

    @property
    def global_batch_size(self) -> int:
        return self.batch_size * self.accumulate * self.world_size

    def set_position(self, epoch: int, step: int) -> None:
        """Where the next iteration begins: ``step`` steps of ``epoch`` have been done."""
        self.epoch = epoch
        self.first_step = step

    def __len__(self) -> int:
        return (self.steps_per_epoch - self.first_step) * self.accumulate

    def __iter__(self) -> Iterator[list[SampleKey]]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.num_videos)
        for batch in range(self.first_step * self.accumulate, self.steps_per_epoch * self.accumulate):
            start = (batch * self.world_size + self.rank) * self.batch_size
            yield [SampleKey(self.epoch, int(i)) for i in order[start : start + self.batch_size]]


class ListBatchSampler(Sampler[list[int]]):
    """Whole batches in list order; process r of P takes every P-th, so a video's batch is always the same."""

    def __init__(self, num_videos: int, batch_size: int, rank: int, world_size: int) -> None:
        starts = range(0, num_videos, batch_size)
        self.batches = [list(range(s, min(s + batch_size, num_videos))) for s in starts][rank::world_size]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)


def collate_clips(samples: Sequence[Clip | BrokenVideo]) -> Batch:
    """Stack clips into a batch."""
    clips = [s for s in samples if isinstance(s, Clip)]
    broken = [b for s in samples for b in (s.replaced if isinstance(s, Clip) else (s,))]
    return Batch(
        torch.stack([c.pixels for c in clips]) if clips else None,
        torch.tensor([c.label for c in clips], dtype=torch.long),
        tuple(c.video for c in clips),
        tuple(broken),
        tuple(s for s in samples if isinstance(s, BrokenVideo)),
    )


def collate_first_view(samples: Sequence[TestVideo | BrokenVideo]) -> Batch:
    """Stack the first view of each video into a batch."""
    return collate_clips(
        [s if isinstance(s, BrokenVideo) else Clip(s.view(0, 0, 0), s.label, s.video) for s in samples]
    )


class ClipLoader(DataLoader):
    """A DataLoader that is used inside ``guard()``, which names the video that hangs or kills a worker."""

    dataset: TrainClips | TestVideos

    def check_worker_number_rationality(self) -> None:
        """Nothing: ``workers_warning`` says it, once a run and not once a loader."""

    def guard(self) -> AbstractContextManager[None]:
        return self.dataset.watch.guard()

    def __iter__(self) -> Any:
        return _with_signals_awaited(super().__iter__())


def _with_signals_awaited(batches: Iterator[Any]) -> Iterator[Any]:
    """``batches``; where a connection to a worker breaks, the signal that tells which one died is waited for.

    torch raises in that signal's handler, wherever the main process is by then: here it is where guard() sees it.
    """
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except (ConnectionError, EOFError):
            time.sleep(SIGNAL_SECONDS)
            raise
        yield batch


def _build_loader(
    dataset: TrainClips | TestVideos,
    sampler: Sampler,
    collate: Callable,
    workers: int,
    device: torch.device,
    clip_timeout: float,
) -> ClipLoader:
    dataset.watch = ClipWatch(workers, clip_timeout, dataset.source.path)
    options: dict[str, Any] = {"persistent_workers": True, "prefetch_factor": 2} if workers else {}
    return ClipLoader(
        dataset,
        batch_sampler=sampler,
        collate_fn=collate,
        num_workers=workers,
        pin_memory=device.type == "cuda",
        worker_init_fn=shield_worker,
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
    dataset: TestVideos, sampler: Sampler, workers: int, device: torch.device, clip_timeout: float
) -> ClipLoader:
    """Lists of TestVideo or BrokenVideo."""
    return _build_loader(dataset, sampler, list, workers, device, clip_timeout)


def workers_warning(workers: int) -> str | None:
    """What to say of a number of data-loading workers a process, if they are more than the processor cores."""
    here, cores = workers * distributed.processes_here(), processors()
    if here <= cores:
        return None
    return f"{plural(here, 'data-loading worker')} share {plural(cores, 'processor core')}: a lower -j may be faster"
