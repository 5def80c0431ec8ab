"""Settings: frozen dataclasses, validated when they are made.

Also the names that settings choose from, which argument parsers and the network share.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ops.data import DENSE_SPAN, DatasetSpec
from ops.models import MOTION_MODULES
from ops.runtime import require

LOSS_TYPES = ("nll",)
PARAM_GROUPS = ("single", "tsn")
SCHEDULES = ("step", "cosine")
AMP_TYPES = ("bf16", "fp16")
ON_BAD_VIDEO = ("error", "skip")
MAX_CLIPS = 1000
CLIP_SAMPLINGS = ("even", "random")
# Settings that say how a run is started, not what it is.
_OF_ONE_START = {"resume", "start_epoch", "evaluate", "tune_from", "pretrain"}


@dataclass(frozen=True)
class ModelConfig:
    """What decides the network's parameters and results."""

    arch: str
    num_segments: int
    motion: tuple[str, ...] = MOTION_MODULES
    motion_window: int | None = None
    dropout: float = 0.5
    consensus: str = "avg"

    def __post_init__(self) -> None:
        require(self.num_segments >= 2, "--num_segments of at least 2", self.num_segments)
        require(0 <= self.dropout < 1, "--dropout from 0 to below 1", self.dropout)


@dataclass(frozen=True)
class TrainConfig:
    """Settings of main.py; see its --help."""

    dataset: DatasetSpec
    model: ModelConfig
    pretrain: str
    tune_from: str | None
    resume: str | None
    evaluate: bool
    epochs: int
    start_epoch: int | None
    batch_size: int
    accumulate: int
    lr: float
    lr_batch_size: int | None
    lr_scheduler: str
    lr_steps: tuple[float, ...]
    lr_decay_rate: float
    warmup_epoch: float
    warmup_multiplier: float
    momentum: float
    weight_decay: float
    clip_gradient: float | None
    param_groups: str
    partialbn: bool
    loss_type: str
    input_size: int
    dense_sample: bool
    decoder: str
    on_bad_video: str
    max_bad: float
    clip_timeout: float
    workers: int
    gpus: tuple[int, ...] | None
    amp: str | None
    channels_last: bool
    compile: bool
    seed: int
    print_freq: int
    eval_freq: int
    save_every: int | None
    keep: int | None
    skip_nonfinite: int
    root_log: Path
    root_model: Path
    suffix: str | None

    def __post_init__(self) -> None:
        require(self.epochs >= 1, "--epochs of at least 1", self.epochs)
        require(self.batch_size >= 1, "--batch-size of at least 1", self.batch_size)
        require(self.accumulate >= 1, "--accumulate of at least 1", self.accumulate)
        require(0 < self.lr < math.inf, "--lr above 0", self.lr)
        require(self.lr_batch_size is None or self.lr_batch_size >= 1, "--lr_batch_size of at least 1",
                 self.lr_batch_size)  # fmt: skip
        require(0 < self.lr_decay_rate < math.inf, "--lr_decay_rate above 0", self.lr_decay_rate)
        require(all(0 <= step < math.inf for step in self.lr_steps), "--lr_steps of at least 0", self.lr_steps)
        require(0 <= self.weight_decay < math.inf, "--wd of at least 0", self.weight_decay)
        require(0 <= self.momentum < 1, "--momentum from 0 to below 1", self.momentum)
        require(self.clip_gradient is None or self.clip_gradient > 0, "--gd above 0", self.clip_gradient)
        require(0 <= self.warmup_epoch < self.epochs, "--warmup_epoch from 0 to below --epochs", self.warmup_epoch)
        require(1 <= self.warmup_multiplier < math.inf, "--warmup_multiplier of at least 1", self.warmup_multiplier)
        require(self.workers >= 0, "--workers of at least 0", self.workers)
        require(self.print_freq >= 1, "--print-freq of at least 1", self.print_freq)
        require(self.eval_freq >= 1, "--eval-freq of at least 1", self.eval_freq)
        require(self.save_every is None or self.save_every >= 1, "--save_every of at least 1", self.save_every)
        require(self.keep is None or self.keep >= 1, "--keep of at least 1", self.keep)
        require(self.skip_nonfinite >= 0, "--skip_nonfinite of at least 0", self.skip_nonfinite)
        require(self.seed >= 0, "--seed of at least 0", self.seed)
        _check_gpus(self.gpus)
        _check_reading(self.max_bad, self.clip_timeout)
        require(self.start_epoch is None or 0 <= self.start_epoch < self.epochs, "--start-epoch below --epochs",
                 self.start_epoch)  # fmt: skip
        require(not self.evaluate or self.resume is not None, "--resume CHECKPOINT with --evaluate", "none")
        require(not self.tune_from or self.resume in (None, "auto"), "either --tune_from or --resume FILE", "both")
        _check_pictures(self.input_size, self.dense_sample, (self.model.num_segments,))

    @property
    def run_name(self) -> str:
        """Folder of the run under root_log and root_model."""
        model = self.model
        name = f"MSN_{self.dataset.name}_RGB_{model.arch}_{model.consensus}_segment{model.num_segments}"
        return f"{name}_{self.suffix}" if self.suffix else name

    @property
    def log_dir(self) -> Path:
        return self.root_log / self.run_name

    @property
    def model_dir(self) -> Path:
        return self.root_model / self.run_name

    def scaled_lr(self, global_batch_size: int) -> float:
        """The learning rate for steps of so many videos, by the linear rule of Goyal et al., 2017."""
        return self.lr * global_batch_size / (self.lr_batch_size or global_batch_size)


