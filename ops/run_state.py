"""What a training run consists of, and how it is saved and resumed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.optim import SGD

from ops import distributed
from ops.bad_videos import BadVideos
from ops.checkpoint import is_reference, load_state_dict, load_weights, read_checkpoint, tune_from, write_checkpoint
from ops.config import TrainConfig, config_dict
from ops.dataset import VideoRecord, VideoSource, check_first_video, read_list
from ops.errors import InputError
from ops.loaders import TrainBatchSampler
from ops.logger import get_logger, setup_logger
from ops.measurement import Checkpoint
from ops.models import MSN, build_model, use_channels_last
from ops.optim import build_optimizer
from ops.precision import grad_scaler
from ops.video_reader import choose_decoder

LAST = "last.pth.tar"
BEST = "best.pth.tar"


@dataclass
class Position:
    """How far a run is.

    Args:
        epoch: epochs done.
        step: steps done of the epoch that follows them.
        best_top1: best validation so far, in percent; None before the first.
    """

    epoch: int = 0
    step: int = 0
    best_top1: float | None = None


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
        self.model = build_network(config, resuming=self.checkpoint is not None).to(device)
        if config.channels_last:
            use_channels_last(self.model)
        if config.compile:
            self.model.compile()
        self.measured = Checkpoint("untrained weights", None)
        self.loaded: Mapping[str, Any] = {}
        if self.checkpoint is not None:
            self.loaded = read_checkpoint(self.checkpoint)
            load_weights(self.model, self.loaded, str(self.checkpoint))
            epoch = self.loaded.get("epoch")
            self.measured = Checkpoint(self.checkpoint.name, epoch if isinstance(epoch, int) else None)


class TrainingRun(Evaluation):
    """A network, its optimiser, the data, and the position in them.

    Args:
        config: settings of main.py.
        device: of this process.
    """

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        train_records = open_list(config, config.dataset.train_list)
        self.sampler = TrainBatchSampler(
            len(train_records),
            config.batch_size,
            config.accumulate,
            distributed.rank(),
            distributed.world_size(),
            config.seed,
        )
        super().__init__(config, device)
        self.train_source = VideoSource(config.dataset, train_records, self.decoder)
        self.train_bad = bad_videos(config, config.dataset.train_list, self.train_source)
        self.optimizer = build_optimizer(
            self.model, config.param_groups, config.lr, config.momentum, config.weight_decay
        )
        self.scaler = grad_scaler(device, config.amp)
        self.position = Position(epoch=config.start_epoch or 0)
        if self.checkpoint is not None:
            self._resume(self.checkpoint)
            self.loaded = {}
        _open_folders(config)

    def _resume(self, path: Path) -> None:
        if is_reference(load_state_dict(self.loaded, str(path))):
            raise InputError(
                f"{path}: expected a checkpoint of this project to resume, got one of the published reference, which "
                f"cannot resume this optimiser; pass it as --tune_from to start from its weights"
            )
        saved = self.loaded.get("position")
        if not isinstance(saved, dict) or "optimizer" not in self.loaded:
            raise InputError(
                f"{path}: expected a checkpoint with an optimiser, got weights only; pass it as --tune_from"
            )
        self.position = Position(saved["epoch"], saved["step"], saved["best_top1"])
        if self.config.start_epoch is not None:
            self.position.epoch, self.position.step = self.config.start_epoch, 0
        if self.position.step and saved["global_batch_size"] != self.sampler.global_batch_size:
            raise InputError(
                f"{path}: expected a global batch of {saved['global_batch_size']} videos to go on inside an epoch, got "
                f"{self.sampler.global_batch_size} (--batch-size x processes x --accumulate)"
            )
        try:
            self.optimizer.load_state_dict(_with_settings_of_now(self.loaded["optimizer"], self.optimizer))
            if self.scaler.is_enabled() and self.loaded.get("scaler"):
                self.scaler.load_state_dict(self.loaded["scaler"])
        except (ValueError, KeyError, RuntimeError) as error:
            raise InputError(f"{path}: expected an optimiser of --param_groups like now, got {error}") from None
        get_logger().info("resuming %s: %d epochs and %d steps done", path, self.position.epoch, self.position.step)

    def save(self, *names: str) -> None:
        """Write the run's state under each of ``names``, on the first process."""
        if not distributed.is_main():
            return
        position = {**vars(self.position), "global_batch_size": self.sampler.global_batch_size}
        content = {
            "state_dict": self.model.state_dict(),
            "arch": self.config.model.arch,
            "epoch": self.position.epoch,
            "best_prec1": self.position.best_top1,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "position": position,
            "config": config_dict(self.config),
        }
        for name in names:
            write_checkpoint(content, self.config.model_dir / name)


def open_list(config: TrainConfig, path: Path) -> list[VideoRecord]:
    """The videos of a list, the first of which is there."""
    records = read_list(path, config.dataset)
    check_first_video(records, config.dataset, config.on_bad_video == "skip")
    return records


def bad_videos(config: TrainConfig, path: Path, source: VideoSource) -> BadVideos:
    """What is to become of the broken videos of a list."""
    return BadVideos(path, len(source.records), config.on_bad_video == "skip", config.max_bad)


def find_checkpoint(config: TrainConfig) -> Path | None:
    """The checkpoint that ``--resume`` means; a fresh run refuses a folder that holds another's."""
    last = config.model_dir / LAST
    if config.resume == "auto":
        return last if last.is_file() else None
    if config.resume is None and last.exists():
        raise InputError(
            f"{config.model_dir}: expected no earlier run, got its {LAST}; pass --resume auto to go on with it or "
            f"--suffix NAME for a run of another name"
        )
    return None if config.resume is None else Path(config.resume)


def build_network(config: TrainConfig, resuming: bool) -> MSN:
    """The network, from pretrained weights unless a checkpoint will fill it."""
    torch.manual_seed(config.seed)
    settings = config.model
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
            motion_window=settings.motion_window,
        )
    if config.tune_from is not None and not resuming:
        left_out = tune_from(network, config.tune_from)
        get_logger().info("tuning from %s; left out: %s", config.tune_from, ", ".join(left_out) or "nothing")
    return network


def _with_settings_of_now(state: dict[str, Any], optimizer: SGD) -> dict[str, Any]:
    """An optimiser's state with the settings of now (weight decay, momentum), which the command line may change."""
    now = optimizer.state_dict()["param_groups"]
    if [len(g["params"]) for g in now] != [len(g["params"]) for g in state["param_groups"]]:
        raise ValueError(f"{len(state['param_groups'])} groups of other sizes")
    return {**state, "param_groups": now}


def _open_folders(config: TrainConfig) -> None:
    """Create the run's folders, its log and its settings file."""
    if distributed.is_main():
        for folder in (config.log_dir, config.model_dir):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                (folder / ".writable").touch()
                (folder / ".writable").unlink()
            except OSError as error:
                raise InputError(f"{folder}: expected a folder to write to, got {error.strerror}") from None
        (config.log_dir / "config.json").write_text(json.dumps(config_dict(config), indent=2) + "\n")
        setup_logger(True, config.log_dir / "log.txt")
    distributed.barrier()
