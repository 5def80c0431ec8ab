"""Triton kernels of deformable convolution, and of DS-ME's mean difference, which never writes its map.

B images, C -> C' channels, H x W pixels, k x k kernel points ("taps"). What decides their speed:

- Channels are innermost in memory: the four pixels of a sample are then runs of C neighbouring values, wherever the
  offsets point. Positions and bilinear weights are computed once a (pixel, tap) and serve all channels.
- The samples of a tile of pixels go from registers into the matrix product (an implicit GEMM): columns, k*k times the
  input, exist nowhere. The backward pass samples again, once for the gradients of input, offset and weight together.
- Positions, samples and sums are float32 (``WIDE``); factors of products have the type ``DOT`` of the weights.
- Gradients of the input are added up by atomics in float32, as most GPUs have none for bfloat16: their order, so
  their last digits, differs from run to run. Those of the weights are partial sums, added up in a fixed order.

A tile is ``PIXELS`` pixels of one image. All strides are in elements; image bases are 64-bit.
"""

import triton
import triton.language as tl


@triton.jit
def _tile(image_tile, tiles, height, width, PIXELS: tl.constexpr):
    """Image, and numbers, rows and columns of the pixels of a tile, and which of them exist."""
    image = (image_tile // tiles).to(tl.int64)
    pixel = (image_tile % tiles) * PIXELS + tl.arange(0, PIXELS)
    return image, pixel, pixel // width, pixel % width, pixel < height * width


@triton.jit
def _position(offset, tap, pixel, row, column, exists, height, width, offset_channel, offset_pixel,
              KERNEL: tl.constexpr, WIDE: tl.constexpr):  # fmt: skip
    """Top left pixel of a sample, and how far it lies from there; NaN stays NaN, far outside becomes (-2, -2)."""
    place = offset + 2 * tap * offset_channel + pixel * offset_pixel
    y = tl.load(place, mask=exists, other=0.0).to(WIDE) + (row + tap // KERNEL - KERNEL // 2).to(WIDE)
    x = tl.load(place + offset_channel, mask=exists, other=0.0).to(WIDE) + (column + tap % KERNEL - KERNEL // 2).to(
        WIDE
    )
    near = (y > -1) & (y < height) & (x > -1) & (x < width)
    near_y, near_x = tl.where(near, y, -2.0), tl.where(near, x, -2.0)  # what an integer can hold
    top, left = tl.floor(near_y), tl.floor(near_x)
    down, right = tl.where(y == y, near_y - top, y), tl.where(x == x, near_x - left, x)
    return top.to(tl.int32), left.to(tl.int32), down, right


@triton.jit
def _corner(CORNER: tl.constexpr, top, left, down, right, exists, height, width):
    """One of the four pixels of a sample: its number, whether it exists, and its weight along both axes."""
    row, column = top + CORNER // 2, left + CORNER % 2
    inside = exists & (row >= 0) & (row < height) & (column >= 0) & (column < width)
    along_y = down if CORNER // 2 else 1 - down
    along_x = right if CORNER % 2 else 1 - right
    return tl.where(inside, row * width + column, 0), inside, along_y, along_x


@triton.jit
def _convolve(total, x, offset, weight, pixel, row, column, exists, out, height, width, channels, outputs,
              offset_channel, offset_pixel, KERNEL: tl.constexpr, CHANNELS: tl.constexpr, WIDE: tl.constexpr,
              DOT: tl.constexpr, PRECISION: tl.constexpr):  # fmt: skip
    """Add the convolution of a tile to ``total`` (PIXELS, OUTPUTS)."""
    for tap in range(KERNEL * KERNEL):
        top, left, down, right = _position(
            offset, tap, pixel, row, column, exists, height, width, offset_channel, offset_pixel, KERNEL, WIDE
        )
        for start in range(0, channels, CHANNELS):
            channel = start + tl.arange(0, CHANNELS)
            samples = tl.zeros((total.shape[0], CHANNELS), WIDE)
            for corner in tl.static_range(4):
                number, inside, along_y, along_x = _corner(corner, top, left, down, right, exists, height, width)
                values = tl.load(x + number[:, None] * channels + channel[None, :],
                                 mask=inside[:, None] & (channel < channels)[None, :], other=0.0)  # fmt: skip
                samples += (along_y * along_x)[:, None] * values.to(WIDE)
            factors = tl.load(weight + (tap * channels + channel[:, None]) * outputs + out[None, :],
                              mask=(channel < channels)[:, None] & (out < outputs)[None, :], other=0.0)  # fmt: skip
            samples = samples.to(weight.dtype.element_ty).to(DOT)
            total = tl.dot(samples, factors.to(DOT), total, input_precision=PRECISION, out_dtype=WIDE)
    return total


@triton.jit
def forward_kernel(x, offset, weight, bias, result, tiles, height, width, channels, outputs, offset_image,
                   offset_channel, offset_pixel, KERNEL: tl.constexpr, HAS_BIAS: tl.constexpr, PIXELS: tl.constexpr,
                   CHANNELS: tl.constexpr, OUTPUTS: tl.constexpr, WIDE: tl.constexpr, DOT: tl.constexpr,
                   PRECISION: tl.constexpr):  # fmt: skip
    """A tile of the convolution, all its output channels.

    Shape:
        x: (B, H, W, C), contiguous; weight: (k*k, C, C'), contiguous; result: (B, H, W, C'), contiguous
    """
    image, pixel, row, column, exists = _tile(tl.program_id(0), tiles, height, width, PIXELS)
    out = tl.arange(0, OUTPUTS)
    total = _convolve(
        tl.zeros((PIXELS, OUTPUTS), WIDE), x + image * height * width * channels, offset + image * offset_image, weight,
        pixel, row, column, exists, out, height, width, channels, outputs, offset_channel, offset_pixel, KERNEL,
        CHANNELS, WIDE, DOT, PRECISION,
    )  # fmt: skip
    if HAS_BIAS:
        total += tl.load(bias + out, mask=out < outputs, other=0.0).to(WIDE)[None, :]
    place = result + image * height * width * outputs + pixel[:, None] * outputs + out[None, :]
    tl.store(place, total.to(result.dtype.element_ty), mask=exists[:, None] & (out < outputs)[None, :])


@triton.jit
def motion_kernel(x, offset3, weight3, offset5, weight5, bias, pooled, current, sums, signs, tiles, steps, height,
                  width, channels, outputs, offset3_image, offset3_channel, offset3_pixel, offset5_image,
                  offset5_channel, offset5_pixel, pooled_image, pooled_channel, pooled_pixel, current_clip,
                  current_step, current_channel, current_pixel, KEEP_SIGNS: tl.constexpr, PIXELS: tl.constexpr,
                  CHANNELS: tl.constexpr, OUTPUTS: tl.constexpr, WIDE: tl.constexpr, DOT: tl.constexpr,
                  PRECISION: tl.constexpr):  # fmt: skip
    """The sum over a tile of \\|DCN3 + DCN5 + bias + pooled - 3 current\\|; its signs, for a backward pass only.

    Shape:
        x, weight3, weight5: as in ``forward_kernel``; pooled: (B, C', H, W); current: (B / steps, steps, C', H, W)
        sums: (tiles, B, C'); signs: (B, H, W, C') int8, contiguous both
    """
    image, pixel, row, column, exists = _tile(tl.program_id(0), tiles, height, width, PIXELS)
    out = tl.arange(0, OUTPUTS)
    x += image * height * width * channels
    total = _convolve(
        tl.zeros((PIXELS, OUTPUTS), WIDE), x, offset3 + image * offset3_image, weight3, pixel, row, column, exists, out,
        height, width, channels, outputs, offset3_channel, offset3_pixel, 3, CHANNELS, WIDE, DOT, PRECISION,
    )  # fmt: skip
    total = _convolve(
        total, x, offset5 + image * offset5_image, weight5, pixel, row, column, exists, out, height, width, channels,
        outputs, offset5_channel, offset5_pixel, 5, CHANNELS, WIDE, DOT, PRECISION,
    )  # fmt: skip
    total += tl.load(bias + out, mask=out < outputs, other=0.0).to(WIDE)[None, :]
    valid = exists[:, None] & (out < outputs)[None, :]
    pooled += image * pooled_image
    total += tl.load(pooled + pixel[:, None] * pooled_pixel + out[None, :] * pooled_channel,
                     mask=valid, other=0.0).to(WIDE)  # fmt: skip
    current += image // steps * current_clip + image % steps * current_step
    total -= 3 * tl.load(current + pixel[:, None] * current_pixel + out[None, :] * current_channel,
                         mask=valid, other=0.0).to(WIDE)  # fmt: skip
    total = tl.where(valid, total, 0.0)
    images = tl.num_programs(0) // tiles
    sums += (tl.program_id(0) % tiles * images + image) * outputs
    tl.store(sums + out, tl.sum(tl.abs(total), axis=0), mask=out < outputs)
    if KEEP_SIGNS:
        place = signs + image * height * width * outputs + pixel[:, None] * outputs + out[None, :]
        tl.store(place, (total > 0).to(tl.int8) - (total < 0).to(tl.int8), mask=valid)


@triton.jit
def backward_kernel(x, offset, weight, grad, grad_x, grad_offset, grad_weight, tiles, all_tiles, tiles_each, height,
                    width, channels, outputs, offset_image, offset_channel, offset_pixel, KERNEL: tl.constexpr,
                    PIXELS: tl.constexpr, CHANNELS: tl.constexpr, OUTPUTS: tl.constexpr, WIDE: tl.constexpr,
                    DOT: tl.constexpr, PRECISION: tl.constexpr):  # fmt: skip
    """All three gradients, of one tap, ``CHANNELS`` channels and ``tiles_each`` tiles.

    Shape:
        x, weight: as in ``forward_kernel``; grad: (B, H, W, C'), contiguous; programs: (parts, k*k, ceil(C / CHANNELS))
        grad_x: (B, H, W, C), zeros; grad_offset: (ceil(C / CHANNELS), B, 2*k*k, H, W)
        grad_weight: (parts, k*k, C, C'); all contiguous
    """
    part, tap, chunk = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    images = all_tiles // tiles
    channel, out = chunk * CHANNELS + tl.arange(0, CHANNELS), tl.arange(0, OUTPUTS)
    is_weight = (channel < channels)[:, None] & (out < outputs)[None, :]
    weight_place = (tap * channels + channel[:, None]) * outputs + out[None, :]
    factors = tl.trans(tl.load(weight + weight_place, mask=is_weight, other=0.0).to(DOT))  # (OUTPUTS, CHANNELS)
    weight_sum = tl.zeros((CHANNELS, OUTPUTS), WIDE)
    for number_of_tile in range(part * tiles_each, tl.minimum((part + 1) * tiles_each, all_tiles)):
        image, pixel, row, column, exists = _tile(number_of_tile, tiles, height, width, PIXELS)
        map_of_image = image * height * width
        arriving = tl.load(grad + (map_of_image + pixel)[:, None] * outputs + out[None, :],
                           mask=exists[:, None] & (out < outputs)[None, :], other=0.0).to(DOT)  # fmt: skip
        # What arrives at the samples, (PIXELS, CHANNELS).
        nothing = tl.zeros((PIXELS, CHANNELS), WIDE)
        wanted = tl.dot(arriving, factors, nothing, input_precision=PRECISION, out_dtype=WIDE)
        top, left, down, right = _position(
            offset + image * offset_image, tap, pixel, row, column, exists, height, width, offset_channel,
            offset_pixel, KERNEL, WIDE,
        )  # fmt: skip
        samples = tl.zeros((PIXELS, CHANNELS), WIDE)
        slope_y, slope_x = tl.zeros((PIXELS,), WIDE), tl.zeros((PIXELS,), WIDE)
        for corner in tl.static_range(4):
            number, inside, along_y, along_x = _corner(corner, top, left, down, right, exists, height, width)
            place = (map_of_image + number)[:, None] * channels + channel[None, :]
            valid = inside[:, None] & (channel < channels)[None, :]
            values = tl.load(x + place, mask=valid, other=0.0).to(WIDE)
            share = (along_y * along_x)[:, None]
            samples += share * values
            tl.atomic_add(grad_x + place, share * wanted, mask=valid, sem="relaxed")
            met = tl.sum(values * wanted, axis=1)
            slope_y += met * along_x * (1 if corner // 2 else -1)
            slope_x += met * along_y * (1 if corner % 2 else -1)
        samples = samples.to(weight.dtype.element_ty).to(DOT)
        weight_sum = tl.dot(tl.trans(samples), arriving, weight_sum, input_precision=PRECISION, out_dtype=WIDE)
        channel_of_offset = (chunk * images + image) * 2 * KERNEL * KERNEL + 2 * tap
        place = grad_offset + channel_of_offset * height * width + pixel
        tl.store(place, slope_y, mask=exists)
        tl.store(place + height * width, slope_x, mask=exists)
    part_of_weight = (part * KERNEL * KERNEL).to(tl.int64) * channels * outputs
    tl.store(grad_weight + part_of_weight + weight_place, weight_sum, mask=is_weight)
