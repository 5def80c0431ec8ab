"""A training clip as the published family of code reads it: the yardstick of tests and benchmarks of the loader.

T segments of F frames (five), s x s pixels. One frame at a time with decord or Pillow, one Pillow operation a frame,
float32 from there on. Only decord, Pillow, NumPy and torch are used, never ops.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
SCALES = (1.0, 0.875, 0.75, 0.66)
GRID = ((0, 0), (4, 0), (0, 4), (4, 4), (2, 2), (0, 2), (4, 2), (2, 4), (2, 0), (1, 1), (3, 1), (1, 3), (3, 3))
Picture = Image.Image
Crop = tuple[int, int, int, int]  # left, top, width, height


def train_offsets(length: int, segments: int, rng: np.random.Generator, frames: int = 5) -> list[int]:
    """First frames of the segments."""
    usable = max(length - frames + 1, 1)
    stride = usable // segments
    if stride > 0:
        return [k * stride + int(rng.integers(stride)) for k in range(segments)]
    return sorted(int(i) for i in rng.integers(usable, size=segments))


def test_offsets(length: int, segments: int, clip: int, clips: int, frames: int) -> list[int]:
    """First frames of the segments of one of several clips."""
    d = max(length - frames + 1, 1) / segments
    return [int(np.floor(k * d + (clip + 0.5) * d / clips)) for k in range(segments)]


def clip_frames(offsets: Sequence[int], length: int, frames: int = 5) -> list[int]:
    return [min(offset + i, length - 1) for offset in offsets for i in range(frames)]


def video_frames(path: Path, choose: Callable[[int], Sequence[int]], frames: int = 5) -> list[Picture]:
    """The frames that ``choose`` names for the length of a video file."""
    import decord

    reader = decord.VideoReader(str(path), num_threads=1)
    indices = clip_frames(choose(len(reader)), len(reader), frames)
    return [Image.fromarray(reader[i].asnumpy()).convert("RGB") for i in indices]


def folder_frames(folder: Path, length: int, choose: Callable[[int], Sequence[int]], frames: int = 5) -> list[Picture]:
    """The frames that ``choose`` names of a folder of images 00001.jpg and so on."""
    indices = clip_frames(choose(length), length, frames)
    return [Image.open(folder / f"{i + 1:05d}.jpg").convert("RGB") for i in indices]


def draw_crop(size: tuple[int, int], side: int, rng: np.random.Generator) -> Crop:
    """A training crop of pictures of ``size`` (width, height)."""
    width, height = size
    sizes = [int(min(width, height) * scale) for scale in SCALES]
    sizes = [min(side, min(width, height)) if abs(s - side) <= 2 else s for s in sizes]
    pairs = [(w, h) for i, h in enumerate(sizes) for j, w in enumerate(sizes) if abs(i - j) <= 1]
    w, h = pairs[rng.integers(len(pairs))]
    x, y = GRID[rng.integers(len(GRID))]
    return x * ((width - w) // 4), y * ((height - h) // 4), w, h


def cut(frames: Sequence[Picture], crop: Crop, side: int, flip: bool) -> list[Picture]:
    """Each frame cropped, resized to side x side, and flipped."""
    left, top, width, height = crop
    cropped = [f.crop((left, top, left + width, top + height)) for f in frames]
    resized = [f.resize((side, side), Image.Resampling.BILINEAR) for f in cropped]
    return [f.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for f in resized] if flip else resized


def to_tensor(frames: Sequence[Picture]) -> Tensor:
    """Normalised float32 (T*15, s, s)."""
    stacked = np.concatenate([np.asarray(frame) for frame in frames], axis=2)  # (s, s, T*15)
    pixels = torch.from_numpy(stacked).permute(2, 0, 1).contiguous().float().div(255)
    for channel, value in enumerate(pixels):
        value.sub_(MEAN[channel % 3]).div_(STD[channel % 3])
    return pixels


def train_clip(frames: Sequence[Picture], side: int, rng: np.random.Generator) -> Tensor:
    """Random crop and flip of decoded frames, as the network takes them."""
    crop = draw_crop(frames[0].size, side, rng)
    return to_tensor(cut(frames, crop, side, rng.random() < 0.5))


def three_crops(frames: Sequence[Picture], scale: int, side: int) -> list[Tensor]:
    """Left, right and centre of the long side of frames whose short side becomes ``scale``."""
    width, height = frames[0].size
    size = (scale, scale * height // width) if width <= height else (scale * width // height, scale)
    resized = [f.resize(size, Image.Resampling.BILINEAR) for f in frames]
    step_x, step_y = (size[0] - side) // 4, (size[1] - side) // 4
    views = []
    for place in (0, 4, 2):
        left, top = (2 * step_x, place * step_y) if size[1] > size[0] else (place * step_x, 2 * step_y)
        views.append(to_tensor([f.crop((left, top, left + side, top + side)) for f in resized]))
    return views
