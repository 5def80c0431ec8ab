"""Steps whose loss or gradients are not finite: they change nothing, and their videos are named.

The verdict stays on the device, where waiting for it at every step would cost time. A non-finite loss is turned into
NaN gradients, which the averaging of gradients carries to every process, and the optimiser's fused kernel leaves out an
update that it is told to leave out. ``check`` asks the device, where the log or a checkpoint waits for it anyway.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import SGD

from ops.runtime import InputError, distributed, get_logger


class _Batch(NamedTuple):
    """A batch of one step, on this process: its loss, a scalar, and its videos' places in the list."""

    loss: Tensor
    videos: tuple[int, ...]


class _Step(NamedTuple):
    """One update: steps done of the run before it, its batches on this process, whether it was left out, a scalar."""

    number: int
    batches: list[_Batch]
    refused: Tensor


class FiniteUpdates:
    """Updates of the weights, but for those by a non-finite loss or gradient.

    Where a scaler (fp16) leaves out updates by non-finite gradients, lowering its scale, only losses count.

    Args:
        model: whose parameters and batch statistics are left alone.
        optimizer: of those parameters, with fused steps.
        scaler: of the loss; enabled for fp16.
        names: of the videos, by place in the list.
        tolerated: how many steps of a run may be left out; one more is an error.
    """

    def __init__(
        self, model: nn.Module, optimizer: SGD, scaler: torch.amp.GradScaler, names: Sequence[str], tolerated: int
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.scaler = scaler
        self.names = names
        self.tolerated = tolerated
        # Where nothing is tolerated, the run ends, and its batch statistics with it.
        self._buffers = list(model.buffers()) if tolerated else []
        self._before = [buffer.clone() for buffer in self._buffers]
        self._batches: list[_Batch] = []
        self._steps: list[_Step] = []

    def begin(self) -> None:
        """Start a step."""
        self._batches = []
        for before, buffer in zip(self._before, self._buffers, strict=True):
            before.copy_(buffer)

    def admit(self, loss: Tensor, videos: tuple[int, ...]) -> Tensor:
        """The loss of one batch, with NaN gradients where it is not finite."""
        self._batches.append(_Batch(loss.detach(), videos))
        return loss * torch.where(loss.detach().isfinite(), 1.0, torch.nan)

    def update(self, number: int, max_norm: float | None) -> None:
        """End a step: clip the gradients' norm and update the weights, unless something is not finite.

        Args:
            number: steps done of the run before this one.
            max_norm: of the gradients of all parameters together; None does not clip.
        """
        self.scaler.unscale_(self.optimizer)
        trained = [p for p in self.model.parameters() if p.grad is not None]
        norm = nn.utils.get_total_norm([p.grad for p in trained if p.grad is not None])
        if max_norm is not None:
            nn.utils.clip_grads_with_norm_(trained, max_norm, norm)
        if self.scaler.is_enabled():
            refused = ~torch.stack([batch.loss for batch in self._batches]).isfinite().all()
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            refused = ~norm.isfinite()
            self.optimizer.found_inf = refused.float()  # type: ignore[attr-defined]
            self.optimizer.step()
        for before, buffer in zip(self._before, self._buffers, strict=True):
            buffer.copy_(torch.where(refused, before, buffer))
        self._steps.append(_Step(number, self._batches, refused))

    def check(self, steps_per_epoch: int, left_out: int) -> int:
        """Count the steps that have been left out, and name their videos. Every process must call this.

        Args:
            left_out: how many steps of the run were known to be left out.

        Raises:
            InputError: more than the tolerated number are.
        """
        steps, self._steps = self._steps, []
        if not steps:
            return left_out
        verdicts = torch.stack([step.refused for step in steps])
        totals = distributed.sum_over_processes(verdicts.tolist(), verdicts.device)
        for step in (step for step, total in zip(steps, totals, strict=True) if total):
            left_out += 1
            epoch, number = divmod(step.number, steps_per_epoch)
            what = f"epoch {epoch + 1} step {number + 1}: {self._describe(step)}"
            if left_out > self.tolerated:
                raise InputError(f"{what}; the last checkpoint is from before it; --skip_nonfinite N leaves out N such")
            get_logger().warning("left out %s (%d of %d tolerated)", what, left_out, self.tolerated)
        return left_out

    def _describe(self, step: _Step) -> str:
        """What was not finite, and the videos that it came from, of all processes."""
        shares = distributed.from_all([(float(batch.loss), batch.videos) for batch in step.batches])
        batches = [batch for share in shares for batch in share]
        bad = [(loss, videos) for loss, videos in batches if not math.isfinite(loss)]
        names = ", ".join(self.names[video] for _, videos in bad or batches for video in videos)
        if bad:
            return f"expected a finite loss, got {bad[0][0]} of the batch of {names}"
        return f"expected finite gradients, got others of the batch of {names} (loss {batches[0][0]:.4g})"
