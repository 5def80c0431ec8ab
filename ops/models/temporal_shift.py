"""Temporal shifts: features of neighbouring segments.

N videos, T segments, C channels, H x W pixels. Features travel folded as (N*T, C, H, W).
"""

from typing import Any

import torch
from torch import Tensor, nn


class TemporalShift(nn.Module):
    """Learnable temporal shift: a depthwise convolution over segments, kernel 3, zero padding, no bias.

    Starts as the shift of TSM (Lin et al., ICCV 2019): the first C/8 channels read segment t+1, the next C/8 read
    t-1, the rest read t.

    Args:
        channels: C.
        num_segments: T.

    Shape:
        input, output: (N*T, C, H, W)
    """

    def __init__(self, channels: int, num_segments: int) -> None:
        super().__init__()
        self.num_segments = num_segments
        self.weight = nn.Parameter(torch.empty(channels, 1, 3))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        fold = self.weight.shape[0] // 8
        with torch.no_grad():
            self.weight.zero_()
            self.weight[:fold, 0, 2] = 1
            self.weight[fold : 2 * fold, 0, 0] = 1
            self.weight[2 * fold :, 0, 1] = 1

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        """The shift of ``x``, or of ``x * gate`` with a gate (N*T, C, 1, 1): the product itself is never made."""
        clip = x.unflatten(0, (-1, self.num_segments))  # (N, T, C, H, W)
        before, now, after = self.weight.to(x.dtype)[:, 0, :, None, None].unbind(1)  # (C, 1, 1) each
        gates = (
            x.new_ones(()).expand(*clip.shape[:3], 1, 1)
            if gate is None
            else gate.to(x.dtype).unflatten(0, clip.shape[:2])
        )
        out = clip * (now * gates)
        out[:, 1:].addcmul_(clip[:, :-1], before * gates[:, :-1])
        out[:, :-1].addcmul_(clip[:, 1:], after * gates[:, 1:])
        return out.flatten(0, 1)  # (N*T, C, H, W)


class ShiftedConv2d(nn.Conv2d):
    """A convolution of the shifted input; it sees the shift of TSM (Lin et al., ICCV 2019), which its caller does not.

    The first C/8 channels read segment t+1, the next C/8 read t-1, the rest read t; zeros where there is no neighbour.
    The shift has no parameters: the buffer ``fold``, C/8, tells a checkpoint of TSM from one of TSN.

    Args:
        conv: the convolution that it takes the place of, k x k without a bias, padded by k // 2.
        num_segments: T.

    Shape:
        input: (N*T, C, H, W); output: what ``conv`` makes of it
    """

    fold: Tensor

    def __init__(self, conv: nn.Conv2d, num_segments: int) -> None:
        size = conv.kernel_size[0]
        super().__init__(conv.in_channels, conv.out_channels, size, conv.stride[0], size // 2, bias=False)
        self.num_segments = num_segments
        self.register_buffer("fold", torch.tensor(conv.in_channels // 8))

    def forward(self, x: Tensor) -> Tensor:
        pointwise = self.kernel_size == self.stride == (1, 1)
        if pointwise and not torch.is_grad_enabled() and x.is_contiguous(memory_format=torch.channels_last):
            return self._without_copy(x)
        shifted = _Shift.apply(x, self.num_segments) if torch.is_grad_enabled() else _shift(x, self.num_segments)
        return super().forward(shifted)

    def _without_copy(self, x: Tensor) -> Tensor:
        """A pointwise convolution is a matrix product; channels of neighbours are read where they lie."""
        height, width = x.shape[2:]
        step, fold = height * width, x.shape[1] // 8
        pixels = x.permute(0, 2, 3, 1).reshape(-1, self.num_segments * step, x.shape[1])  # (N, T*H*W, C)
        kernel = self.weight.flatten(1).t()  # (C, C')
        out = pixels[..., 2 * fold :] @ kernel[2 * fold :]  # (N, T*H*W, C')
        kernel = kernel.to(out.dtype)  # autocast leaves products in place alone
        if self.bias is not None:
            out += self.bias
        behind, before = pixels[:, step:, :fold], pixels[:, :-step, fold : 2 * fold]
        out[:, :-step].baddbmm_(behind, kernel[:fold].expand(out.shape[0], -1, -1))
        out[:, step:].baddbmm_(before, kernel[fold : 2 * fold].expand(out.shape[0], -1, -1))
        return out.view(x.shape[0], height, width, -1).permute(0, 3, 1, 2)  # (N*T, C', H, W)


class _Shift(torch.autograd.Function):
    """The shift with its gradient, the shift back: one pass each, in the layout of the input."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, num_segments: int) -> Tensor:
        ctx.num_segments = num_segments
        return _shift(x, num_segments)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _shift(grad, ctx.num_segments, back=True), None


def _shift(x: Tensor, num_segments: int, back: bool = False) -> Tensor:
    """(N*T, C, H, W) -> (N*T, C, H, W)"""
    fold = x.shape[1] // 8
    out = torch.empty_like(x)
    source, target = (v.unflatten(0, (-1, num_segments)) for v in (x, out))  # (N, T, C, H, W)
    following, previous = slice(0, fold), slice(fold, 2 * fold)
    if back:
        following, previous = previous, following
    target[:, :-1, following] = source[:, 1:, following]
    target[:, -1, following] = 0
    target[:, 1:, previous] = source[:, :-1, previous]
    target[:, 0, previous] = 0
    target[:, :, 2 * fold :] = source[:, :, 2 * fold :]
    return out
