"""A network for testing alone: its BatchNorms folded into the convolutions before them.

In evaluation mode a BatchNorm is a scale and a shift a channel, which a convolution can do by itself; what is left
has half the passes over memory. Weights lie with channels innermost, which convolutions and pooling are faster with.
"""

import copy

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ops.models.recognizer import Recognizer, use_channels_last


def fuse_for_inference(model: Recognizer) -> Recognizer:
    """A copy of ``model`` in evaluation mode with the same results (within rounding), which cannot be trained.

    A module says in ``batch_norms`` which of its BatchNorms stand behind which of its convolutions.
    """
    fused = copy.deepcopy(model).eval().requires_grad_(False)
    for module in fused.modules():
        for conv, bn in _pairs(module):
            setattr(module, conv, fuse_conv_bn_eval(getattr(module, conv), getattr(module, bn)))
            setattr(module, bn, nn.Identity())
    use_channels_last(fused)
    return fused


def _pairs(module: nn.Module) -> tuple[tuple[str, str], ...]:
    if isinstance(module, nn.Sequential):
        pair = len(module) == 2 and isinstance(module[0], nn.Conv2d) and isinstance(module[1], nn.BatchNorm2d)
        return (("0", "1"),) if pair else ()
    return getattr(module, "batch_norms", ())
