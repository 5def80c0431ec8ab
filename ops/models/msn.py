"""Motion-sensitive modules of MSN (Gu, Yi, Li, Frontiers in Neuroscience 18, 2024, doi 10.3389/fnins.2024.1370024).

N videos, T segments of F = 5 frames, C channels, H x W pixels. Features travel folded as (N*T, C, H, W).
Convolutions in front of a BatchNorm have no bias, which the BatchNorm would cancel.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ops.models.deformable.choice import Verdict, choose
from ops.models.deformable.deform_conv import DeformConv2d, wants_gradients
from ops.models.names import Design
from ops.models.resnet import Block, MotionPath, ResNet
from ops.models.temporal_shift import TemporalShift

SECOND_WEIGHT = 0.25  # of motion behind layer1, for any number of segments


def msn_backbone(design: Design) -> ResNet:
    """STP-ME beside ResNet's stem, DS-ME and the learnable shift in every block of layer2 to layer4."""

    def fill_block(block: Block, stage: int, index: int) -> None:
        channels = block.conv1.out_channels
        if stage > 1:
            block.motion = Motion(
                DSME(channels, design.motion_window) if "dsme" in design.motion else None,
                TemporalShift(channels, design.num_segments) if "shift" in design.motion else None,
            )

    path = MotionPath("stpme", STPME, (design.motion_weight, SECOND_WEIGHT))
    return ResNet(design.arch, fill_block, path if "stpme" in design.motion else None)


