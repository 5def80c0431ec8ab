"""Clips of the synthetic data set `motion`: what decides them, and their two forms on disk."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ops.motion_set.scenes import MINIMUM_SIDE, Scene
from ops.motion_set.tracks import CLASSES
from ops.preparation import discard
from ops.runtime import InputError, temporary_path

FORMAT = 1  # raised when the same settings no longer give the same clips
SPLITS = ("train", "val")


@dataclass(frozen=True)
class RenderConfig:
    """What to render, and where; render_motion.py --help says what each setting is.

    Raises:
        InputError: a value cannot be rendered.
    """

    out: Path = Path("data/motion")
    classes: str = "local"
    train: int = 800
    val: int = 160
    frames: int = 48
    width: int = 80
    height: int = 80
    fps: int = 24
    seed: int = 0
    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)

    def __post_init__(self) -> None:
        if self.classes not in CLASSES:
            raise InputError(f"--classes: expected one of {', '.join(CLASSES)}, got {self.classes}")
        least = {"train": 1, "val": 1, "frames": 3, "fps": 1, "seed": 0, "jobs": 1}
        for name, smallest in {**least, "width": MINIMUM_SIDE, "height": MINIMUM_SIDE}.items():
            if getattr(self, name) < smallest:
                raise InputError(f"--{name}: expected {smallest} or more, got {getattr(self, name)}")
        for name in ("width", "height"):
            if getattr(self, name) % 2:
                raise InputError(f"--{name}: expected an even number, got {getattr(self, name)}")

    @property
    def names(self) -> tuple[str, ...]:
        """Class names; the position is the label."""
        return CLASSES[self.classes]

    @property
    def clips(self) -> list[Clip]:
        """Every clip of the data set, in list order, training first."""
        return [Clip(self, split, index) for split in SPLITS for index in range(getattr(self, split))]

    def settings(self) -> dict[str, int | str]:
        """What decides the content of the data set, as saved in render.json."""
        keys = ("classes", "train", "val", "frames", "width", "height", "fps", "seed")
        return {"format": FORMAT, **{key: getattr(self, key) for key in keys}}


@dataclass(frozen=True)
class Clip:
    """One clip of the data set: its place in the lists and on disk, and its frames."""

    config: RenderConfig
    split: str
    index: int

    @property
    def label(self) -> int:
        """Position of the class in the class names."""
        return self.index % len(self.config.names)

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.video

    @property
    def video(self) -> str:
        """Path of the video, below the folder of the data set."""
        return f"videos/{self.split}/{self.index:05d}.mp4"

    @property
    def folder(self) -> str:
        """Path of the frames, below the folder of the data set."""
        return f"frames/{self.split}/{self.index:05d}"

    def pictures(self) -> Iterator[NDArray[np.uint8]]:
        """Yields the frames, (H, W, 3) RGB."""
        config = self.config
        rng = np.random.default_rng((config.seed, SPLITS.index(self.split), self.index))
        scene = Scene.draw(rng, config.width, config.height)
        return scene.play(config.names[self.label], config.frames, rng)

    def is_finished(self) -> bool:
        """Whether both forms are on disk, with every frame in the folder."""
        folder = self.config.out / self.folder
        if not (self.config.out / self.video).is_file() or not folder.is_dir():
            return False
        return sum(name.endswith(".jpg") for name in os.listdir(folder)) == self.config.frames

    def write(self) -> None:
        """Renders the clip into both forms; each appears under its name only when complete."""
        pictures = list(self.pictures())
        write_frames(self.config.out / self.folder, pictures)
        write_video(self.config.out / self.video, pictures, self.config.fps)

    def clean_up(self) -> None:
        """Removes what an attempt that did not succeed has left."""
        for path in (self.folder, self.video):
            discard(temporary_path(self.config.out / path))


def write_frames(folder: Path, pictures: Sequence[NDArray[np.uint8]]) -> None:
    """Writes (H, W, 3) pictures as 00001.jpg, 00002.jpg, ... into `folder`, replacing it."""
    unfinished = temporary_path(folder)
    for leftover in (unfinished, folder):
        discard(leftover)
    unfinished.mkdir(parents=True)
    for number, picture in enumerate(pictures, start=1):
        Image.fromarray(picture).save(unfinished / f"{number:05d}.jpg", quality=95)
    unfinished.rename(folder)


def write_video(path: Path, pictures: Sequence[NDArray[np.uint8]], fps: int) -> None:
    """Writes (H, W, 3) pictures as an H.264 video: the same bytes on every processor."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without the last, x264 writes other bytes from run to run where it finds AVX-512.
    options = {"crf": "18", "preset": "veryfast", "threads": "1", "x264-params": "cpu-independent=1"}
    with av.open(str(temporary_path(path)), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps, options=options)
        stream.height, stream.width, _ = pictures[0].shape
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    temporary_path(path).replace(path)
