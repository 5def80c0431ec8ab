"""Clip transforms on uint8 tensors: random parameters are drawn once a clip, then applied to every frame alike.

F frames of H x W pixels, RGB: (F, 3, H, W). Random draws take their generator. Resizing is antialiased bilinear.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as tvf

from ops.data.augmentation.changes import Change, apply_changes, draw_changes
from ops.data.augmentation.spec import Operation
from ops.data.mirror_labels import NO_MIRROR

CROP_SCALES = (1.0, 0.875, 0.75, 0.66)
SNAP_PIXELS = 2  # a crop size this close to the input size becomes the input size
MAX_SCALE_DISTANCE = 1  # between the scales of a crop's width and height
FULL_SCALE = (256, 224)  # short side before the crop : crop
# Crop positions on a grid of quarter steps (x, y): corners, centre, edge midpoints, quarter points.
CROP_GRID = (
    (0, 0), (4, 0), (0, 4), (4, 4), (2, 2), (0, 2), (4, 2), (2, 4), (2, 0), (1, 1), (3, 1), (1, 3), (3, 3),
)  # fmt: skip


class Box(NamedTuple):
    """A rectangle in pixels."""

    top: int
    left: int
    height: int
    width: int


def crop(frames: Tensor, box: Box) -> Tensor:
    """The part of ``frames`` (..., H, W) inside ``box``, as a view."""
    return frames[..., box.top : box.top + box.height, box.left : box.left + box.width]


def resize(frames: Tensor, height: int, width: int) -> Tensor:
    """``frames`` (F, 3, H, W) at another size."""
    if frames.shape[-2:] == (height, width):
        return frames
    return tvf.resize(frames, [height, width], InterpolationMode.BILINEAR, antialias=True)


def resize_short_side(frames: Tensor, short: int) -> Tensor:
    """``frames`` with the short side at ``short`` pixels and the aspect kept."""
    height, width = frames.shape[-2:]
    if width <= height:
        return resize(frames, short * height // width, short)
    return resize(frames, short, short * width // height)


def crop_sizes(base: int, size: int) -> tuple[int, ...]:
    """Side lengths of training crops of a picture whose short side is ``base``, for an input of ``size`` pixels."""
    sizes = (max(1, int(base * scale)) for scale in CROP_SCALES)
    return tuple(min(size, base) if abs(s - size) <= SNAP_PIXELS else s for s in sizes)


def draw_train_crop(height: int, width: int, size: int, rng: np.random.Generator) -> Box:
    """A random training crop: width and height from neighbouring scales, at one of 13 fixed positions."""
    sizes = crop_sizes(min(height, width), size)
    scales = range(len(sizes))
    pairs = [(sizes[i], sizes[j]) for i in scales for j in scales if abs(i - j) <= MAX_SCALE_DISTANCE]
    crop_height, crop_width = pairs[rng.integers(len(pairs))]
    x, y = CROP_GRID[rng.integers(len(CROP_GRID))]
    top, left = y * ((height - crop_height) // 4), x * ((width - crop_width) // 4)
    return Box(top, left, crop_height, crop_width)


def centre_box(height: int, width: int, size: int) -> Box:
    """The square of ``size`` pixels in the middle."""
    return Box(round((height - size) / 2), round((width - size) / 2), size, size)


def three_boxes(height: int, width: int, size: int) -> tuple[Box, ...]:
    """Squares of ``size`` pixels at the left, right and centre of the long side, in this order."""
    step_y, step_x = (height - size) // 4, (width - size) // 4
    if height > width:
        return tuple(Box(y * step_y, 2 * step_x, size, size) for y in (0, 4, 2))
    return tuple(Box(2 * step_y, x * step_x, size, size) for x in (0, 4, 2))


class Drawn(NamedTuple):
    """What is drawn for a training clip: its crop, whether it is to be flipped, and the changes of its pixels."""

    box: Box
    flip: bool
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class TrainTransform:
    """Random multi-scale crop, resized to the input size, augmentation, and horizontal flip with probability 1/2.

    The flip comes last: a flipped clip is the exact mirror image of the same clip unflipped, augmentation included, so
    nothing can break the exchange of its label.

    Args:
        size: side of the input in pixels.
        mirror_labels: for each label its label after a flip; a clip whose label has none (NO_MIRROR) is not flipped.
        augment: operations of the augmentation.
    """

    size: int
    mirror_labels: tuple[int, ...]
    augment: tuple[Operation, ...] = ()

    def __call__(self, frames: Tensor, label: int, rng: np.random.Generator) -> tuple[Tensor, int]:
        """(F, 3, H, W) uint8 and a label -> (F, 3, size, size) uint8 and the label of what is now seen."""
        return self.apply(frames, label, self.draw(frames.shape[-2], frames.shape[-1], rng))

    def draw(self, height: int, width: int, rng: np.random.Generator) -> Drawn:
        """What is random, for frames of ``height`` x ``width`` pixels; crop and flip do not depend on augmentation."""
        box, flip = draw_train_crop(height, width, self.size, rng), bool(rng.random() < 0.5)
        return Drawn(box, flip, draw_changes(self.augment, self.size, self.size, rng))

    def apply(self, frames: Tensor, label: int, drawn: Drawn) -> tuple[Tensor, int]:
        """The same for all frames."""
        frames = apply_changes(resize(crop(frames, drawn.box), self.size, self.size), drawn.changes)
        if drawn.flip and self.mirror_labels[label] != NO_MIRROR:
            return frames.flip(-1), self.mirror_labels[label]
        return frames, label


@dataclass(frozen=True)
class TestTransform:
    """Short side to a fixed length, then one crop in the centre or three along the long side.

    Args:
        scale: short side in pixels.
        size: side of the crops in pixels.
        num_crops: 1 or 3.
    """

    scale: int
    size: int
    num_crops: int

    def __call__(self, frames: Tensor) -> tuple[Tensor, tuple[Box, ...]]:
        """(F, 3, H, W) uint8 -> the resized frames, cut to what the crops need, and the crops in them."""
        frames = resize_short_side(frames, self.scale)
        height, width = frames.shape[-2:]
        if self.num_crops == 1:
            whole = Box(0, 0, self.size, self.size)
            return crop(frames, centre_box(height, width, self.size)), (whole,)
        return frames, three_boxes(height, width, self.size)


def test_scale(size: int) -> int:
    """Short side in pixels before a crop of ``size``: in the ratio of 256 to 224."""
    return size * FULL_SCALE[0] // FULL_SCALE[1]


def from_images(images: np.ndarray) -> Tensor:
    """Decoded pictures (F, H, W, 3) as (F, 3, H, W), without moving a byte."""
    return torch.from_numpy(images).permute(0, 3, 1, 2)
