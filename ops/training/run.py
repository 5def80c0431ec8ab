"""What a training run consists of, and how it is saved and resumed."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch

from ops.checkpoints import is_reference, load_state_dict, remove_temporaries
from ops.data import TrainBatchSampler, VideoSource
from ops.runtime import InputError, distributed, get_logger, grad_scaler, hold, setup_logger, write_atomically
from ops.settings import TrainConfig, config_changes, config_dict
from ops.training.nonfinite import FiniteUpdates
from ops.training.optim import build_optimizer, freeze_batch_norms, load_optimizer
from ops.training.run_folder import (
    BEST,
    LAST,
    drop_epochs,
    epoch_name,
    name_again,
    position_of,
    refuse_other_run,
    write_run,
)
from ops.training.validation import Evaluation, bad_videos, open_list

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
            if (config.start_epoch, 0) != (epoch, step):  # epochs of another course than the one with the best so far
                self.position.best_top1 = self.position.best_epoch = None
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
