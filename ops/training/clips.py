"""The videos of a run: its lists, and random clips of the training list, batch by batch."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import torch

from ops.data import (
    BadVideos,
    Batch,
    FrameSampler,
    TrainBatchSampler,
    TrainClips,
    TrainTransform,
    VideoList,
    VideoSource,
    check_first_video,
    parse_augment,
    read_list,
    train_loader,
)
from ops.runtime import InputError, distributed
from ops.settings import TrainConfig
from ops.training.saving.checkpoint_contents import Position


def open_list(config: TrainConfig, path: Path) -> VideoList:
    """The videos of a list, the first of which is there."""
    records = read_list(path, config.dataset)
    check_first_video(records, config.dataset, config.on_bad_video == "skip")
    return records


def bad_videos(config: TrainConfig, path: Path, source: VideoSource) -> BadVideos:
    """How the broken videos of a list are handled."""
    return BadVideos(path, len(source.records), config.on_bad_video == "skip", config.max_bad)


def batch_sampler(config: TrainConfig, num_videos: int) -> TrainBatchSampler:
    """Which training videos make a step, on this process."""
    return TrainBatchSampler(
        num_videos,
        config.batch_size,
        config.accumulate,
        distributed.rank(),
        distributed.world_size(),
        config.seed,
    )


class TrainingClips:
    """Random clips of the training list.

    Args:
        config: settings of main.py.
        source: the training videos.
        sampler: which of them make a step.
        frames_per_segment: F.
        device: where the clips go.
    """

    def __init__(
        self,
        config: TrainConfig,
        source: VideoSource,
        sampler: TrainBatchSampler,
        frames_per_segment: int,
        device: torch.device,
    ) -> None:
        self.source = source
        self.sampler = sampler
        self.bad = bad_videos(config, config.dataset.train_list, source)
        clips = TrainClips(
            source,
            config.model.num_segments,
            FrameSampler(frames_per_segment, config.dense_sample),
            TrainTransform(
                config.input_size, config.dataset.mirror_labels(config.flips), parse_augment(config.augment)
            ),
            config.seed,
            substitute=config.on_bad_video == "skip",
        )
        self._loader = train_loader(clips, sampler, config.workers, device, config.clip_timeout)

    def guard(self) -> AbstractContextManager[None]:
        """Around ``batches``: a worker that dies or hangs becomes an InputError that names its video."""
        return self._loader.guard()

    def batches(self, position: Position) -> Iterator[Batch]:
        """The batches of this process, from the position to the end of its epoch.

        Raises:
            InputError: a video is broken, and not to be skipped or without one that could take its place.
        """
        self.sampler.set_position(position.epoch, position.step)
        for batch in self._loader:
            self.bad.add(batch.broken)
            if batch.missing:
                raise InputError(batch.missing[-1].reason)
            yield batch
