"""The Triton kernels as operators of PyTorch: with gradients, autocast, and no graph break under torch.compile.

``kernels.py`` says how they compute. They run on a GPU, or anywhere in Triton's interpreter (TRITON_INTERPRET=1).
"""

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from ops.models.deformable.kernels import backward_kernel, forward_kernel, motion_kernel
from ops.runtime import narrow_type

INTERPRETED = not isinstance(forward_kernel, triton.JITFunction)
MOST_OUTPUTS = 256  # channels of the output that a tile keeps in registers
PROGRAMS_EACH = 8  # of the backward pass, for each multiprocessor of the GPU
_TYPES = {
    torch.float16: tl.float16, torch.bfloat16: tl.bfloat16, torch.float32: tl.float32, torch.float64: tl.float64,
}  # fmt: skip


class Tile(NamedTuple):
    """How the work is cut: pixels of a tile, and warps that share it."""

    pixels: int
    warps: int


# Which is faster depends on the GPU, the type and the shape: both are tried there. Larger ones and fewer warps need
# more registers than sm_90 has, as its assembler says.
TILES = (Tile(32, 4), Tile(64, 8))
MOST_CHANNELS, MOST_CHANNELS_BACKWARD = 64, 32  # of the input that a program reads at once


def _padded(channels: int, least: int = 16) -> int:
    return max(least, triton.next_power_of_2(channels))  # tl.dot takes no less than 16


def _options(x: Tensor, weight: Tensor, tile: Tile, channels: int = MOST_CHANNELS) -> dict[str, Any]:
    """What the kernels are compiled for."""
    wide = torch.promote_types(torch.promote_types(x.dtype, weight.dtype), torch.float32)
    # The interpreter multiplies the bits of bfloat16; their products are exact in float32.
    product = torch.float32 if INTERPRETED and weight.dtype == torch.bfloat16 else weight.dtype
    return {
        "PIXELS": tile.pixels, "CHANNELS": min(channels, _padded(x.shape[1])), "OUTPUTS": _padded(weight.shape[0]),
        "WIDE": _TYPES[wide], "DOT": _TYPES[product], "num_warps": tile.warps,
        "PRECISION": "tf32" if torch.backends.cuda.matmul.allow_tf32 else "ieee",
    }  # fmt: skip


