"""Steps whose loss or gradients are not finite: they change nothing, and their videos are named.

The verdict stays on the device, where waiting for it at every step would cost time. A non-finite loss is turned into
NaN gradients, which the averaging of gradients carries to every process, and the optimiser's fused kernel skips an
update that it is told to skip. ``check`` asks the device, where the log or a checkpoint waits for it anyway.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import SGD

from ops.runtime import InputError, exchange, get_logger
from ops.training.ema import WeightAverage


class _Batch(NamedTuple):
    """A batch of one step, on this process: its loss, a scalar, and its videos' places in the list."""

    loss: Tensor
    videos: tuple[int, ...]


class _Step(NamedTuple):
    """One update: steps done of the run before it, its batches on this process, whether it was skipped, a scalar."""

    number: int
    batches: list[_Batch]
    refused: Tensor


class FiniteUpdates:
    """Updates of the weights, but for those by a non-finite loss or gradient.

    Where a scaler (fp16) skips updates by non-finite gradients, lowering its scale, only losses count.

    Args:
        model: whose parameters and batch statistics are left alone.
        optimizer: of those parameters, with fused steps.
        scaler: of the loss; enabled for fp16.
        name_of: a video, by its place in the list.
        tolerated: how many steps of a run may be skipped; one more is an error.
        average: of the model's weights, which each update is told to.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: SGD,
        scaler: torch.amp.GradScaler,
        name_of: Callable[[int], str],
        tolerated: int,
        average: WeightAverage | None = None,
    ) -> None:
        self.model = model
        self.device = next(model.parameters()).device
        self.optimizer = optimizer
        self.scaler = scaler
        self.name_of = name_of
        self.tolerated = tolerated
        self.average = average
        # Where nothing is tolerated, the run ends, and its batch statistics with it.
        buffers = list(model.buffers()) if tolerated else []
        kinds = dict.fromkeys(buffer.dtype for buffer in buffers)
        self._buffers = [[buffer for buffer in buffers if buffer.dtype == kind] for kind in kinds]
        self._before = self._flat_buffers()
        self._batches: list[_Batch] = []
        self._steps: list[_Step] = []

    def _flat_buffers(self) -> list[Tensor]:
        """The model's buffers of each type in one piece: one copy rather than hundreds."""
        return [torch.cat([buffer.flatten() for buffer in buffers]) for buffers in self._buffers]

    def begin(self) -> None:
        """Start a step."""
        self._batches = []
        self.optimizer.zero_grad(set_to_none=True)
        self._before = self._flat_buffers()

    def backward(self, loss: Tensor, videos: tuple[int, ...], batches: int) -> None:
        """Add the gradients of one batch: NaN where its loss is not finite.

        Args:
            videos: of the batch, by place in the list.
            batches: how many the step has.
        """
        self._batches.append(_Batch(loss.detach(), videos))
        admitted = loss * torch.where(loss.detach().isfinite(), 1.0, torch.nan)
        self.scaler.scale(admitted / batches).backward()

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
        for before, now, buffers in zip(self._before, self._flat_buffers(), self._buffers, strict=True):
            kept = torch.where(refused, before, now).split([buffer.numel() for buffer in buffers])
            torch._foreach_copy_(buffers, [part.view_as(b) for part, b in zip(kept, buffers, strict=True)])
        if self.average is not None:
            self.average.update(self.model)
        self._steps.append(_Step(number, self._batches, refused))

    def check(self, steps_per_epoch: int, skipped: int) -> int:
        """Count the steps that have been skipped, and name their videos. Every process must call this.

        Args:
            skipped: how many steps of the run were known to be skipped.

        Raises:
            InputError: more than the tolerated number are.
        """
        steps, self._steps = self._steps, []
        if not steps:
            return skipped
        verdicts = torch.stack([step.refused for step in steps])
        totals = exchange.sum_over_processes(verdicts.tolist(), verdicts.device)
        for step in (step for step, total in zip(steps, totals, strict=True) if total):
            skipped += 1
            epoch, number = divmod(step.number, steps_per_epoch)
            what = f"epoch {epoch + 1} step {number + 1}: {self._describe(step)}"
            if skipped > self.tolerated:
                raise InputError(
                    f"{what}; the last checkpoint was saved before this step; --skip_nonfinite N skips up to N such "
                    f"steps"
                )
            get_logger().warning(
                "skipped %s (%d of the %d that --skip_nonfinite allows)", what, skipped, self.tolerated
            )
        return skipped

    def _describe(self, step: _Step) -> str:
        """What was not finite, and the videos that it came from, of all processes."""
        shares = exchange.from_all([(float(batch.loss), batch.videos) for batch in step.batches])
        batches = [batch for share in shares for batch in share]
        bad = [(loss, videos) for loss, videos in batches if not math.isfinite(loss)]
        names = ", ".join(self.name_of(video) for _, videos in bad or batches for video in videos)
        if bad:
            return f"expected a finite loss, got {bad[0][0]} for the videos {names}"
        return f"expected finite gradients, got NaN or infinity for the videos {names} (loss {batches[0][0]:.4g})"
