"""Every video of a list through a function, by all processes; what is done is in a journal, and not done again.

N videos of a batch, V views (clips x crops) of each.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from tqdm import tqdm

from ops.data import (
    BadVideos,
    BrokenVideo,
    FrameSampler,
    ListBatchSampler,
    TestTransform,
    TestVideo,
    TestVideos,
    VideoSource,
    test_loader,
    test_scale,
    workers_warning,
)
from ops.evaluation.score_files.score_journal import ScoreJournal
from ops.models import Recognizer
from ops.runtime import InputError, distributed, exchange, get_logger, show_bars
from ops.settings import FeatureConfig, TestConfig

Compute = Callable[[Sequence[TestVideo]], np.ndarray]
Note = Callable[[TestVideo, np.ndarray], str]


def pass_over(
    config: TestConfig | FeatureConfig,
    source: VideoSource,
    networks: Sequence[Recognizer],
    journal: ScoreJournal,
    bad: BadVideos,
    device: torch.device,
    compute: Compute,
    note: Note,
) -> None:
    """Put into the journal what ``compute`` makes of the videos that are not in it yet; returns when all have done so.

    Args:
        networks: that see the views, which decide on their frames.
        bad: receives the videos that cannot be read.
        compute: videos to numbers (N, ...), the record of each.
        note: words for the progress bar, of each video and its record.

    Raises:
        InputError: a video cannot be read, or its numbers are not finite.
    """
    crowding = workers_warning(config.workers)
    if crowding is not None:
        get_logger().warning(crowding)
    done = set[int]().union(*exchange.from_all(set(journal.places())))
    if done:
        total = len(source.records)
        get_logger().info("resuming: %d of %d videos are already %s", len(done), total, journal.kept.done)
    journal.open(distributed.rank())
    try:
        _own_share(config, source, networks, journal, done, bad, device, compute, note)
    finally:
        journal.close()
    bad.gather()
    journal.gather(set(range(len(source.records))) - set(bad.reasons))


def _own_share(
    config: TestConfig | FeatureConfig,
    source: VideoSource,
    networks: Sequence[Recognizer],
    journal: ScoreJournal,
    done: set[int],
    bad: BadVideos,
    device: torch.device,
    compute: Compute,
    note: Note,
) -> None:
    dataset = TestVideos(
        source,
        [(network.num_segments, _frames_of(config, network)) for network in networks],
        TestTransform(test_scale(config.input_size), crop_size(config), config.num_crops),
        config.clips,
        config.num_clips,
    )
    videos_a_batch = max(1, config.batch_size // (len(config.clips) * config.num_crops))
    sampler = ListBatchSampler(len(dataset), videos_a_batch, distributed.rank(), distributed.world_size(), done)
    loader = test_loader(dataset, sampler, config.workers, device, config.clip_timeout)
    count = sampler.count_videos()
    with tqdm(total=count, unit="video", disable=not show_bars(), dynamic_ncols=True) as bar, loader.guard():
        for batch in loader:
            bad.add(sample for sample in batch if isinstance(sample, BrokenVideo))
            bar.update(len(batch))
            videos = [sample for sample in batch if isinstance(sample, TestVideo)]
            if not videos:
                continue
            said = ""
            for video, record in zip(videos, compute(videos), strict=True):
                if not np.isfinite(record).all():
                    name, what = source.records[video.video].path, journal.kept.what
                    raise InputError(f"{name}: expected finite {what}, got NaN or infinity")
                journal.append(video.video, record)
                said = note(video, record)
            bar.set_postfix_str(said, refresh=False)


def _frames_of(config: TestConfig | FeatureConfig, network: Recognizer) -> FrameSampler:
    random = config.clip_sampling == "random"
    return FrameSampler(network.frames_per_segment, config.dense_sample, random, config.seed)


def sampling_words(config: TestConfig | FeatureConfig) -> str:
    """``even``, ``random``, ``dense even`` or ``dense random``."""
    sampling = "random" if config.clip_sampling == "random" else "even"
    return f"dense {sampling}" if config.dense_sample else sampling


def crop_size(config: TestConfig | FeatureConfig) -> int:
    """Side of a crop in pixels."""
    return test_scale(config.input_size) if config.full_res else config.input_size


def views_of(config: TestConfig | FeatureConfig, videos: Sequence[TestVideo], network: int = 0) -> list[torch.Tensor]:
    """All views of some videos as a network sees them, (T, F, 3, s, s) each: by video, by clip, by crop."""
    return [
        video.view(network, clip, crop)
        for video in videos
        for clip in range(len(config.clips))
        for crop in range(config.num_crops)
    ]