def _innermost(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H, W, C), contiguous: no copy if ``x`` is channels last."""
    return x.permute(0, 2, 3, 1).contiguous()


def _packed(weight: Tensor) -> Tensor:
    """(C', C, k, k) -> (k*k, C, C'), contiguous."""
    return weight.permute(2, 3, 1, 0).flatten(0, 1).contiguous()


def _with_rows_in_step(maps: Tensor) -> Tensor:
    """(..., H, W) whose rows lie behind each other, so that one stride leads from pixel to pixel."""
    in_step = 1 in maps.shape[-2:] or maps.stride(-2) == maps.shape[-1] * maps.stride(-1)
    return maps if in_step else maps.contiguous()


def _strides(maps: Tensor) -> tuple[int, ...]:
    """All strides but those of rows and columns, then that from pixel to pixel."""
    return *maps.stride()[:-2], maps.stride(-1) if maps.shape[-1] > 1 else maps.stride(-2)


def _parts(x: Tensor, all_tiles: int, programs: int) -> int:
    """Into how many parts a backward pass cuts its tiles, so that every multiprocessor has work."""
    processors = torch.cuda.get_device_properties(x.device).multi_processor_count if x.is_cuda else 1
    return min(all_tiles, max(1, -(-PROGRAMS_EACH * processors // programs)))


@torch.library.custom_op("msn::deform_conv", mutates_args=())
def _deform_conv(x: Tensor, offset: Tensor, weight: Tensor, bias: Tensor | None, pixels: int, warps: int) -> Tensor:
    images, channels, height, width = x.shape
    outputs, _, kernel, _ = weight.shape
    tile = Tile(pixels, warps)
    result = _empty_result(x, offset, weight, bias, pixels, warps)
    tiles = triton.cdiv(height * width, pixels)
    offset = _with_rows_in_step(offset)
    forward_kernel[(images * tiles,)](
        _innermost(x), offset, _packed(weight), bias if bias is not None else weight, result, tiles, height, width,
        channels, outputs, *_strides(offset), KERNEL=kernel, HAS_BIAS=bias is not None, **_options(x, weight, tile),
    )  # fmt: skip
    return result


@_deform_conv.register_fake
def _empty_result(x: Tensor, offset: Tensor, weight: Tensor, bias: Tensor | None, pixels: int, warps: int) -> Tensor:
    shape = (x.shape[0], weight.shape[0], *x.shape[2:])
    return x.new_empty(shape, dtype=weight.dtype).to(memory_format=torch.channels_last)


@torch.library.custom_op("msn::deform_conv_backward", mutates_args=())
def _backward(
    grad: Tensor, x: Tensor, offset: Tensor, weight: Tensor, pixels: int, warps: int
) -> tuple[Tensor, Tensor, Tensor]:
    images, channels, height, width = x.shape
    outputs, _, kernel, _ = weight.shape
    options = _options(x, weight, Tile(pixels, warps), MOST_CHANNELS_BACKWARD)
    wide = torch.promote_types(torch.promote_types(x.dtype, weight.dtype), torch.float32)
    tiles = triton.cdiv(height * width, pixels)
    taps, chunks = kernel**2, triton.cdiv(channels, options["CHANNELS"])
    parts = _parts(x, images * tiles, taps * chunks)
    grad_x = x.new_zeros((images, height, width, channels), dtype=wide)
    grad_offset = x.new_empty((chunks, *offset.shape), dtype=wide)
    grad_weight = x.new_empty((parts, taps, channels, outputs), dtype=wide)
    offset = _with_rows_in_step(offset)
    backward_kernel[(parts, taps, chunks)](
        _innermost(x), offset, _packed(weight), _innermost(grad), grad_x, grad_offset, grad_weight, tiles,
        images * tiles, triton.cdiv(images * tiles, parts), height, width, channels, outputs, *_strides(offset),
        KERNEL=kernel, **options,
    )  # fmt: skip
    grad_weight = grad_weight.sum(dim=0).view(kernel, kernel, channels, outputs)
    return (
        grad_x.permute(0, 3, 1, 2).to(x.dtype),
        grad_offset.sum(dim=0).to(offset.dtype),
        grad_weight.permute(3, 2, 0, 1).to(weight.dtype, memory_format=torch.contiguous_format),
    )


@_backward.register_fake
def _(grad: Tensor, x: Tensor, offset: Tensor, weight: Tensor, pixels: int, warps: int) -> tuple[Tensor, ...]:
    grad_x = x.new_empty((x.shape[0], *x.shape[2:], x.shape[1])).permute(0, 3, 1, 2)
    return grad_x, offset.new_empty(offset.shape), weight.new_empty(weight.shape)


def _save_conv(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, offset, weight, bias, *ctx.tile = inputs
    ctx.bias_type = None if bias is None else bias.dtype
    ctx.save_for_backward(x, offset, weight)


def _conv_gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    gradients = _backward(grad, *ctx.saved_tensors, *ctx.tile)
    return *gradients, _sum_of_pixels(grad, ctx.bias_type), None, None


def _sum_of_pixels(grad: Tensor, kind: torch.dtype | None) -> Tensor | None:
    if kind is None:
        return None
    return grad.sum(dim=(0, 2, 3), dtype=torch.promote_types(grad.dtype, torch.float32)).to(kind)


_deform_conv.register_autograd(_conv_gradients, setup_context=_save_conv)


@torch.library.custom_op("msn::motion_mean", mutates_args=())
def _motion_mean(
    x: Tensor, offset3: Tensor, weight3: Tensor, offset5: Tensor, weight5: Tensor, bias: Tensor, pooled: Tensor,
    current: Tensor, keep_signs: bool, pixels: int, warps: int,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    images, channels, height, width = x.shape
    outputs = weight3.shape[0]
    mean, signs = _empty_mean(x, offset3, weight3, offset5, weight5, bias, pooled, current, keep_signs, pixels, warps)
    tiles = triton.cdiv(height * width, pixels)
    sums = mean.new_empty((tiles, images, outputs))
    offset3, offset5, pooled, current = map(_with_rows_in_step, (offset3, offset5, pooled, current))
    motion_kernel[(images * tiles,)](
        _innermost(x), offset3, _packed(weight3), offset5, _packed(weight5), bias, pooled, current, sums, signs, tiles,
        current.shape[1], height, width, channels, outputs, *_strides(offset3), *_strides(offset5), *_strides(pooled),
        *_strides(current), KEEP_SIGNS=keep_signs, **_options(x, weight3, Tile(pixels, warps)),
    )  # fmt: skip
    torch.sum(sums, dim=0, out=mean)
    return mean.div_(height * width), signs


@_motion_mean.register_fake
def _empty_mean(
    x: Tensor, offset3: Tensor, weight3: Tensor, offset5: Tensor, weight5: Tensor, bias: Tensor, pooled: Tensor,
    current: Tensor, keep_signs: bool, pixels: int, warps: int,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    outputs = weight3.shape[0]
    wide = torch.promote_types(torch.promote_types(x.dtype, weight3.dtype), torch.float32)
    kept = len(x) if keep_signs else 0
    signs = x.new_empty((kept, *x.shape[2:], outputs), dtype=torch.int8).permute(0, 3, 1, 2)
    return x.new_empty((x.shape[0], outputs), dtype=wide), signs


def _save_motion(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, offset3, weight3, offset5, weight5, bias, pooled, current, _, *ctx.tile = inputs
    ctx.types = bias.dtype, pooled.dtype, current.dtype
    ctx.shape = current.shape
    ctx.save_for_backward(x, offset3, weight3, offset5, weight5, output[1])


def _motion_gradients(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    x, offset3, weight3, offset5, weight5, signs = ctx.saved_tensors
    bias_type, pooled_type, current_type = ctx.types
    factor = (grad / (x.shape[2] * x.shape[3]))[:, :, None, None]  # (B, C', 1, 1)
    arriving = (signs * factor).to(weight3.dtype)  # (B, C', H, W), as the kernels read it
    near_x, grad_offset3, grad_weight3 = _backward(arriving, x, offset3, weight3, *ctx.tile)
    far_x, grad_offset5, grad_weight5 = _backward(arriving, x, offset5, weight5, *ctx.tile)
    grad_current = (arriving * -3).unflatten(0, ctx.shape[:2])
    return (
        near_x + far_x, grad_offset3, grad_weight3, grad_offset5, grad_weight5, _sum_of_pixels(arriving, bias_type),
        arriving.to(pooled_type), grad_current.to(current_type), None, None, None,
    )  # fmt: skip


_motion_mean.register_autograd(_motion_gradients, setup_context=_save_motion)


def _product_type(x: Tensor, weight: Tensor) -> torch.dtype:
    """The type in which autocast would multiply, else that of the weights."""
    return narrow_type(x.device) or weight.dtype


def deform_conv2d(x: Tensor, offset: Tensor, weight: Tensor, bias: Tensor | None, tile: Tile = TILES[0]) -> Tensor:
    """As ``portable.deform_conv2d``, which says the shapes."""
    return _deform_conv(x, offset, weight.to(_product_type(x, weight)), bias, *tile)


def motion_mean(
    x: Tensor, convolutions: tuple[tuple[Tensor, Tensor, Tensor], ...], pooled: Tensor, current: Tensor,
    tile: Tile = TILES[0],
) -> Tensor:  # fmt: skip
    """Spatial mean of \\|DCN3(x) + DCN5(x) + pooled - 3 current\\|, which is not written as a map.

    For a backward pass its signs are kept, one byte a value.

    Args:
        convolutions: offset, weight and bias of the 3 x 3 and of the 5 x 5 one.

    Shape:
        x: (B, C, H, W); pooled: (B, C', H, W); current: (N, B / N, C', H, W); output: (B, C')
    """
    (offset3, weight3, bias3), (offset5, weight5, bias5) = convolutions
    kind = _product_type(x, weight3)
    tensors = x, offset3, weight3.to(kind), offset5, weight5.to(kind), bias3 + bias5, pooled, current
    keeps = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    return _motion_mean(*tensors, keeps, *tile)[0].to(kind)
