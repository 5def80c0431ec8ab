"""The body of extract_features.py: every view of every video of a list through a network, up to a layer.

N videos of a batch, V views (clips x crops) of each, T segments, C channels.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ops.data import TestVideo, test_scale
from ops.evaluation import (
    Opened,
    announce,
    build_network,
    crop_size,
    motion_name,
    open_list,
    pass_over,
    read_weights,
    sampling_words,
    source_of,
    views_of,
)
from ops.inference.features.feature_output import FeatureOutput
from ops.inference.features.layer_output import POOL, LayerOutput
from ops.runtime import distributed, exchange, get_logger, use_fast_products
from ops.settings import FeatureConfig


def extract_features(config: FeatureConfig) -> None:
    """Write the features that the settings ask for.

    Raises:
        InputError: what a user can get wrong.
    """
    device = distributed.pick_device(config.gpus)
    with distributed.process_group(device, config.dist_timeout):
        _extract(config, device)


def _extract(config: FeatureConfig, device: torch.device) -> None:
    use_fast_products(device, config.exact)
    weights = read_weights(config.checkpoint, config.weights_kind)
    config, records, bad = open_list(config, [weights.content], [weights.found])
    # Folding BatchNorms into convolutions changes what these give, but not what comes behind both.
    opened = build_network(weights, config.given_network, device, fused=config.layer is None)
    announce(config.checkpoint, opened.settings, opened.settings.contradictions)
    config = replace(config, input_size=opened.settings.input_size, dense_sample=opened.settings.dense_sample)
    source = source_of(config, records)
    layer = LayerOutput(opened.network, config.layer or POOL, device, config.amp, crop_size(config))
    segments = len(config.clips) * opened.network.num_segments
    shape = (layer.channels,) if config.per == "video" else (segments, layer.channels)

    def compute(videos: Sequence[TestVideo]) -> np.ndarray:
        views = views_of(config, [video.on(device) for video in videos])
        starts = range(0, len(views), config.batch_size)
        found = torch.cat([layer(torch.stack(views[start : start + config.batch_size])) for start in starts])
        views_apart = (len(videos), len(config.clips), config.num_crops)
        means = found.double().unflatten(0, views_apart).mean(dim=2).flatten(1, 2)  # (N, clips*T, C)
        return (means.mean(dim=1) if config.per == "video" else means).float().cpu().numpy()

    with closing(FeatureOutput(config, _made(config, opened), source, shape)) as output:
        if output.is_complete:
            get_logger().info("nothing to do: %s already has all features", config.output_dir)
            return
        pass_over(config, source, [opened.network], output.journal, bad, device, compute, lambda video, record: "")
        exchange.on_main_only(lambda: output.write(bad.reasons))
        output.journal.remove()
        exchange.barrier()


def _made(config: FeatureConfig, opened: Opened) -> dict[str, Any]:
    """All of the network and its views that features depend on, and their shape follows from."""
    design = opened.network.design
    return {
        "checkpoint": opened.checkpoint.file,
        "sha256": opened.checkpoint.sha256,
        "weights": opened.checkpoint.weights,
        "network": design.network,
        "arch": design.arch,
        "motion": motion_name(design.motion),
        "motion_window": design.motion_window,
        "motion_weight": design.motion_weight,
        "segments": design.num_segments,
        "layer": config.layer or POOL,
        "per": config.per,
        "crops": config.num_crops,
        "clips": list(config.clips),
        "num_clips": config.num_clips,
        "sampling": sampling_words(config),
        "seed": config.seed if config.clip_sampling == "random" else None,
        "scale": test_scale(config.input_size),
        "size": crop_size(config),
        "amp": config.amp,
        "pixels": config.pixels,
        "reduced_jpeg": config.reduced_jpeg,
    }
