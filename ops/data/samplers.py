"""Which samples make a batch, in which process.

The order of training samples follows from (seed, epoch), and the b-th batch of validation or testing holds the same
videos whatever the number of processes.
"""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from ops.data.dataset import SampleKey
from ops.runtime import InputError


class TrainBatchSampler(Sampler[list[SampleKey]]):
    """Batches of one process, by optimiser steps; the incomplete last step of an epoch is skipped.

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
    """Whole batches in list order; process r of P takes every P-th, so a video's batch is always the same.

    Args:
        num_videos: length of the list.
        batch_size: videos a batch, per process.
        done: videos that are not needed; a batch of nothing else is skipped.
    """

    def __init__(
        self,
        num_videos: int,
        batch_size: int,
        rank: int,
        world_size: int,
        done: set[int] | frozenset[int] = frozenset(),
    ) -> None:
        self.num_videos = num_videos
        self.batch_size = batch_size
        self.starts = np.arange(rank * batch_size, num_videos, world_size * batch_size)
        if done:
            needed = [not done.issuperset(self._batch(start)) for start in self.starts.tolist()]
            self.starts = self.starts[needed]

    def _batch(self, start: int) -> range:
        return range(start, min(start + self.batch_size, self.num_videos))

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self) -> Iterator[list[int]]:
        return (list(self._batch(start)) for start in self.starts.tolist())

    def count_videos(self) -> int:
        """How many videos the batches hold together."""
        return sum(len(self._batch(start)) for start in self.starts.tolist())
