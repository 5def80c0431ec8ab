"""Top-k counts and running averages."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ops.evaluation.measurement import has_top5


def topk_hits(logits: Tensor, labels: Tensor, topk: tuple[int, ...] = (1, 5)) -> list[Tensor]:
    """How many rows have their label among the k highest scores, for each k, without waiting for the device.

    With fewer than k classes every row counts for that k.

    Shape:
        logits: (N, classes); labels: (N,); outputs: scalars
    """
    depth = min(max(topk), logits.shape[1])
    ranked = logits.topk(depth, dim=1).indices  # (N, depth)
    hits = ranked == labels[:, None]  # (N, depth)
    return [hits[:, :k].any(dim=1).sum() for k in topk]


def score_sums(logits: Tensor, labels: Tensor, loss: Tensor) -> Tensor:
    """Sums of loss, top-1, top-5 and videos, shape (4,), on the device."""
    if logits.dim() == 3:
        logits = logits.mean(dim=1)  # (N, K)
    top1, top5 = topk_hits(logits.float(), labels)
    count = torch.full_like(loss, len(labels), dtype=torch.float64)
    return torch.stack([loss.double() * count, top1.double(), top5.double(), count])


def score_means(sums: Sequence[float] | np.ndarray, num_classes: int) -> dict[str, float]:
    """Mean loss, and top-1 and, where it says something, top-5 in percent, of sums (4,)."""
    loss, top1, top5, count = (float(s) for s in sums)
    count = max(count, 1.0)
    means = {"loss": loss / count, "top1": 100 * top1 / count}
    return {**means, "top5": 100 * top5 / count} if has_top5(num_classes) else means


class RunningMean:
    """Mean of what was added, each value weighted by its count."""

    def __init__(self) -> None:
        self.total = 0.0
        self.count = 0

    def add(self, value: float, count: int = 1) -> None:
        self.total += value * count
        self.count += count

    @property
    def mean(self) -> float:
        return self.total / self.count if self.count else 0.0
