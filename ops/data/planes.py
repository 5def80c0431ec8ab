"""Clips as packed YUV 4:2:0 pictures: cut by a worker, made into RGB and resized on the model's device.

F packed pictures of H x W pixels: (F, 3H/2, W) uint8, H rows of brightness, then H/2 rows of U beside V, each
(H/2, W/2) (ops/video/planes.py). Sides are even. A worker sends no more than the crop, at the size that it has in the
file, so the device does with it what a worker does with RGB. Large crops are made small before they are sent.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as tvf

from ops.video import Packing

AT_ONCE = 4  # planes that are resized as the channels of one picture
LARGE = 2.1  # times as many pixels as are asked for: about as many bytes as RGB
# Of each of ops/video/planes.py's numbers: share of red and of blue in brightness; smallest and largest brightness.
COLOURS = ((0.299, 0.114, 16, 235), (0.2126, 0.0722, 16, 235), (0.299, 0.114, 0, 255), (0.2126, 0.0722, 0, 255))
Rectangle = tuple[int, int, int, int]  # top, left, height, width


class PackedClip(NamedTuple):
    """Packed pictures (..., 3H/2, W), and how they become what the network sees.

    Args:
        planes: the pictures.
        colours: what their numbers mean (ops/video/planes.py).
        box: the part of them that is seen.
        size: height and width to which that is resized.
        crop: the part of that which is seen; None for all.
        flip: left and right are exchanged.
    """

    planes: Tensor
    colours: int
    box: Rectangle
    size: tuple[int, int]
    crop: Rectangle | None = None
    flip: bool = False

    @classmethod
    def whole(cls, planes: Tensor, packing: Packing) -> "PackedClip":
        return cls(planes, packing.colours, (0, 0, *packing.size), packing.size)

    def cut(self, box: Rectangle, size: tuple[int, int]) -> "PackedClip":
        """Of whole pictures (F, 3H/2, W) the part inside a box, to be resized."""
        top, left, rows, columns = box
        if rows * columns > LARGE * size[0] * size[1]:
            small = resized(self.planes, box, *size)
            return self._replace(planes=small, box=(0, 0, *size), size=size)
        above, before = top % 2, left % 2
        outer = top - above, left - before, rows + above, columns + before
        if outer != self.box:
            planes = resized(self.planes, outer, *outer[2:])
            return self._replace(planes=planes, box=(above, before, rows, columns), size=size)
        return self._replace(box=box, size=size)

    def take(self, places: np.ndarray) -> "PackedClip":
        """Pictures (F, 3H/2, W) at some places (T, F), as (T, F, 3H/2, W)."""
        are_all = np.array_equal(places.ravel(), np.arange(len(self.planes)))
        planes = self.planes if are_all else self.planes[places.ravel()]
        return self._replace(planes=planes.unflatten(0, places.shape))

    def on(self, device: torch.device) -> Tensor:
        """RGB (..., 3, h, w) uint8 on a device."""
        rgb = to_rgb(self.planes.to(device, non_blocking=True), self.colours)
        frames = _part(rgb, self.box)
        if frames.shape[-2:] != self.size:
            lead = frames.shape[:-3]
            frames = tvf.resize(frames.flatten(0, -4), list(self.size), InterpolationMode.BILINEAR, antialias=True)
            frames = frames.unflatten(0, lead)
        frames = frames if self.crop is None else _part(frames, self.crop)
        return frames.flip(-1) if self.flip else frames


def _part(frames: Tensor, box: Rectangle) -> Tensor:
    top, left, rows, columns = box
    return frames[..., top : top + rows, left : left + columns]


def split(packed: Tensor) -> tuple[Tensor, Tensor]:
    """Brightness (..., H, W), and U and V (..., 2, H/2, W/2), as views."""
    height, width = packed.shape[-2] * 2 // 3, packed.shape[-1]
    return packed[..., :height, :], packed[..., height:, :].unflatten(-1, (2, width // 2)).movedim(-2, -3)


def resized(packed: Tensor, box: Rectangle, height: int, width: int) -> Tensor:
    """The part of packed pictures (F, 3H/2, W) inside a box, at another size; odd sides of it get one pixel more.

    Where a box begins at an odd pixel, its colours begin one before.
    """
    top, left, rows, columns = box
    out = packed.new_empty(len(packed), (height + 1) // 2 * 3, (width + 1) // 2 * 2)
    (luma, chroma), (luma_out, chroma_out) = split(packed), split(out)
    resize_planes(luma[:, top : top + rows, left : left + columns], luma_out[:, :height, :width])
    luma_out[:, height:, :width] = luma_out[:, height - 1 : height, :width]
    luma_out[:, :, width:] = luma_out[:, :, width - 1 : width]
    chroma = chroma[:, :, top // 2 : (top + rows + 1) // 2, left // 2 : (left + columns + 1) // 2]
    for number in range(2):
        resize_planes(chroma[:, number], chroma_out[:, number])
    return out


def resize_planes(planes: Tensor, target: Tensor) -> None:
    """Write planes (P, h, w) into a target (P, H, W), antialiased bilinear.

    Four planes at a time are the channels of one picture: as much work as one plane.
    """
    if planes.shape == target.shape:
        target.copy_(planes)
        return
    source, out = planes.numpy(), target.numpy()
    mixed = np.zeros((-(-len(source) // AT_ONCE), *source.shape[1:], AT_ONCE), np.uint8)  # (P/4, h, w, 4)
    for number in range(AT_ONCE):
        part = source[number::AT_ONCE]
        mixed[: len(part), :, :, number] = part
    pictures = torch.from_numpy(mixed).permute(0, 3, 1, 2)  # (P/4, 4, h, w), channels innermost
    resized = tvf.resize(pictures, list(out.shape[1:]), InterpolationMode.BILINEAR, antialias=True).numpy()
    for number in range(AT_ONCE):
        part = out[number::AT_ONCE]
        part[...] = resized[: len(part), number]


def to_rgb(packed: Tensor, colours: int) -> Tensor:
    """Packed pictures as RGB, on their device, with the values that FFmpeg gives them.

    R = Y + 2(1 - r) V, B = Y + 2(1 - b) U, G from Y = r R + g G + b B, with Y, U and V stretched to their full range
    (ITU-R BT.601 and BT.709); each product is rounded down. U and V count for four pixels each.

    Args:
        packed: (..., 3H/2, W) uint8.
        colours: what the numbers mean (ops/video/planes.py).

    Shape:
        output: (..., 3, H, W) uint8
    """
    red, blue, black, white = COLOURS[colours]
    luma, chroma = split(packed)
    y = _rounded_down(luma.float() - black, 255 / (white - black))
    u, v = ((chroma.float() - 128) * (255 / 224 if black else 1)).unbind(-3)  # (..., H/2, W/2) each
    of_red, of_blue = 2 * (1 - red), 2 * (1 - blue)
    green = 1 - red - blue
    shares = (
        _rounded_down(v, of_red),
        _rounded_down(u, -blue * of_blue / green) + _rounded_down(v, -red * of_red / green),
        _rounded_down(u, of_blue),
    )
    out = packed.new_empty(*luma.shape[:-2], 3, *luma.shape[-2:])
    for channel, share in enumerate(shares):
        full = share.repeat_interleave(2, dim=-1).repeat_interleave(2, dim=-2)
        out[..., channel, :, :] = (y + full).clamp_(0, 255)
    return out


def _rounded_down(values: Tensor, factor: float) -> Tensor:
    return (values * factor).floor_().to(torch.int16)
