"""Deformable convolution (Dai et al., "Deformable Convolutional Networks", ICCV 2017), without a compiled extension.

B images, C -> C' channels, H x W pixels, k x k kernel, stride 1, dilation 1, one group. Each output pixel reads the
input at its k*k kernel points, each moved by a learned offset, bilinearly; what lies outside the map reads zero.
The samples of all kernel points are columns, the rest is one matrix product. Two functions sample: ``grid_sample``,
everywhere; on a CPU without gradients ``embedding_bag``, which reads all channels of a pixel at once.
"""

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from ops.runtime import narrow_type

COLUMNS_AT_ONCE = 2**21  # values: columns that stay in a CPU's cache are not paid for twice


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
    For a backward pass the samples, k*k times the input, are taken again rather than stored.

    Shape:
        x: (B, C, H, W)
        offset: (B, 2*k*k, H, W), (dy, dx) per kernel point in row-major order
        weight: (C', C, k, k); bias: (C',)
        output: (B, C', H, W)
    """
    in_cache = x.device.type == "cpu" and not torch.compiler.is_compiling()
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, offset, weight, bias)):
        images = _images_at_once(x, weight) if in_cache else len(x)
        parts = zip(x.split(images), offset.split(images), strict=True)
        return torch.cat(
            [checkpoint(_from_grid, *p, weight, bias, use_reentrant=False, preserve_rng_state=False) for p in parts]
        )
    if in_cache and x.dtype == weight.dtype and x.dtype.itemsize >= 4:
        return _from_bags(x, offset, weight, bias)
    return _from_grid(x, offset, weight, bias)


def _images_at_once(x: Tensor, weight: Tensor) -> int:
    return max(1, COLUMNS_AT_ONCE // (x[0].numel() * weight[0, 0].numel()))


def check_shapes(x: Tensor, offset: Tensor, weight: Tensor) -> None:
    """Raise ValueError unless these are of one deformable convolution."""
    batch, channels, height, width = x.shape
    _, in_channels, kernel_size, kernel_width = weight.shape
    if in_channels != channels or kernel_width != kernel_size or kernel_size % 2 == 0:
        raise ValueError(
            f"expected a weight (C', {channels}, k, k) with odd k for an input of {channels} channels, "
            f"got {tuple(weight.shape)}"
        )
    wanted = (batch, 2 * kernel_size**2, height, width)
    if offset.shape != wanted:
        raise ValueError(
            f"expected offsets {wanted} for an input {tuple(x.shape)} and kernel {kernel_size}, "
            f"got {tuple(offset.shape)}"
        )


def _from_grid(x: Tensor, offset: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Sample with grid_sample."""
    batch, channels, height, width = x.shape
    out_channels, kernel_size = weight.shape[0], weight.shape[2]
    rows = channels * kernel_size**2
    wide = torch.promote_types(x.dtype, torch.float32)
    grid = _sampling_grid(offset.to(wide), kernel_size)
    columns = F.grid_sample(x.to(wide), grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    product = narrow_type(x.device) or weight.dtype  # autocast would make it of B copies of the kernel
    columns = columns.to(product).reshape(batch, rows, height * width)  # (B, C*k*k, H*W)
    kernel = weight.reshape(out_channels, rows).to(product)
    out = kernel @ columns if bias is None else torch.baddbmm(bias[:, None], kernel.expand(batch, -1, -1), columns)
    return out.view(batch, out_channels, height, width)


def _from_bags(x: Tensor, offset: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """For a CPU, without gradients: each sample is a bag of four pixels and their weights.

    A border of zeros, one pixel before and two behind, is what positions outside the map read.
    """
    batch, channels, height, width = x.shape
    out_channels, kernel_size = weight.shape[0], weight.shape[2]
    points = kernel_size**2
    pixels = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 2, 1, 2))  # (B, H+3, W+3, C)
    offset = offset.permute(0, 2, 3, 1).contiguous().view(batch, height, width, points, 2)
    kernel = weight.permute(2, 3, 1, 0).reshape(points * channels, out_channels)
    out = x.new_empty(batch, height, width, out_channels)
    images = _images_at_once(x, weight)
    for some in (slice(start, start + images) for start in range(0, batch, images)):
        places, shares = _bags(offset[some], kernel_size)  # (b*H*W*k*k, 4) both
        columns = F.embedding_bag(places, pixels[some].flatten(0, 2), per_sample_weights=shares, mode="sum")
        columns = columns.view(-1, points * channels)  # (b*H*W, k*k*C)
        torch.mm(columns, kernel, out=out[some].view(-1, out_channels))
    if bias is not None:
        out += bias
    return out.permute(0, 3, 1, 2)


def _bags(offset: Tensor, kernel_size: int) -> tuple[Tensor, Tensor]:
    """The four pixels of every sample, as rows of the bordered images, and their bilinear weights.

    Shape:
        offset: (b, H, W, k*k, 2), (dy, dx); outputs: (b*H*W*k*k, 4)
    """
    images, height, width, _, _ = offset.shape
    stride = width + 3
    reach = torch.arange(kernel_size, dtype=offset.dtype) - kernel_size // 2
    base_y = torch.arange(height, dtype=offset.dtype)[:, None, None] + reach.repeat_interleave(kernel_size)
    base_x = torch.arange(width, dtype=offset.dtype)[:, None] + reach.repeat(kernel_size)
    y = (offset[..., 0] + base_y).clamp_(-1, height)  # (b, H, W, k*k)
    x = (offset[..., 1] + base_x).clamp_(-1, width)
    top, left = y.floor(), x.floor()
    y -= top
    x -= left
    pixels = (height + 3) * stride
    first = torch.arange(images, dtype=torch.int32)[:, None, None, None] * pixels + stride + 1
    first = first + torch.add(left, top, alpha=stride).to(torch.int32)  # top left pixel
    first.clamp_(0, images * pixels - stride - 2)  # NaN is not a valid position either
    places = first[..., None] + torch.tensor((0, 1, stride, stride + 1), dtype=torch.int32)
    shares = y.new_empty(*y.shape, 4)
    both = torch.mul(y, x, out=shares[..., 3])
    torch.sub(x, both, out=shares[..., 1])
    below = torch.sub(y, both, out=shares[..., 2])
    torch.sub(1 - x, below, out=shares[..., 0])
    return places.view(-1, 4), shares.view(-1, 4)
