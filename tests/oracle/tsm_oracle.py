"""TSN and TSM as their definitions read: the yardstick of tests and benchmarks.

N videos, T segments of one frame, C channels, H x W pixels. Parameters carry the names of the published code, so its
checkpoints load strictly. Only torch and torchvision are used, never ops.
"""

import torch
from torch import Tensor, nn
from torchvision.models import ResNet
from torchvision.models.resnet import BasicBlock, Bottleneck

ARCHS = {
    "resnet10": (BasicBlock, (1, 1, 1, 1)),
    "resnet14": (Bottleneck, (1, 1, 1, 1)),  # nobody's network, for quick tests
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
    "resnet101": (Bottleneck, (3, 4, 23, 3)),
}


def shift(x: Tensor, num_segments: int) -> Tensor:
    """The first C/8 channels read the next segment, the next C/8 the one before; (N*T, C, H, W) both."""
    fold = x.shape[1] // 8
    clip = x.reshape(-1, num_segments, *x.shape[1:])  # (N, T, C, H, W)
    out = torch.zeros_like(clip)
    out[:, :-1, :fold] = clip[:, 1:, :fold]
    out[:, 1:, fold : 2 * fold] = clip[:, :-1, fold : 2 * fold]
    out[:, :, 2 * fold :] = clip[:, :, 2 * fold :]
    return out.reshape(x.shape)


class Shifted(nn.Module):
    """A convolution, ``net``, of the shifted input."""

    def __init__(self, net: nn.Conv2d, num_segments: int) -> None:
        super().__init__()
        self.net = net
        self.num_segments = num_segments

    def forward(self, x: Tensor) -> Tensor:
        return self.net(shift(x, self.num_segments))


class TSNOracle(nn.Module):
    """A clip in, logits out: torchvision's ResNet on every frame, the average of logits over segments.

    Args:
        arch: one of ARCHS.
        num_classes: K.
        num_segments: T.
        dropout: before the head.

    Shape:
        input: (N, T, 1, 3, H, W), normalised floats
        output: (N, K)
    """

    def __init__(self, arch: str, num_classes: int, num_segments: int, dropout: float = 0.0) -> None:
        super().__init__()
        block, depths = ARCHS[arch]
        self.num_segments = num_segments
        self.base_model = ResNet(block, list(depths))
        self.new_fc = nn.Linear(self.base_model.fc.in_features, num_classes)
        self.base_model.fc = nn.Dropout(dropout)

    def forward(self, clips: Tensor) -> Tensor:
        logits = self.new_fc(self.base_model(clips.flatten(0, 2)))  # (N*T, K)
        return logits.reshape(-1, self.num_segments, logits.shape[1]).mean(dim=1)  # (N, K)


class TSMOracle(TSNOracle):
    """TSN whose blocks shift in front of their first convolution: all, or every second one of a deep network."""

    def __init__(self, arch: str, num_classes: int, num_segments: int, dropout: float = 0.0) -> None:
        super().__init__(arch, num_classes, num_segments, dropout)
        step = 2 if len(self.base_model.layer3) >= 23 else 1
        for number in (1, 2, 3, 4):
            for block in getattr(self.base_model, f"layer{number}")[::step]:
                block.conv1 = Shifted(block.conv1, num_segments)
