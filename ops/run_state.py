"""What a training run consists of, and how it is saved and resumed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch

from ops import distributed
from ops.atomic_file import write_atomically
from ops.bad_videos import BadVideos
from ops.checkpoint import (
    load_state_dict,
    load_weights,
    read_checkpoint,
    remove_temporaries,
    tune_from,
)
from ops.config import TrainConfig, config_changes, config_dict
from ops.dataset import VideoSource
from ops.errors import InputError
from ops.folder_lock import hold
from ops.loaders import TrainBatchSampler
from ops.logger import get_logger, setup_logger
from ops.measurement import Checkpoint
from ops.models import MSN, build_model, saved_model_settings, use_channels_last
from ops.nonfinite import FiniteUpdates
from ops.optim import build_optimizer, freeze_batch_norms, load_optimizer
from ops.precision import grad_scaler
from ops.reference_checkpoint import is_reference
from ops.run_folder import (
    BEST,
    LAST,
    drop_epochs,
    epoch_name,
    find_checkpoint,
    name_again,
    position_of,
    refuse_other_run,
    write_run,
)
from ops.video_list import VideoRecord, check_first_video, read_list
from ops.video_reader import choose_decoder

# What decides the order of samples within an epoch, as errors call it.
_ORDER_NAMES = {
    "global_batch_size": "a global batch (--batch-size x processes x --accumulate) of",
    "seed": "--seed",
    "num_videos": "a training list of",
}


@dataclass
class Position:
    """How far a run is.

    Args:
        epoch: epochs done.
        step: steps done of the epoch that follows them; all of them: what is left of it is its validation.
        best_top1: best validation so far, in percent; None before the first.
        best_epoch: epochs that were done then.
        left_out_steps: steps done that left out their update, because something was not finite.
    """

    epoch: int = 0
    step: int = 0
    best_top1: float | None = None
    best_epoch: int | None = None
    left_out_steps: int = 0


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
        if config.partialbn:
            freeze_batch_norms(self.model)
        self.optimizer = build_optimizer(
            self.model, config.param_groups, config.lr, config.momentum, config.weight_decay
        )
        self.scaler = grad_scaler(device, config.amp)
        names = [record.path for record in train_records]
        self.updates = FiniteUpdates(self.model, self.optimizer, self.scaler, names, config.skip_nonfinite)
        self.position = Position(epoch=config.start_epoch or 0)
        self._named_again: Path | None = None
        if self.checkpoint is not None:
            self._resume(self.checkpoint)
            self.loaded = {}
        self._lock = distributed.on_main_only(lambda: _open_folders(config))
        if self._named_again is not None:
            path, names = self._named_again, self._names()
            distributed.on_main(lambda: name_again(path, names))

    def _resume(self, path: Path) -> None:
        config, log = self.config, get_logger()
        if is_reference(load_state_dict(self.loaded, str(path))):
            raise InputError(
                f"{path}: expected a checkpoint of this project to resume, got one of the published reference, which "
                f"cannot resume this optimiser; pass it as --tune_from to start from its weights"
            )
        epoch, step = position_of(self.loaded, path)
        saved = self.loaded["position"]
        self.position = Position(
            epoch, step, saved.get("best_top1"), saved.get("best_epoch"), saved.get("left_out_steps", 0)
        )
        went_on = distributed.is_restart() and path.parent == config.model_dir and epoch >= (config.start_epoch or 0)
        if config.start_epoch is not None and not went_on:
            self.position.epoch, self.position.step = config.start_epoch, 0
        if not (config.resume == "auto" or distributed.is_restart()) or config.start_epoch is not None:
            place = (self.position.epoch, self.position.step)
            distributed.on_main(lambda: refuse_other_run(config.model_dir, path, place))
        for name, now in self._order().items():
            if self.position.step and saved.get(name, now) != now:
                raise InputError(
                    f"{path}: expected {_ORDER_NAMES[name]} {saved[name]} to go on inside an epoch, got {now}"
                )
        try:
            load_optimizer(self.optimizer, self.loaded["optimizer"])
            if self.scaler.is_enabled() and self.loaded.get("scaler"):
                self.scaler.load_state_dict(self.loaded["scaler"])
        except (ValueError, KeyError, RuntimeError) as error:
            raise InputError(f"{path}: expected an optimiser of --param_groups like now, got {error}") from None
        log.info("resuming %s: %d epochs and %d steps done", path, self.position.epoch, self.position.step)
        was = self.loaded.get("config")
        changes = config_changes(was, config_dict(config)) if isinstance(was, dict) else []
        if changes:
            log.info("settings changed since then: %s", ", ".join(changes))
        if path.parent == config.model_dir and (self.position.epoch, self.position.step) == (epoch, step):
            self._named_again = path

    def _order(self) -> dict[str, int]:
        """What decides the order of samples within an epoch."""
        sampler = self.sampler
        return {
            "global_batch_size": sampler.global_batch_size,
            "seed": sampler.seed,
            "num_videos": sampler.num_videos,
        }

    def _names(self) -> tuple[str, ...]:
        """What the run's state is called, beside last.pth.tar."""
        position = self.position
        if position.step or not position.epoch:
            return ()
        best = (BEST,) if position.epoch == position.best_epoch else ()
        return (epoch_name(position.epoch), *best)

    def check_updates(self) -> None:
        """Count the updates that were left out because something was not finite; too many are an error."""
        position = self.position
        position.left_out_steps = self.updates.check(self.sampler.steps_per_epoch, position.left_out_steps)

    def save(self) -> tuple[str, ...]:
        """Write the run's state, on the first process; returns its names. Every process must call this."""
        self.check_updates()
        names = self._names()
        distributed.on_main(lambda: self._write(names))
        return (*names, LAST)

    def _write(self, names: tuple[str, ...]) -> None:
        content = {
            "state_dict": self.model.state_dict(),
            "arch": self.config.model.arch,
            "epoch": self.position.epoch,
            "best_prec1": self.position.best_top1,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "position": {**vars(self.position), **self._order()},
            "config": config_dict(self.config),
        }
        write_run(self.config.model_dir, content, names)
        if self.config.keep is not None:
            drop_epochs(self.config.model_dir, self.config.keep)


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


def _open_folders(config: TrainConfig) -> BinaryIO:
    """Create the run's folders, its log and its settings file; returns the lock that keeps other runs out."""
    for folder in (config.log_dir, config.model_dir):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ".writable").touch()
            (folder / ".writable").unlink(missing_ok=True)
        except OSError as error:
            raise InputError(f"{folder}: expected a folder to write to, got {error.strerror}") from None
    lock = hold(config.model_dir / ".lock")
    remove_temporaries(config.model_dir)
    settings = (json.dumps(config_dict(config), indent=2) + "\n").encode()
    for folder in (config.log_dir, config.model_dir):
        write_atomically(folder / "config.json", settings)
    setup_logger(True, config.log_dir / "log.txt")
    return lock
