"""Validation: every video of a list once, one centre crop of one clip."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from ops.checkpoints import load_weights, read_checkpoint, tune_from
from ops.data import (
    BadVideos,
    ClipLoader,
    FrameSampler,
    TestTransform,
    TestVideos,
    VideoRecord,
    VideoSource,
    check_first_video,
    read_list,
    test_scale,
    validation_loader,
)
from ops.evaluation import Checkpoint, Measurement, motion_name, score_means, score_sums
from ops.models import MSN, build_model, saved_model_settings, use_channels_last
from ops.runtime import InputError, StopRequest, autocast, distributed, get_logger, show_bars
from ops.settings import TrainConfig
from ops.training.losses import clip_loss
from ops.training.run_folder import find_checkpoint
from ops.video import choose_decoder


class Evaluation:
    """A network and the validation videos.

    Args:
        config: settings of main.py.
        device: of this process.
    """

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        self.config = config
        self.device = device
        self.decoder = choose_decoder(config.decoder)
        self.val_source = VideoSource(config.dataset, open_list(config, config.dataset.val_list), self.decoder)
        self.val_bad = bad_videos(config, config.dataset.val_list, self.val_source)
        self.checkpoint = find_checkpoint(config)
        self.loaded: Mapping[str, Any] = {} if self.checkpoint is None else read_checkpoint(self.checkpoint)
        self.model = build_network(config, self.checkpoint, self.loaded).to(device)
        if config.channels_last:
            use_channels_last(self.model)
        if config.compile:
            self.model.compile()
        self.measured = Checkpoint("untrained weights", None)
        if self.checkpoint is not None:
            load_weights(self.model, self.loaded, str(self.checkpoint))
            epoch = self.loaded.get("epoch")
            self.measured = Checkpoint(self.checkpoint.name, epoch if isinstance(epoch, int) else None)


def evaluate(state: Evaluation) -> dict[str, float]:
    """Validate the checkpoint that was loaded."""
    return validate(state, open_validation(state))


@torch.inference_mode()
def validate(state: Evaluation, loader: ClipLoader, stop: StopRequest | None = None) -> dict[str, float]:
    """Every video of the validation list once, one centre crop of one clip; returns loss, top1 and top5.

    Broken videos that are skipped do not count; how many videos did stands beside the accuracy.

    Raises:
        Stopped: ``stop`` was asked for.
    """
    config, device = state.config, state.device
    state.model.eval()
    sums = torch.zeros(4, dtype=torch.float64, device=device)
    total, hidden = len(loader), not show_bars()
    longest = math.ceil(len(state.val_source.records) / (config.batch_size * distributed.world_size()))
    bar = tqdm(total=total, desc="validation", unit="batch", disable=hidden, dynamic_ncols=True, leave=False)
    with bar, loader.guard():
        for batch in loader if stop is None else stop.checking(loader, longest):
            state.val_bad.add(batch.broken)
            if batch.videos:
                clips, labels = batch.to(device)
                with autocast(device, config.amp):
                    logits = state.model(clips)
                sums += score_sums(logits, labels, clip_loss(logits, labels, config.loss_type))
            bar.update()
    state.val_bad.gather()
    totals = distributed.sum_over_processes(sums.tolist(), device)
    if totals[3] == 0:
        raise InputError(f"{config.dataset.val_list}: expected a video that can be read, got none")
    results = score_means(totals)
    if not math.isfinite(results["loss"]):
        raise InputError(
            f"{config.dataset.val_list}: expected a finite loss of {state.measured.file}, got {results['loss']}"
        )
    get_logger().info(
        "validation: loss %.4f, top-1 %.2f %%, top-5 %.2f %%   [%s]",
        results["loss"], results["top1"], results["top5"], _measurement(state, int(totals[3])).line(),
    )  # fmt: skip
    return results


def open_validation(state: Evaluation) -> ClipLoader:
    """This process's share of the validation videos."""
    config = state.config
    dataset = TestVideos(
        state.val_source,
        (config.model.num_segments,),
        FrameSampler(state.model.frames_per_segment, config.dense_sample),
        TestTransform(test_scale(config.input_size), config.input_size, 1),
    )
    rank, world_size = distributed.rank(), distributed.world_size()
    return validation_loader(
        dataset, config.batch_size, config.workers, state.device, rank, world_size, config.clip_timeout
    )


def _measurement(state: Evaluation, scored_videos: int) -> Measurement:
    config = state.config
    return Measurement(
        dataset=config.dataset.name,
        video_list=config.dataset.val_list.name,
        num_videos=len(state.val_source.records),
        scored_videos=scored_videos,
        segments=(config.model.num_segments,),
        motion=(motion_name(state.model.backbone.motion_modules),),
        motion_windows=(state.model.backbone.motion_window,),
        crops=1,
        clips=1,
        sampling="dense even" if config.dense_sample else "even",
        scale=test_scale(config.input_size),
        size=config.input_size,
        checkpoints=(state.measured,),
        amp=config.amp,
    )


def open_list(config: TrainConfig, path: Path) -> list[VideoRecord]:
    """The videos of a list, the first of which is there."""
    records = read_list(path, config.dataset)
    check_first_video(records, config.dataset, config.on_bad_video == "skip")
    return records


def bad_videos(config: TrainConfig, path: Path, source: VideoSource) -> BadVideos:
    """What is to become of the broken videos of a list."""
    return BadVideos(path, len(source.records), config.on_bad_video == "skip", config.max_bad)


def build_network(config: TrainConfig, checkpoint: Path | None, content: Mapping[str, Any]) -> MSN:
    """The network, from pretrained weights unless a checkpoint, of this content, will fill it."""
    torch.manual_seed(config.seed)
    settings = config.model
    resuming = checkpoint is not None
    window = settings.motion_window
    if checkpoint is not None and config.evaluate and window is None:
        window = saved_model_settings(content, checkpoint)[1]
    wants_pretrained = not resuming and config.tune_from is None
    with distributed.main_first():
        network = build_model(
            settings.arch,
            config.dataset.num_classes,
            settings.num_segments,
            config.pretrain if wants_pretrained else "none",
            dropout=settings.dropout,
            consensus=settings.consensus,
            motion=settings.motion,
            motion_window=window,
        )
    if config.tune_from is not None and not resuming:
        left_out = tune_from(network, config.tune_from)
        get_logger().info("tuning from %s; left out: %s", config.tune_from, ", ".join(left_out) or "nothing")
    return network
