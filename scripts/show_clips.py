#!/usr/bin/env python3
"""Draws what the network sees of a few videos: segments x frames, after sampling, crop and flip.

    python scripts/show_clips.py motion --num_segments 4 --input_size 64 --out clips.png
    python scripts/show_clips.py data/mine/train.txt --videos 3 17 --epoch 2     with data/mine/dataset.toml

The clips come from the data set and the transforms that training and testing use, with the random draws of that
seed and epoch. A row is a segment; the numbers beside it are its frames. The whole frame shows what is cut out, the
bars below it when. A flipped clip says so, with the label that it gets.
"""

from __future__ import annotations

import argparse
import copy
import io
import sys
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # ops/, from any working directory

import numpy as np
import torch
from torch import Tensor

from ops.data import (
    Box,
    BrokenVideo,
    DatasetSpec,
    FrameSampler,
    SampleKey,
    TestTransform,
    TestVideos,
    TrainClips,
    TrainTransform,
    VideoSource,
    crop,
    read_list,
    test_scale,
)
from ops.models import FRAMES_PER_SEGMENT
from ops.runtime import InputError, OneLineParser, number_type, print_any_name, run_script, write_atomically
from ops.settings import add_source_arguments, resolve_sources
from ops.video import choose_decoder
from ops.visual import Card, Sheet, View

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
    """Remembers the first whole frame, and where each pixel of the result came from.

    The same draws are applied to a picture of coordinates, so nothing need be known of how the transform works.
    """

    seen: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def __call__(self, frames: Tensor, label: int, rng: np.random.Generator) -> tuple[Tensor, int]:
        places, _ = super().__call__(coordinates(frames), label, copy.deepcopy(rng))
        self.seen.append((frames[0], places[0]))
        return super().__call__(frames, label, rng)


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
    """How videos are looked at: the options of main.py and the test scripts, and the epoch."""

    num_segments: int
    input_size: int
    dense_sample: bool
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
        settings: how they are looked at.
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
        sampler = WatchedSampler(FRAMES_PER_SEGMENT["msn"], settings.dense_sample)
        transform = WatchedTrainTransform(settings.input_size, self.spec.mirror_labels())
        clips = TrainClips(self.source, settings.num_segments, sampler, transform, settings.seed)
        clip = clips[SampleKey(settings.epoch - 1, video)]
        if isinstance(clip, BrokenVideo):
            raise InputError(clip.reason)
        (num_frames, frames), (whole, places) = sampler.seen[0], transform.seen[0]
        box, flipped = box_of(places)
        kept = clip.label == self.source.records[video].label
        remark = "not flipped" if not flipped else "flipped" if kept else f"flipped, now “{self.name(clip.label)}”"
        title = f"training, epoch {settings.epoch}"
        return num_frames, whole.movedim(0, -1).numpy(), View(title, remark, pictures(clip.pixels), frames, box)

    def test_views(self, video: int) -> list[View]:
        """Every crop of the clip that is validated and tested on."""
        settings = self.settings
        sampler = WatchedSampler(FRAMES_PER_SEGMENT["msn"], settings.dense_sample)
        scale = test_scale(settings.input_size)
        transform = WatchedTestTransform(
            scale, scale if settings.full_res else settings.input_size, settings.test_crops
        )
        seen = TestVideos(self.source, (settings.num_segments,), sampler, transform)[video]
        if isinstance(seen, BrokenVideo):
            raise InputError(seen.reason)
        frames = sampler.seen[0][1]
        return [
            View(f"test, {name}", f"{transform.size} x {transform.size} of short side {scale}",
                 pictures(seen.view(0, 0, number)), frames, box_of(transform.seen[0][number])[0])
            for number, name in enumerate(CROP_NAMES[settings.test_crops])
        ]  # fmt: skip


def parse_command_line() -> argparse.Namespace:
    parser = OneLineParser(description="Draws what the network sees of a few videos.", allow_abbrev=False)
    add_source_arguments(parser)
    positive = number_type(int, 1)
    add = parser.add_argument_group("clips, as in main.py and the test scripts").add_argument
    add("--num_segments", type=number_type(int, 2), default=8, metavar="T")
    add("--input_size", type=number_type(int, 32), default=224, metavar="PIXELS")
    add("--dense_sample", action="store_true", help="64 consecutive frames instead of the whole video")
    add("--seed", type=number_type(int, 0), default=0, help="of training's draws, and of which videos are shown")
    add("--epoch", type=positive, default=1, metavar="N", help="of which the training clip is (default: 1)")
    add("--test_crops", type=int, choices=(1, 3), default=1)
    add("--full_res", action="store_true", help="test crops of the full short side")
    add = parser.add_argument_group("sheet").add_argument
    add("--num_videos", type=positive, default=3, metavar="N", help="how many, drawn from the list (default: 3)")
    add("--videos", type=number_type(int, 1), nargs="+", metavar="PLACE", help="those of these places in the list")
    add("--cell", type=number_type(int, 16), metavar="PIXELS", help="size of a picture (default: as it is, at most 96)")
    add("--palette", action="store_true", help="256 colours, for a file of about a third of the size")
    add("--out", type=Path, default=Path("clips.png"), metavar="FILE", help="(default: %(default)s)")
    return parser.parse_args()


def choose_videos(args: argparse.Namespace, count: int) -> list[int]:
    """Places in a list of ``count`` videos, from 0."""
    if args.videos is None:
        drawn = np.random.default_rng(args.seed).permutation(count)[: args.num_videos]
        return sorted(drawn.tolist())
    for place in args.videos:
        if place > count:
            raise InputError(f"expected --videos from 1 to {count}, the length of the list, got {place}")
    return [place - 1 for place in args.videos]


def main() -> None:
    print_any_name()
    args = parse_command_line()
    if args.out.suffix.lower() != ".png":
        raise InputError(f"expected --out FILE.png, got {args.out}")
    spec, lists = resolve_sources(args)
    records = read_list(lists[0], spec)
    decoder = choose_decoder(args.decoder) if spec.storage == "videos" else args.decoder
    settings = ClipSettings(**{name: getattr(args, name) for name in ClipSettings.__dataclass_fields__})
    clips = Clips(spec, VideoSource(spec, records, decoder), settings)
    cards = [clips.card(video) for video in choose_videos(args, len(records))]
    heading = (
        f"{spec.name}, {lists[0].name}: what the network sees, {args.num_segments} segments of "
        f"{FRAMES_PER_SEGMENT['msn']} frames, {args.input_size} x {args.input_size} pixels, seed {args.seed}"
    )
    image = Sheet(heading, cards, args.cell or min(args.input_size, 96)).image
    png = io.BytesIO()
    (image.quantize(256) if args.palette else image).save(png, format="png", optimize=True)
    write_atomically(args.out, png.getvalue())
    print(f"{args.out}: {image.width} x {image.height} pixels, {len(png.getvalue()) / 1000:.0f} kB")


if __name__ == "__main__":
    run_script(main)
