"""Temporal shift: features of neighbouring segments.

N videos, T segments, C channels, H x W pixels. Features travel folded as (N*T, C, H, W).
"""

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
