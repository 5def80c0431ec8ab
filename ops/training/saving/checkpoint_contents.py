"""What a checkpoint of a run (``last.pth.tar`` and its other names) holds, and how a run takes it back.

    state_dict     weights and batch statistics
    arch           backbone
    epoch          epochs done
    best_prec1     best top-1 so far in percent, or None
    optimizer      momentum and parameter groups
    scaler         scale of the loss (--amp fp16)
    ema            averaged weights, and their accuracy (--ema): ema.py
    position       Position and SampleOrder below, in one dict
    config         settings, as in config.json
    about          what the weights are of, and their accuracy: about.py

No random state is among them: all randomness follows from the seed and the position.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.optim import SGD

from ops.checkpoints import is_reference, load_state_dict
from ops.data import TrainBatchSampler
from ops.models import Recognizer
from ops.runtime import InputError, get_logger, plural
from ops.settings import TrainConfig, config_changes, config_dict
from ops.training.ema import WeightAverage
from ops.training.optim import load_optimizer
from ops.training.saving.about import about


@dataclass
class Position:
    """How far a run is.

    Args:
        epoch: epochs done.
        step: steps done of the epoch that follows them; all of them: what is left of it is its validation.
        best_top1: best validation so far, in percent; None before the first.
        best_epoch: epochs that were done then.
        left_out_steps: steps done that skipped their update, because something was not finite.
        accuracy: the last validation, as about.py saves it.
    """

    epoch: int = 0
    step: int = 0
    best_top1: float | None = None
    best_epoch: int | None = None
    left_out_steps: int = 0
    accuracy: Mapping[str, Any] | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return progress(self.epoch, self.step)

    def note_validation(self, epoch: int, top1: float) -> None:
        """Remember the validation after ``epoch`` epochs if it is the best so far."""
        if self.best_top1 is None or top1 > self.best_top1:
            self.best_top1, self.best_epoch = top1, epoch

    @property
    def accuracy_here(self) -> Mapping[str, Any] | None:
        """The accuracy of the weights at this position: None where they have been trained since."""
        return self.if_here(self.accuracy)

    def if_here(self, accuracy: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """An accuracy, if it was measured at this position."""
        is_here = accuracy is not None and (accuracy.get("epoch"), 0) == (self.epoch, self.step)
        return accuracy if is_here else None

    def to_dict(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "accuracy"}


def progress(epoch: int, step: int) -> str:
    """``1 epoch``, ``2 epochs and 1 step``."""
    return plural(epoch, "epoch") + (f" and {plural(step, 'step')}" if step else "")


class SampleOrder(NamedTuple):
    """What decides the order of samples within an epoch; None where a checkpoint does not say.

    Args:
        global_batch_size: videos a step, over all processes and accumulated batches.
        seed: of the order.
        num_videos: length of the training list.
    """

    global_batch_size: int | None = None
    seed: int | None = None
    num_videos: int | None = None

    @classmethod
    def saved_in(cls, content: Mapping[str, Any]) -> SampleOrder:
        """What a checkpoint says."""
        return cls(*(content["position"].get(name) for name in cls._fields))

    @property
    def steps_per_epoch(self) -> int | None:
        """Whole steps that the list makes."""
        if self.num_videos is None or not self.global_batch_size:
            return None
        return self.num_videos // self.global_batch_size


def order_of(sampler: TrainBatchSampler) -> SampleOrder:
    """What decides the order of a sampler's videos."""
    return SampleOrder(sampler.global_batch_size, sampler.seed, sampler.num_videos)


def saved_position(content: Mapping[str, Any], path: Path) -> Position:
    """The position of the run that a checkpoint holds.

    Raises:
        InputError: it holds no run that could be resumed.
    """
    if is_reference(load_state_dict(content, str(path))):
        raise InputError(
            f"{path}: expected a checkpoint of this project to resume, got one of the published reference, which "
            f"cannot resume this optimiser; pass it as --tune_from to start from its weights"
        )
    saved = content.get("position")
    if not isinstance(saved, Mapping) or "optimizer" not in content:
        raise InputError(f"{path}: expected a checkpoint with an optimiser, got weights only; pass it as --tune_from")
    epoch, step = saved.get("epoch"), saved.get("step")
    if not isinstance(epoch, int) or not isinstance(step, int):
        raise InputError(f"{path}: expected the position of a run in its checkpoint, got {epoch!r}, {step!r}")
    return Position(**{field.name: saved[field.name] for field in fields(Position) if field.name in saved})


@dataclass(frozen=True)
class RunState:
    """All of a run that a checkpoint holds."""

    config: TrainConfig
    model: Recognizer
    optimizer: SGD
    scaler: torch.amp.GradScaler
    position: Position
    order: SampleOrder
    average: WeightAverage | None = None

    def content(self) -> dict[str, Any]:
        """What is written."""
        average = self.average
        saved = {} if average is None else {"ema": average.content(self.position.if_here(average.accuracy))}
        return {
            "state_dict": self.model.state_dict(),
            "arch": self.config.model.arch,
            "epoch": self.position.epoch,
            "best_prec1": self.position.best_top1,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            **saved,
            "position": {**self.position.to_dict(), **self.order._asdict()},
            "config": config_dict(self.config),
            "about": about(self.config, self.model, self.position.accuracy_here),
        }

    def restore(self, content: Mapping[str, Any], path: Path, keeps_best: bool) -> None:
        """Take over from a checkpoint what the run's weights, epoch and step do not say.

        Raises:
            InputError: momentum or the scale of the loss are of other parameters.
        """
        saved = saved_position(content, path)
        self.position.left_out_steps = saved.left_out_steps
        said = content.get("about")
        self.position.accuracy = said.get("accuracy") if isinstance(said, Mapping) else None
        if self.average is not None:
            self.average.restore(content, path)
        if keeps_best:
            self.position.best_top1, self.position.best_epoch = saved.best_top1, saved.best_epoch
        try:
            load_optimizer(self.optimizer, content["optimizer"])
            if self.scaler.is_enabled() and content.get("scaler"):
                self.scaler.load_state_dict(content["scaler"])
        except (ValueError, KeyError, RuntimeError) as error:
            raise InputError(
                f"{path}: expected the optimiser state for this --param_groups and network, got {error}"
            ) from None
        log, was = get_logger(), content.get("config")
        log.info("resuming from %s after %s", path, self.position)
        changes = config_changes(was, config_dict(self.config)) if isinstance(was, dict) else []
        if changes:
            log.info("settings changed since then: %s", ", ".join(changes))
