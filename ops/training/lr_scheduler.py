"""Learning rate as a function of the iteration: step or cosine, after a linear warmup.

it iterations done of n an epoch, E epochs, warmup W epochs up from lr / M; s = it - W n counts from the warmup's end.
Cosine: Loshchilov and Hutter, SGDR, 2016. Warmup: Goyal et al., 2017.
"""

import math
from dataclasses import dataclass

from ops.settings import TrainConfig

COSINE_FLOOR = 1e-5
ROUNDING = 1e-6  # of iterations: 1.1 epochs of 100 are a little more than 110


@dataclass(frozen=True)
class LRSchedule:
    """Learning rate of iteration ``it``; stateless, so that a resumed run needs nothing but its position.

    Args:
        kind: ``step`` or ``cosine``.
        base_lr: learning rate after the warmup.
        epochs: E.
        iters_per_epoch: n.
        milestones: epochs at which ``step`` multiplies the rate by ``gamma``.
        gamma: factor of ``step``.
        warmup_epochs: W; 0 for none.
        warmup_multiplier: M; the warmup starts at ``base_lr / M``.
    """

    kind: str
    base_lr: float
    epochs: int
    iters_per_epoch: int
    milestones: tuple[float, ...] = ()
    gamma: float = 0.1
    warmup_epochs: float = 0
    warmup_multiplier: float = 1.0

    def lr(self, it: int) -> float:
        warmup_iters = self.warmup_epochs * self.iters_per_epoch
        if it < warmup_iters:
            m = self.warmup_multiplier
            return self.base_lr / m * ((m - 1) * it / warmup_iters + 1)
        if self.kind == "step":  # (m - W) n <= s
            passed = sum(m * self.iters_per_epoch <= it + ROUNDING for m in self.milestones)
            return self.base_lr * self.gamma**passed
        s = it - warmup_iters
        span = (self.epochs - self.warmup_epochs) * self.iters_per_epoch
        return COSINE_FLOOR + (self.base_lr - COSINE_FLOOR) / 2 * (1 + math.cos(math.pi * s / span))


def build_schedule(config: TrainConfig, iters_per_epoch: int, global_batch_size: int) -> LRSchedule:
    """The schedule of a run whose steps see ``global_batch_size`` videos each."""
    return LRSchedule(
        kind=config.lr_scheduler,
        base_lr=config.scaled_lr(global_batch_size),
        epochs=config.epochs,
        iters_per_epoch=iters_per_epoch,
        milestones=config.lr_steps,
        gamma=config.lr_decay_rate,
        warmup_epochs=config.warmup_epoch,
        warmup_multiplier=config.warmup_multiplier,
    )
