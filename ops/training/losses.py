"""The loss of a clip.

N videos, T segments, K classes.
"""

from torch import Tensor
from torch.nn import functional as F

LOSSES = {"nll": F.cross_entropy}


def clip_loss(logits: Tensor, targets: Tensor, loss_type: str, label_smoothing: float = 0.0) -> Tensor:
    """Loss of logits (N, K); logits that kept their segments (N, T, K) are each compared with the clip's target.

    Args:
        targets: labels (N,), or of mixed clips the share of each class (N, K).
        label_smoothing: part of the target that is spread evenly over the classes (Szegedy et al., CVPR 2016).
    """
    if logits.dim() == 3:
        segments = logits.shape[1]
        targets = targets.repeat_interleave(segments, dim=0)  # (N*T,) or (N*T, K)
        logits = logits.flatten(0, 1)  # (N*T, K)
    return LOSSES[loss_type](logits.float(), targets, label_smoothing=label_smoothing)