@dataclass(frozen=True)
class TestModel:
    """One of the models that are tested together."""

    arch: str
    weights: Path
    num_segments: int
    coefficient: float = 1.0


@dataclass(frozen=True)
class TestConfig:
    """Settings of the test scripts; see their --help."""

    dataset: DatasetSpec
    models: tuple[TestModel, ...]
    motion: tuple[str, ...] | None
    motion_window: int | None
    num_crops: int
    num_clips: int
    clips: tuple[int, ...]
    clip_sampling: str
    dense_sample: bool
    seed: int
    input_size: int
    full_res: bool
    batch_size: int
    workers: int
    gpus: tuple[int, ...] | None
    amp: str | None
    compile: bool
    decoder: str
    on_bad_video: str
    max_bad: float
    clip_timeout: float
    max_num: int | None
    softmax: bool
    output_dir: Path
    overwrite: bool
    resume_scores: bool
    csv_file: Path | None

    def __post_init__(self) -> None:
        require(1 <= self.num_clips <= MAX_CLIPS, f"--num_clips from 1 to {MAX_CLIPS}", self.num_clips)
        for clip in self.clips:
            require(0 <= clip < self.num_clips, f"--clip_index all or 0 to {self.num_clips - 1} "
                     f"(--num_clips {self.num_clips})", clip)  # fmt: skip
        require(self.batch_size >= 1, "--batch_size of at least 1", self.batch_size)
        require(self.workers >= 0, "--workers of at least 0", self.workers)
        require(self.seed >= 0, "--seed of at least 0", self.seed)
        _check_gpus(self.gpus)
        _check_reading(self.max_bad, self.clip_timeout)
        require(self.max_num is None or self.max_num >= 1, "--max_num of at least 1", self.max_num)
        for model in self.models:
            require(0 < model.coefficient < math.inf, "--coeff above 0", model.coefficient)
        _check_pictures(self.input_size, self.dense_sample, tuple(m.num_segments for m in self.models))


def _check_gpus(gpus: tuple[int, ...] | None) -> None:
    require(min(gpus or (0,)) >= 0, "--gpus of at least 0", gpus)


def _check_reading(max_bad: float, clip_timeout: float) -> None:
    require(0 <= max_bad <= 1, "--max_bad from 0 to 1", max_bad)
    require(0 <= clip_timeout < math.inf, "--clip_timeout of at least 0 seconds", clip_timeout)


def _check_pictures(input_size: int, dense: bool, segment_counts: tuple[int, ...]) -> None:
    require(input_size >= 32, "--input_size of at least 32", input_size)
    if dense:
        require(max(segment_counts) <= DENSE_SPAN, f"at most {DENSE_SPAN} segments with --dense_sample",
                 max(segment_counts))  # fmt: skip


def config_dict(config: Any) -> dict[str, Any]:
    """A config dataclass as JSON-able values."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [plain(v) for v in value]
        return str(value) if isinstance(value, Path) else value

    return plain(asdict(config))


def config_changes(saved: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Settings that two runs share and that differ, ``epochs 60 -> 80``; both as ``config_dict`` gives them."""
    changes = []
    for name in now.keys() & saved.keys() - _OF_ONE_START:
        old, new = saved[name], now[name]
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            changes += [f"{name}.{change}" for change in config_changes(old, new)]
        elif old != new:
            changes.append(f"{name} {_words(old)} -> {_words(new)}")
    return sorted(changes)


def _words(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(_words, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class ResultsConfig:
    """Settings of pkl_to_results.py; see its --help."""

    folders: tuple[Path, ...]
    num_clips: int
    num_crops: int
    class_names: Path | None
    per_class: bool

    def __post_init__(self) -> None:
        require(self.num_clips >= 1, "--num_clips of at least 1", self.num_clips)
        require(self.num_crops >= 1, "--test_crops of at least 1", self.num_crops)
        for folder in self.folders:
            require(os.path.isdir(folder), "a folder of score pickles", f"{folder}, which is not there")
