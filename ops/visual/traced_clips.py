"""Clips with where they come from: the data sets of training and testing, watched while they choose and cut.

L frames of a video, T segments of F frames, H x W pixels, s x s after cropping.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ops.data import (
    Box,
    BrokenVideo,
    Change,
    DatasetSpec,
    Drawn,
    FrameSampler,
    SampleKey,
    TestTransform,
    TestVideos,
    TrainClips,
    TrainTransform,
    VideoSource,
    crop,
    flips,
    parse_augment,
    test_scale,
)
from ops.models import FRAMES_PER_SEGMENT
from ops.runtime import InputError
from ops.visual.contact_sheet import Card, View

CROP_NAMES = {1: ("centre crop",), 3: ("crop 0", "crop 1", "crop 2")}


@dataclass(frozen=True)
class WatchedSampler(FrameSampler):
    """Remembers the length of each video and the frames that were chosen."""

    seen: list[tuple[int, np.ndarray]] = field(default_factory=list)

    def train(self, num_frames: int, num_segments: int, rng: np.random.Generator) -> np.ndarray:
        self.seen.append((num_frames, super().train(num_frames, num_segments, rng)))
        return self.seen[-1][1]

    def test(self, num_frames: int, num_segments: int, video: int, clip: int, num_clips: int) -> np.ndarray:
        self.seen.append((num_frames, super().test(num_frames, num_segments, video, clip, num_clips)))
        return self.seen[-1][1]


@dataclass(frozen=True)
class WatchedTrainTransform(TrainTransform):
    """Remembers the first whole frame, where each pixel of the crop came from, and how pixels were changed.

    The same crop and flip are applied to a picture of coordinates, so nothing need be known of how they work.
    """

    sees_whole: ClassVar[bool] = True

    seen: list[tuple[Tensor, Tensor, tuple[Change, ...]]] = field(default_factory=list)

    def apply(self, frames: Tensor, label: int, drawn: Drawn) -> tuple[Tensor, int]:
        places, _ = super().apply(coordinates(frames), label, drawn._replace(changes=()))
        self.seen.append((frames[0], places[0], drawn.changes))
        return super().apply(frames, label, drawn)


@dataclass(frozen=True)
class WatchedTestTransform(TestTransform):
    """Remembers where each pixel of each crop came from."""

    seen: list[list[Tensor]] = field(default_factory=list)

    def __call__(self, frames: Tensor) -> tuple[Tensor, tuple[Box, ...]]:
        places, boxes = super().__call__(coordinates(frames))
        self.seen.append([crop(places[0], box) for box in boxes])
        return super().__call__(frames)


def coordinates(frames: Tensor) -> Tensor:
    """A picture (1, 3, H, W) whose first two channels are x and y of each pixel's centre, as parts of the whole."""
    height, width = frames.shape[-2:]
    y = ((torch.arange(height) + 0.5) / height)[:, None].expand(height, width)
    x = ((torch.arange(width) + 0.5) / width)[None, :].expand(height, width)
    return torch.stack([x, y, torch.zeros(height, width)])[None]  # (1, 3, H, W)


def box_of(places: Tensor) -> tuple[tuple[float, float, float, float], bool]:
    """Left, top, right, bottom of what a picture of coordinates (3, s, s) covers; whether it is flipped."""
    columns, rows = places[0].mean(dim=0), places[1].mean(dim=1)
    edges = []
    for line in (columns, rows):
        first, last = float(line[0]), float(line[-1])
        half = (last - first) / (len(line) - 1) / 2  # from the centre of a pixel to its edge
        edges.append((first - half, last + half))
    (left, right), (top, bottom) = edges
    return (min(left, right), top, max(left, right), bottom), left > right


def pictures(pixels: Tensor) -> np.ndarray:
    """(T, F, 3, s, s) as (T, F, s, s, 3)."""
    return pixels.movedim(2, -1).numpy()


@dataclass(frozen=True)
class ClipSettings:
    """How clips are made: the options of main.py and the test scripts, and the epoch."""

    model: str
    num_segments: int
    input_size: int
    dense_sample: bool
    flip: str
    augment: str
    seed: int
    epoch: int
    test_crops: int
    full_res: bool


@dataclass(frozen=True)
class Clips:
    """The project's data sets over one list, watched.

    Args:
        spec: the data set.
        source: its videos.
        settings: how their clips are made.
    """

    spec: DatasetSpec
    source: VideoSource
    settings: ClipSettings

    def name(self, label: int) -> str:
        return self.spec.class_names[label] if self.spec.class_names else f"class {label}"

    def card(self, video: int) -> Card:
        """A video with its views.

        Raises:
            InputError: it cannot be read.
        """
        record = self.source.records[video]
        num_frames, picture, training = self.training_view(video)
        views = (training, *self.test_views(video))
        return Card(self.name(record.label), record.path, num_frames, picture, views)

    def training_view(self, video: int) -> tuple[int, np.ndarray, View]:
        """Length of the video, its first frame read (H, W, 3), and its training clip."""
        settings = self.settings
        sampler = WatchedSampler(FRAMES_PER_SEGMENT[settings.model], settings.dense_sample)
        mirror_labels = self.spec.mirror_labels(flips(settings.flip, settings.model, self.spec.name))
        transform = WatchedTrainTransform(settings.input_size, mirror_labels, parse_augment(settings.augment))
        clips = TrainClips(self.source, settings.num_segments, sampler, transform, settings.seed)
        clip = clips[SampleKey(settings.epoch - 1, video)]
        if isinstance(clip, BrokenVideo):
            raise InputError(clip.reason)
        (num_frames, frames), (whole, places, changes) = sampler.seen[0], transform.seen[0]
        box, flipped = box_of(places)
        kept = clip.label == self.source.records[video].label
        remark = "not flipped" if not flipped else "flipped" if kept else f"flipped, now “{self.name(clip.label)}”"
        remark = "; ".join((remark, *map(str, changes)))
        title = f"training, epoch {settings.epoch}"
        return num_frames, whole.movedim(0, -1).numpy(), View(title, remark, pictures(clip.pixels), frames, box)

    def test_views(self, video: int) -> list[View]:
        """Every crop of the clip that is validated and tested on."""
        settings = self.settings
        sampler = WatchedSampler(FRAMES_PER_SEGMENT[settings.model], settings.dense_sample)
        scale = test_scale(settings.input_size)
        transform = WatchedTestTransform(
            scale, scale if settings.full_res else settings.input_size, settings.test_crops
        )
        seen = TestVideos(self.source, [(settings.num_segments, sampler)], transform)[video]
        if isinstance(seen, BrokenVideo):
            raise InputError(seen.reason)
        frames = sampler.seen[0][1]
        return [
            View(f"test, {name}", f"{transform.size} x {transform.size} px from short side {scale}",
                 pictures(seen.view(0, 0, number)), frames, box_of(transform.seen[0][number])[0])
            for number, name in enumerate(CROP_NAMES[settings.test_crops])
        ]  # fmt: skip
