"""The engine behind both test scripts: every view of every video through one or several models.

N videos of a batch, V views (clips x crops) of each, T segments, K classes.
"""

import math
from collections.abc import Sequence
from contextlib import closing

import numpy as np
import torch
from torch import Tensor
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
    check_first_video,
    read_list,
    test_loader,
    test_scale,
    workers_warning,
)
from ops.evaluation.measurement import Measurement, motion_name
from ops.evaluation.metrics import RunningMean
from ops.evaluation.score_averaging import RULES
from ops.evaluation.score_files.score_journal import ScoreJournal
from ops.evaluation.score_files.score_output import ScoreOutput
from ops.evaluation.tested_data import with_data
from ops.evaluation.tested_networks import Tested, load_networks, read_weights
from ops.models import Recognizer
from ops.runtime import (
    Fact,
    InputError,
    autocast,
    distributed,
    get_logger,
    require_agreement,
    show_bars,
    use_fast_products,
)
from ops.settings import TestConfig, facts_of
from ops.video import choose_decoder


def score_views(config: TestConfig, device: torch.device) -> None:
    """Score the views that the settings ask for, and write their files.

    Raises:
        InputError: what a user can get wrong.
    """
    log = get_logger()
    use_fast_products(device, config.exact)
    weights = [read_weights(path, config.weights_kind) for path in config.weights]
    config = with_data(config, [each.content for each in weights], [each.found for each in weights])
    everything = read_list(config.data.val_list, config.data)
    records = everything[: config.max_num]
    require_agreement([*facts_of(config), Fact("list", everything.digest(), str(config.data.val_list))])
    skip = config.on_bad_video == "skip"
    check_first_video(records, config.data, skip)
    bad = BadVideos(config.data.val_list, len(records), skip, config.max_bad)
    decoder = choose_decoder(config.decoder)
    config, tested = load_networks(config, weights, device)
    least = test_scale(config.input_size) if config.reduced_jpeg else None
    source = VideoSource.of_list(config.data, config.data.val_list, records, decoder, config.pixels, least)
    del weights  # the networks have them
    models = [each.network for each in tested]
    measurement = _measurement(config, len(records), tested)
    crowding = workers_warning(config.workers)
    if crowding is not None:
        log.warning(crowding)
    log.info("testing: %s", measurement.line())
    with closing(ScoreOutput(config, measurement, source)) as output:
        if output.is_complete:
            log.info("nothing to do: %s already has all scores", config.output_dir)
        else:
            _fill(output, config, source, models, bad, device)


def _fill(
    output: ScoreOutput,
    config: TestConfig,
    source: VideoSource,
    models: Sequence[Recognizer],
    bad: BadVideos,
    device: torch.device,
) -> None:
    """Score what is not scored yet, and write the score files."""
    done = set[int]().union(*distributed.from_all(set(output.journal.read())))
    if done:
        get_logger().info("resuming: %d of %d videos are already scored", len(done), len(source.records))
    output.journal.open(distributed.rank())
    try:
        _score_videos(config, source, models, output.journal, done, bad, device)
    finally:
        output.journal.close()
    bad.gather()
    output.gather(bad.reasons)
    distributed.on_main_only(lambda: output.write(bad.reasons))
    output.journal.remove()
    distributed.barrier()


def _measurement(config: TestConfig, num_videos: int, tested: Sequence[Tested]) -> Measurement:
    sampling = "random" if config.clip_sampling == "random" else "even"
    return Measurement(
        dataset=config.data.name,
        video_list=config.data.val_list.name,
        num_videos=num_videos,
        scored_videos=num_videos,
        segments=tuple(each.network.design.num_segments for each in tested),
        networks=tuple(each.network.design.network for each in tested),
        motion=tuple(motion_name(each.network.design.motion) for each in tested),
        motion_windows=tuple(each.network.design.motion_window for each in tested),
        crops=config.num_crops,
        clips=config.num_clips,
        sampling=f"dense {sampling}" if config.dense_sample else sampling,
        scale=test_scale(config.input_size),
        size=_crop_size(config),
        checkpoints=tuple(each.checkpoint for each in tested),
        coefficients=tuple(m.coefficient for m in config.models),
        softmax=config.softmax,
        average=config.average,
        amp=config.amp,
        pixels=config.pixels,
        seed=config.seed if sampling == "random" else None,
        remarks=(
            *(f"{each.checkpoint.file}: {remark}" for each in tested for remark in each.remarks),
            *(("JPEG at reduced size",) if config.reduced_jpeg else ()),
        ),
    )


