"""Top-k counts and running averages."""

from torch import Tensor


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