class STPME(nn.Module):
    """Spatial-temporal pyramid motion extraction: three branches whose time interval and receptive field grow.

    P1 sees the four differences of consecutive frames, P2 the two differences over two frames of an embedding g, P3
    the difference over four frames of h(g). g and h are linear, so they are applied to differences of frames rather
    than to frames; their biases would cancel and do not exist.

    Shape:
        input: (B, 5, 3, H, W), one segment each
        output: (B, 64, ceil(H/4), ceil(W/4))
    """

    batch_norms = (("short_conv", "short_bn"), ("middle_conv", "middle_bn"))

    def __init__(self) -> None:
        super().__init__()
        self.short_conv = nn.Conv2d(12, 64, 7, stride=2, padding=3, bias=False)
        self.short_bn = nn.BatchNorm2d(64)
        self.embed = nn.Conv2d(3, 16, 7, stride=2, padding=3, bias=False)  # g
        self.middle_conv = nn.Conv2d(32, 64, 5, padding=2, bias=False)
        self.middle_bn = nn.BatchNorm2d(64)
        self.long_conv = nn.Conv2d(16, 64, 5, padding=2, bias=False)  # h

    def forward(self, frames: Tensor) -> Tensor:
        short, middle, long = self.branches(frames)
        return short + middle + long

    def branches(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """P1, P2 and P3.

        Shape:
            input: (B, 5, 3, H, W); outputs: (B, 64, ceil(H/4), ceil(W/4))
        """
        steps = _like_weights((frames[:, 1:] - frames[:, :-1]).flatten(1, 2), self.short_conv)  # (B, 12, H, W)
        short = F.relu(self.short_bn(self.short_conv(_max_pool(steps))))  # (B, 64, H/4, W/4)

        late, early = frames[:, 4] - frames[:, 2], frames[:, 2] - frames[:, 0]
        late, early = self.embed(torch.cat((late, early))).unflatten(0, (2, -1))  # (B, 16, H/2, W/2) each
        middle = _max_pool(torch.cat((late, early), dim=1))  # (B, 32, H/4, W/4)
        middle = F.relu(self.middle_bn(self.middle_conv(middle)))  # (B, 64, H/4, W/4)

        long = _max_pool(self.long_conv(late + early))  # (B, 64, H/4, W/4)
        return short, middle, long


def _max_pool(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 3, stride=2, padding=1)


def _like_weights(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """``x`` with channels innermost if the convolution stores its weights so: pooling is then several times faster."""
    inside = conv.weight.is_contiguous(memory_format=torch.channels_last)
    return x.contiguous(memory_format=torch.channels_last) if inside else x


class DSME(nn.Module):
    """Variable-scale motion excitation: gates channels by their aligned change to the next segment.

    Deformable convolutions of two kernel sizes align the next segment to the current one before the difference is
    taken; the last segment, which has no successor, gets a summary of its whole window instead.

    Args:
        channels: C of the features; the work is done on C / reduction.
        window: how many consecutive segments form one clip; a batch of N*T segments is cut into windows.
        reduction: C / c.

    Shape:
        input, output: (B * window, C, H, W)
    """

    # The temporal BatchNorm sees a mean, not a map: it costs nothing as it is.
    batch_norms = (("reduce", "reduce_bn"), ("pooled", "pooled_bn"), ("expand", "expand_bn"))

    def __init__(self, channels: int, window: int, reduction: int = 4) -> None:
        super().__init__()
        reduced = channels // reduction
        self.window = window
        self.reduce = nn.Conv2d(channels, reduced, 1, bias=False)
        self.reduce_bn = nn.BatchNorm2d(reduced)
        self.align3 = DeformConv2d(reduced, 3)
        self.align5 = DeformConv2d(reduced, 5)
        self.pooled = nn.Conv2d(reduced, reduced, 1, bias=False)
        self.pooled_bn = _TolerantBatchNorm2d(reduced)
        self.temporal = nn.Conv3d(reduced, reduced, 3, padding=1, bias=False)
        self.temporal_bn = nn.BatchNorm3d(reduced)
        self.expand = nn.Conv2d(reduced, channels, 1, bias=False)
        self.expand_bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)

    def gate(self, x: Tensor) -> Tensor:
        """Factor of each channel, from 0.5 to 1.5.

        Shape:
            input: (B * window, C, H, W); output: (B * window, C, 1, 1)
        """
        z = self.reduce_bn(self.reduce(x))  # (B*w, c, H, W)
        clip = z.unflatten(0, (-1, self.window))  # (B, w, c, H, W)
        change = self.motion(clip[:, :-1], clip[:, 1:])  # (B, w-1, c)
        summary = self.summary(clip)  # (B, 1, c)
        descriptor = torch.cat((change, summary), dim=1).flatten(0, 1)[:, :, None, None]  # (B*w, c, 1, 1)
        # x + x * (gate - 0.5) = x * (gate + 0.5)
        return torch.sigmoid(self.expand_bn(self.expand(descriptor))) + 0.5  # (B*w, C, 1, 1)

    def motion(self, current: Tensor, following: Tensor) -> Tensor:
        """Spatial mean of the absolute difference between the aligned next segment and the current one.

        Shape:
            current, following: (B, w-1, c, H, W); output: (B, w-1, c)
        """
        steps = current.shape[1]
        following = _like_weights(following.flatten(0, 1), self.align3.offset)  # (B*(w-1), c, H, W)
        pooled = self.pooled_bn(self.pooled(F.max_pool2d(following, 3, stride=1, padding=1)))
        backend = self._backend(following, pooled)
        if backend.tile is not None:
            return self._fused_motion(following, pooled, current, backend)
        aligned = self.align3(following, backend) + self.align5(following, backend) + pooled
        return torch.sub(aligned.unflatten(0, (-1, steps)), current, alpha=3).abs().mean(dim=(3, 4))

    def _backend(self, following: Tensor, pooled: Tensor) -> Verdict:
        """Which back end aligns the next segments: they are few, and both convolutions have the same."""
        weight = self.align3.weight
        trains = wants_gradients(following, weight)
        # Offsets have the type that a convolution gives, like what was pooled.
        return choose(self.align3.backend, (3, 5), following, pooled, weight, trains)

    def _fused_motion(self, following: Tensor, pooled: Tensor, current: Tensor, backend: Verdict) -> Tensor:
        """``motion`` in one kernel, which never writes the map that it takes the mean of."""
        from ops.models.deformable import triton_ops  # imported only where it can be

        assert backend.tile is not None
        convolutions = tuple((a.offset(following), a.weight, a.bias) for a in (self.align3, self.align5))
        mean = triton_ops.motion_mean(following, convolutions, pooled, current, triton_ops.Tile(*backend.tile))
        return mean.unflatten(0, current.shape[:2])  # (B, w-1, c)

    def summary(self, clip: Tensor) -> Tensor:
        """Mean over time and space of BN(conv3d(clip)).

        Shape:
            clip: (B, w, c, H, W); output: (B, 1, c)
        """
        if not self.training:
            mean = mean_of_conv3d(clip, self.temporal.weight)  # (B, c)
            return _frozen_batch_norm(mean, self.temporal_bn)[:, None].to(clip.dtype)
        response = self.temporal_bn(self.temporal(clip.transpose(1, 2)))  # (B, c, w, H, W)
        return response.mean(dim=(2, 3, 4))[:, None]


class _TolerantBatchNorm2d(nn.BatchNorm2d):
    """Falls back to its running statistics for one value a channel, which has none.

    One 32 x 32 clip of two segments leaves a single pixel of a single segment in layer4.
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.training and x.numel() == x.shape[1]:
            return _frozen_batch_norm(x, self)
        return super().forward(x)


def mean_of_conv3d(clip: Tensor, weight: Tensor) -> Tensor:
    """Mean over time and space of a zero-padded 3 x 3 x 3 convolution, without the convolution.

    Each kernel point sees the whole clip but for one border slice per axis: the point before the centre never
    reads the last slice, the one behind it never the first. So the mean is a contraction of 27 sums with the kernel.

    Shape:
        clip: (B, w, c, H, W); weight: (c', c, 3, 3, 3); output: (B, c')
    """
    frames, height, width = clip.shape[1], clip.shape[3], clip.shape[4]
    sums = _bordered_sums(clip, 1)  # (3, B, c, H, W)
    sums = _bordered_sums(sums, 3)  # (3, 3, B, c, W)
    sums = _bordered_sums(sums, 4)  # (3, 3, 3, B, c): width, height and time of the kernel
    means = sums / (frames * height * width)  # before the product, which half precision could not hold otherwise
    return torch.einsum("xytbc,octyx->bo", means, weight.to(means.dtype))


def _bordered_sums(x: Tensor, dim: int) -> Tensor:
    """Sums over ``dim`` of all but the last slice, of all, and of all but the first, stacked in front."""
    total = x.sum(dim, dtype=torch.promote_types(x.dtype, torch.float32))
    return torch.stack((total - x.select(dim, -1), total, total - x.select(dim, 0)))


def _frozen_batch_norm(x: Tensor, bn: nn.BatchNorm2d | nn.BatchNorm3d) -> Tensor:
    """A BatchNorm in evaluation mode, on (B, c, ...)."""
    return F.batch_norm(x, bn.running_mean, bn.running_var, bn.weight, bn.bias, eps=bn.eps)


class Motion(nn.Module):
    """DS-ME, then the temporal shift, or one of them, or neither.

    Args:
        dsme, shift: the modules that are in place.

    Shape:
        input, output: (N*T, C, H, W)
    """

    def __init__(self, dsme: DSME | None, shift: TemporalShift | None) -> None:
        super().__init__()
        self.dsme = dsme
        self.shift = shift

    def forward(self, x: Tensor) -> Tensor:
        if self.shift is None:
            return x if self.dsme is None else self.dsme(x)
        return self.shift(x, None if self.dsme is None else self.dsme.gate(x))
