"""Clip transforms on uint8 tensors: random parameters are drawn once a clip, then applied to every frame alike.

F frames of H x W pixels, RGB: (F, 3, H, W), or packed YUV (planes.py). Random draws take their generator. Resizing is
antialiased bilinear.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as tvf

from ops.data.augmentation.changes import Change, apply_changes, draw_changes
from ops.data.augmentation.spec import Operation
from ops.data.mirror_labels import NO_MIRROR
from ops.data.planes import PackedClip
from ops.video import Packing

CROP_SCALES = (1.0, 0.875, 0.75, 0.66)
SNAP_PIXELS = 2  # a crop size this close to the input size becomes the input size
MAX_SCALE_DISTANCE = 1  # between the scales of a crop's width and height
FULL_SCALE = (256, 224)  # short side before the crop : crop
# Crop positions on a grid of quarter steps (x, y): corners, centre, edge midpoints, quarter points.
CROP_GRID = (
    (0, 0), (4, 0), (0, 4), (4, 4), (2, 2), (0, 2), (4, 2), (2, 4), (2, 0), (1, 1), (3, 1), (1, 3), (3, 3),
)  # fmt: skip


Frames = Any  # RGB (F, 3, H, W) or a PackedClip; a transform gives back what it takes


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


def resize_crop(frames: Frames, box: Box, height: int, width: int) -> Frames:
    """The part inside a box, at another size."""
    if isinstance(frames, PackedClip):
        return frames.cut(box, (height, width))
    return resize(crop(frames, box), height, width)


def mirrored(frames: Frames) -> Frames:
    """Left and right exchanged."""
    return frames._replace(flip=True) if isinstance(frames, PackedClip) else frames.flip(-1)


def size_of(frames: Frames) -> tuple[int, int]:
    """Height and width."""
    return frames.size if isinstance(frames, PackedClip) else (frames.shape[-2], frames.shape[-1])


def short_side_at(short: int, height: int, width: int) -> tuple[int, int]:
    """Height and width with the short side at ``short`` pixels and the aspect kept."""
    return (short * height // width, short) if width <= height else (short, short * width // height)


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

    sees_whole: ClassVar[bool] = False  # ``apply`` needs more of a frame than its crop

    size: int
    mirror_labels: tuple[int, ...]
    augment: tuple[Operation, ...] = ()

    def __call__(self, frames: Frames, label: int, rng: np.random.Generator) -> tuple[Frames, int]:
        """(F, 3, H, W) uint8 and a label -> (F, 3, size, size) uint8 and the label of what is now seen."""
        return self.apply(frames, label, self.draw(*size_of(frames), rng))

    def draw(self, height: int, width: int, rng: np.random.Generator) -> Drawn:
        """What is random, for frames of ``height`` x ``width`` pixels; crop and flip do not depend on augmentation."""
        box, flip = draw_train_crop(height, width, self.size, rng), bool(rng.random() < 0.5)
        return Drawn(box, flip, draw_changes(self.augment, self.size, self.size, rng))

    def apply(self, frames: Frames, label: int, drawn: Drawn) -> tuple[Frames, int]:
        """The same for all frames."""
        frames = resize_crop(frames, drawn.box, self.size, self.size)
        frames = apply_changes(frames, drawn.changes) if drawn.changes else frames
        if drawn.flip and self.mirror_labels[label] != NO_MIRROR:
            return mirrored(frames), self.mirror_labels[label]
        return frames, label


class DrawnOnSight:
    """Draws what is random of a training clip when the first frame shows its size, so that only its crop is kept.

    Args:
        transform: what draws.
        rng: with which it draws.
    """

    def __init__(self, transform: TrainTransform, rng: np.random.Generator) -> None:
        self._transform = transform
        self._rng = rng
        self._drawn: Drawn | None = None

    def __call__(self, height: int, width: int) -> Box:
        """The crop of frames of this size."""
        if self._drawn is None:
            self._drawn = self._transform.draw(height, width, self._rng)
        return self._drawn.box

    def apply(self, frames: Frames, label: int) -> tuple[Frames, int]:
        """The transform of frames, whole or cut to the crop; packed ones are cut at even pixels."""
        if self._drawn is None:
            return self._transform(frames, label, self._rng)
        top, left, height, width = self._drawn.box
        box = Box(top % 2, left % 2, height, width) if isinstance(frames, PackedClip) else Box(0, 0, height, width)
        return self._transform.apply(frames, label, self._drawn._replace(box=box))


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

    def __call__(self, frames: Frames) -> tuple[Frames, tuple[Box, ...]]:
        """(F, 3, H, W) uint8 -> the resized frames, cut to what the crops need, and the crops in them."""
        height, width = short_side_at(self.scale, *size_of(frames))
        frames = resize_crop(frames, Box(0, 0, *size_of(frames)), height, width)
        if self.num_crops == 1:
            whole, box = Box(0, 0, self.size, self.size), centre_box(height, width, self.size)
            return frames._replace(crop=box) if isinstance(frames, PackedClip) else crop(frames, box), (whole,)
        return frames, three_boxes(height, width, self.size)


def least_train_side(size: int) -> int:
    """Short side in pixels of which the smallest training crop still has ``size`` pixels."""
    return math.ceil(size / min(CROP_SCALES))


def test_scale(size: int) -> int:
    """Short side in pixels before a crop of ``size``: in the ratio of 256 to 224."""
    return size * FULL_SCALE[0] // FULL_SCALE[1]


def from_images(images: np.ndarray, packing: Packing | None = None) -> Frames:
    """Decoded pictures (F, H, W, 3) as (F, 3, H, W), or (F, 3H/2, W) as packed ones, without moving a byte."""
    tensor = torch.from_numpy(images)
    return tensor.permute(0, 3, 1, 2) if packing is None else PackedClip.whole(tensor, packing)