def _score_videos(
    config: TestConfig,
    source: VideoSource,
    models: Sequence[Recognizer],
    journal: ScoreJournal,
    done: set[int],
    bad: BadVideos,
    device: torch.device,
) -> None:
    """Score this process's share of the videos that are not done yet."""
    random = config.clip_sampling == "random"
    dataset = TestVideos(
        source,
        [
            (
                model.design.num_segments,
                FrameSampler(model.design.frames_per_segment, config.dense_sample, random, config.seed),
            )
            for model in models
        ],
        TestTransform(test_scale(config.input_size), _crop_size(config), config.num_crops),
        config.clips,
        config.num_clips,
    )
    views = len(config.clips) * config.num_crops
    videos_a_batch = max(1, config.batch_size // views)
    sampler = ListBatchSampler(len(dataset), videos_a_batch, distributed.rank(), distributed.world_size(), done)
    top1 = RunningMean()
    loader = test_loader(dataset, sampler, config.workers, device, config.clip_timeout)
    count = sampler.count_videos()
    with tqdm(total=count, unit="video", disable=not show_bars(), dynamic_ncols=True) as bar, loader.guard():
        for batch in loader:
            bad.add(sample for sample in batch if isinstance(sample, BrokenVideo))
            bar.update(len(batch))
            videos = [sample for sample in batch if isinstance(sample, TestVideo)]
            if not videos:
                continue
            scores = _score_batch(config, videos, models, device)  # (N, V, K)
            for video, video_scores in zip(videos, scores, strict=True):
                if not np.isfinite(video_scores).all():
                    raise InputError(f"{source.records[video.video].path}: expected finite scores, got NaN or infinity")
                journal.append(video.video, video_scores)
                top1.add(100 * float(RULES[config.average](video_scores).sum(axis=0).argmax() == video.label))
            bar.set_postfix_str(f"top-1 {top1.mean:.2f} %", refresh=False)


def _crop_size(config: TestConfig) -> int:
    return test_scale(config.input_size) if config.full_res else config.input_size


@torch.inference_mode()
def _score_batch(
    config: TestConfig, videos: Sequence[TestVideo], models: Sequence[Recognizer], device: torch.device
) -> np.ndarray:
    """Logits (N, V, K) of every view of some videos: the weighted sum over models, over their number."""
    videos = [video.on(device) for video in videos]
    weighted = []
    for number, (network, settings) in enumerate(zip(models, config.models, strict=True)):
        views = [
            video.view(number, clip, crop)
            for video in videos
            for clip in range(len(config.clips))
            for crop in range(config.num_crops)
        ]
        parts = [
            _logits(network, torch.stack(views[start : start + config.batch_size]), config.amp, device)
            for start in range(0, len(views), config.batch_size)
        ]
        scores = torch.cat(parts)  # (N*V, K)
        if config.softmax:
            scores = scores.log_softmax(dim=1) + math.log(settings.coefficient)
        weighted.append(scores if config.softmax else settings.coefficient * scores)
    several = torch.stack(weighted)  # (models, N*V, K)
    total = several.logsumexp(dim=0) - math.log(len(models)) if config.softmax else several.mean(dim=0)
    return total.unflatten(0, (len(videos), -1)).cpu().numpy()


def _logits(network: Recognizer, clips: Tensor, amp: str | None, device: torch.device) -> Tensor:
    """(V, T, F, 3, s, s) -> (V, K)"""
    with autocast(device, amp):
        return network(clips).float()
