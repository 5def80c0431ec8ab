"""A network for testing alone: its BatchNorms folded into the convolutions before them.

In evaluation mode a BatchNorm is a scale and a shift a channel, which a convolution can do by itself; what is left
has half the passes over memory. Weights lie with channels innermost, which convolutions and pooling are faster with.
"""

import copy

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.resnet import BasicBlock, Bottleneck

from ops.models.msn import DSME, STPME
from ops.models.recognizer import MSN, use_channels_last
from ops.models.resnet import MSNResNet

# Convolutions and the BatchNorms behind them. DS-ME's temporal one sees a mean, not a map: it costs nothing as it is.
FOLDED: tuple[tuple[type[nn.Module], tuple[tuple[str, str], ...]], ...] = (
    (MSNResNet, (("conv1", "bn1"),)),
    (STPME, (("short_conv", "short_bn"), ("middle_conv", "middle_bn"))),
    (DSME, (("reduce", "reduce_bn"), ("pooled", "pooled_bn"), ("expand", "expand_bn"))),
    (BasicBlock, (("conv1", "bn1"), ("conv2", "bn2"))),
    (Bottleneck, (("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3"))),
)


def fuse_for_inference(model: MSN) -> MSN:
    """A copy of ``model`` in evaluation mode with the same results (within rounding), which cannot be trained."""
    fused = copy.deepcopy(model).eval().requires_grad_(False)
    for module in fused.modules():
        for kind, pairs in FOLDED:
            if isinstance(module, kind):
                for conv, bn in pairs:
                    _fold(module, conv, bn)
        if isinstance(module, BasicBlock | Bottleneck) and module.downsample is not None:
            _fold(module.downsample, "0", "1")
    use_channels_last(fused)
    return fused


def _fold(module: nn.Module, conv: str, bn: str) -> None:
    setattr(module, conv, fuse_conv_bn_eval(getattr(module, conv), getattr(module, bn)))
    setattr(module, bn, nn.Identity())
