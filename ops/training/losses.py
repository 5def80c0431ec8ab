"""The loss of a clip.

N videos, T segments, K classes.
"""

from torch import Tensor
from torch.nn import functional as F

LOSSES = {"nll": F.cross_entropy}


def clip_loss(logits: Tensor, labels: Tensor, loss_type: str) -> Tensor:
    """Loss of logits (N, K); logits that kept their segments (N, T, K) are each compared with the clip's label."""
    if logits.dim() == 3:
        labels = labels[:, None].expand(logits.shape[:2]).flatten()  # (N*T,)
        logits = logits.flatten(0, 1)  # (N*T, K)
    return LOSSES[loss_type](logits.float(), labels)
