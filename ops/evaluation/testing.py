"""The engine behind both test scripts: every view of every video through one or several models.

N videos of a batch, V views (clips x crops) of each, T segments, K classes.
"""

import math
from collections.abc import Sequence
from contextlib import closing

import numpy as np
import torch
from torch import Tensor

from ops.data import BadVideos, TestVideo, VideoSource, test_scale
from ops.evaluation.list_pass import crop_size, pass_over, sampling_words, views_of
from ops.evaluation.measurement import Measurement, motion_name
from ops.evaluation.metrics import RunningMean
from ops.evaluation.score_averaging import RULES
from ops.evaluation.score_files.score_output import ScoreOutput
from ops.evaluation.tested_data import open_list, source_of
from ops.evaluation.tested_networks import Tested, load_networks, read_weights
from ops.models import Recognizer
from ops.runtime import autocast, exchange, get_logger, use_fast_products
from ops.settings import TestConfig


def score_views(config: TestConfig, device: torch.device) -> None:
    """Score the views that the settings ask for, and write their files.

    Raises:
        InputError: what a user can get wrong.
    """
    log = get_logger()
    use_fast_products(device, config.exact)
    weights = [read_weights(path, config.weights_kind) for path in config.weights]
    config, records, bad = open_list(config, [each.content for each in weights], [each.found for each in weights])
    config, tested = load_networks(config, weights, device)
    source = source_of(config, records)
    del weights  # the networks have them
    models = [each.network for each in tested]
    measurement = _measurement(config, len(records), tested)
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
    top1 = RunningMean()

    def note(video: TestVideo, scores: np.ndarray) -> str:
        top1.add(100 * float(RULES[config.average](scores).sum(axis=0).argmax() == video.label))
        return f"top-1 {top1.mean:.2f} %"

    def compute(videos: Sequence[TestVideo]) -> np.ndarray:
        return _score_batch(config, videos, models, device)

    pass_over(config, source, models, output.journal, bad, device, compute, note)
    exchange.on_main_only(lambda: output.write(bad.reasons))
    output.journal.remove()
    exchange.barrier()


def _measurement(config: TestConfig, num_videos: int, tested: Sequence[Tested]) -> Measurement:
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
        sampling=sampling_words(config),
        scale=test_scale(config.input_size),
        size=crop_size(config),
        checkpoints=tuple(each.checkpoint for each in tested),
        coefficients=tuple(m.coefficient for m in config.models),
        softmax=config.softmax,
        average=config.average,
        amp=config.amp,
        pixels=config.pixels,
        seed=config.seed if config.clip_sampling == "random" else None,
        remarks=(
            *(f"{each.checkpoint.file}: {remark}" for each in tested for remark in each.remarks),
            *(("JPEG at reduced size",) if config.reduced_jpeg else ()),
        ),
    )


@torch.inference_mode()
def _score_batch(
    config: TestConfig, videos: Sequence[TestVideo], models: Sequence[Recognizer], device: torch.device
) -> np.ndarray:
    """Logits (N, V, K) of every view of some videos: the weighted sum over models, over their number."""
    videos = [video.on(device) for video in videos]
    weighted = []
    for number, (network, settings) in enumerate(zip(models, config.models, strict=True)):
        views = views_of(config, videos, number)
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
