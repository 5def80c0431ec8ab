"""Deformable convolution (Dai et al., "Deformable Convolutional Networks", ICCV 2017), without a compiled extension.

B images, C -> C' channels, H x W pixels, k x k kernel, stride 1, dilation 1, one group. Each output pixel reads the
input at its k*k kernel points, each moved by a learned offset, bilinearly; what lies outside the map reads zero.
Sampling is one ``grid_sample`` for all kernel points, the rest one matrix product.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def _sampling_grid(offset: Tensor, kernel_size: int) -> Tensor:
    """Where to sample, in grid_sample's coordinates: pixel i of n lies at (2i + 1) / n - 1.

    Shape:
        offset: (B, 2*k*k, H, W), (dy, dx) per kernel point in row-major order, in pixels
        output: (B, k*k*H, W, 2), (x, y)
    """
    batch, _, height, width = offset.shape
    points = kernel_size * kernel_size
    offset = offset.view(batch, points, 2, height, width)
    reach = torch.arange(kernel_size, dtype=offset.dtype, device=offset.device) - kernel_size // 2
    rows = torch.arange(height, dtype=offset.dtype, device=offset.device)
    columns = torch.arange(width, dtype=offset.dtype, device=offset.device)
    base_y = reach.repeat_interleave(kernel_size)[:, None, None] + rows[:, None]  # (k*k, H, 1)
    base_x = reach.repeat(kernel_size)[:, None, None] + columns  # (k*k, 1, W)
    y = (offset[:, :, 0] + base_y).mul(2 / height).add(1 / height - 1)  # (B, k*k, H, W)
    x = (offset[:, :, 1] + base_x).mul(2 / width).add(1 / width - 1)  # (B, k*k, H, W)
    return torch.stack((x, y), dim=-1).view(batch, points * height, width, 2)


def deform_conv2d(x: Tensor, offset: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Deformable convolution with "same" padding, as ``torchvision.ops.deform_conv2d`` with padding k // 2.

    Positions are computed and sampled in float32 at least: a bfloat16 position on a 28-pixel map is off by 1/16.

    Shape:
        x: (B, C, H, W)
        offset: (B, 2*k*k, H, W), (dy, dx) per kernel point in row-major order
        weight: (C', C, k, k); bias: (C',)
        output: (B, C', H, W)
    """
    batch, channels, height, width = x.shape
    out_channels, in_channels, kernel_size, kernel_width = weight.shape
    points = kernel_size * kernel_size
    if in_channels != channels or kernel_width != kernel_size or kernel_size % 2 == 0:
        raise ValueError(
            f"expected a weight (C', {channels}, k, k) with odd k for an input of {channels} channels, "
            f"got {tuple(weight.shape)}"
        )
    if offset.shape != (batch, 2 * points, height, width):
        raise ValueError(
            f"expected offsets {(batch, 2 * points, height, width)} for an input {tuple(x.shape)} and kernel "
            f"{kernel_size}, got {tuple(offset.shape)}"
        )
    wide = torch.promote_types(x.dtype, torch.float32)
    grid = _sampling_grid(offset.to(wide), kernel_size)
    columns = F.grid_sample(x.to(wide), grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    columns = columns.to(weight.dtype).reshape(batch, channels * points, height * width)  # (B, C*k*k, H*W)
    kernel = weight.reshape(out_channels, channels * points)
    out = kernel @ columns if bias is None else torch.baddbmm(bias[:, None], kernel.expand(batch, -1, -1), columns)
    return out.view(batch, out_channels, height, width)


class DeformConv2d(nn.Module):
    """Deformable convolution whose offsets come from a plain convolution of the same input.

    The offsets start at zero, so training starts from a plain convolution.

    Args:
        channels: C, of input and output.
        kernel_size: k, odd.

    Shape:
        input, output: (B, C, H, W)
    """

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.empty(channels))
        self.offset = nn.Conv2d(channels, 2 * kernel_size**2, kernel_size, padding=kernel_size // 2)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """PyTorch's default for a convolution; zero offsets."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        bound = 1 / math.sqrt(self.weight[0].numel())
        nn.init.uniform_(self.bias, -bound, bound)
        for parameter in self.offset.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        return deform_conv2d(x, self.offset(x), self.weight, self.bias)
