"""Temporal difference network (Wang, Tong, Ji, Wu: "TDN: Temporal Difference Networks for Efficient Action
Recognition", CVPR 2021).

N videos, T segments of F = 5 frames, C channels, H x W pixels. Features travel folded as (N*T, C, H, W).
Convolutions in front of a BatchNorm have no bias, which the BatchNorm would cancel.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ops.models.names import Design
from ops.models.resnet import Block, MotionPath, ResNet
from ops.models.temporal_shift import TemporalShift


def tdn_backbone(design: Design) -> ResNet:
    """S-TDM beside ResNet's stem, L-TDM and the learnable shift in every block of layer2 to layer4."""

    def fill_block(block: Block, stage: int, index: int) -> None:
        if stage == 1:
            return
        channels, modules = block.conv1.out_channels, OrderedDict[str, nn.Module]()
        if "ltdm" in design.motion:
            modules["ltdm"] = LTDM(channels, design.num_segments)
        if "shift" in design.motion:
            modules["shift"] = TemporalShift(channels, design.num_segments)
        block.motion = nn.Sequential(modules)

    path = MotionPath("stdm", STDM, (design.motion_weight, design.motion_weight), STDM.from_imagenet)
    return ResNet(design.arch, fill_block, path if "stdm" in design.motion else None)


class STDM(nn.Module):
    """Short-term temporal difference: the four differences of consecutive frames, at half the resolution.

    Shape:
        input: (B, 5, 3, H, W), one segment each
        output: (B, 64, h, w), about H/8 and W/8
    """

    batch_norms = (("conv", "bn"),)

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(12, 64, 7, stride=2, padding=3, bias=False)
        self.bn = nn.BatchNorm2d(64)

    def forward(self, frames: Tensor) -> Tensor:
        small = F.avg_pool2d(frames.flatten(0, 1), 2).unflatten(0, frames.shape[:2])  # (B, 5, 3, H/2, W/2)
        steps = (small[:, 1:] - small[:, :-1]).flatten(1, 2)  # (B, 12, H/2, W/2)
        return F.max_pool2d(F.relu(self.bn(self.conv(steps))), 3, stride=2, padding=1)  # (B, 64, h, w)

    @staticmethod
    def from_imagenet(conv1: Tensor) -> dict[str, Tensor]:
        """The mean over RGB of a ResNet's first kernel, (64, 3, 7, 7), for each of the 12 channels."""
        return {"conv.weight": conv1.mean(dim=1, keepdim=True).repeat(1, 12, 1, 1)}


class LTDM(nn.Module):
    """Long-term temporal difference: gates each channel and pixel by the change to both neighbouring segments.

    A neighbour passes a depthwise convolution, which aligns it, before the difference is taken; the difference is seen
    at full and at half resolution. The first segment has no difference backward, the last none forward: there it is
    zero.

    Args:
        channels: C of the features; the work is done on C / reduction.
        num_segments: T.
        reduction: C / c.

    Shape:
        input, output: (N*T, C, H, W)
    """

    batch_norms = (
        ("reduce", "reduce_bn"),
        ("half_scale", "half_scale_bn"),
        ("full_scale", "full_scale_bn"),
        ("expand", "expand_bn"),
    )

    def __init__(self, channels: int, num_segments: int, reduction: int = 16) -> None:
        super().__init__()
        reduced = channels // reduction
        self.num_segments = num_segments
        self.reduce = nn.Conv2d(channels, reduced, 1, bias=False)
        self.reduce_bn = nn.BatchNorm2d(reduced)
        self.align = nn.Conv2d(reduced, reduced, 3, padding=1, groups=reduced, bias=False)
        self.half_scale = nn.Conv2d(reduced, reduced, 3, padding=1, bias=False)
        self.half_scale_bn = nn.BatchNorm2d(reduced)
        self.full_scale = nn.Conv2d(reduced, reduced, 3, padding=1, bias=False)
        self.full_scale_bn = nn.BatchNorm2d(reduced)
        self.expand = nn.Conv2d(reduced, channels, 1, bias=False)
        self.expand_bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)

    def gate(self, x: Tensor) -> Tensor:
        """Factor of each channel and pixel, from 0.5 to 1.5.

        Shape:
            input, output: (N*T, C, H, W)
        """
        ahead, back = self.differences(x)
        if self.training:  # BatchNorms see one direction, then the other, as published
            both = self.response(ahead) + self.response(back)
        else:
            one, other = self.response(torch.cat((ahead, back))).unflatten(0, (2, -1))
            both = one + other
        # x + x * (g(ahead) + g(back)) / 2, where g = response - 0.5
        return (both + 1) / 2

    def differences(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """From each segment to the next, and to the one before.

        Shape:
            input: (N*T, C, H, W); outputs: (N*T, c, H, W)
        """
        z = self.reduce_bn(self.reduce(x))  # (N*T, c, H, W)
        ahead, back = torch.zeros_like(z), torch.zeros_like(z)
        now, aligned = self._clips(z), self._clips(self.align(z))  # (N, T, c, H, W)
        self._clips(ahead)[:, :-1] = aligned[:, 1:] - now[:, :-1]
        self._clips(back)[:, 1:] = aligned[:, :-1] - now[:, 1:]
        return ahead, back

    def _clips(self, x: Tensor) -> Tensor:
        return x.unflatten(0, (-1, self.num_segments))

    def response(self, difference: Tensor) -> Tensor:
        """From 0 to 1, 0.5 where nothing is seen.

        Shape:
            input: (B, c, H, W); output: (B, C, H, W)
        """
        height, width = difference.shape[2:]
        halved = F.avg_pool2d(difference, (min(2, height), min(2, width)))  # one pixel cannot be halved
        half = F.interpolate(self.half_scale_bn(self.half_scale(halved)), (height, width), mode="nearest")
        full = self.full_scale_bn(self.full_scale(difference))
        return torch.sigmoid(self.expand_bn(self.expand((difference + half + full) / 3)))
