#!/usr/bin/env python3
"""Renders the synthetic data set `motion`, as videos and as frame folders, with lists in both forms.

    python scripts/render_motion.py --out data/motion

The class of a clip is how something moves; no single frame tells it (motion_scenes.py says why). Clip i of a
split has class i modulo the number of classes and depends on (seed, split, i) alone, not on the number of
processes. A run that was interrupted goes on where it stopped; a complete folder is left alone.

    OUT/render.json                                   the settings
    OUT/videos/train/00000.mp4                        likewise val
    OUT/frames/train/00000/00001.jpg                  likewise val
    OUT/train_videos.txt  val_videos.txt              videos/train/00000.mp4 LABEL
    OUT/train_frames.txt  val_frames.txt              frames/train/00000 FRAMES LABEL
    OUT/classes.txt                                   one name a line, label 0 first
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import av
import numpy as np
from motion_scenes import CLASSES, MINIMUM_SIDE, Scene
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

FORMAT = 1  # raised when the same settings no longer give the same clips
SPLITS = ("train", "val")
HELP = {
    "out": "folder of the data set",
    "classes": "local (8 directions), order (6 sequences of two) or all (14)",
    "train": "training clips",
    "val": "validation clips",
    "frames": "frames a clip",
    "width": "width in pixels, even",
    "height": "height in pixels, even",
    "fps": "frames a second of the videos",
    "seed": "seed of everything that is random",
    "jobs": "processes; the clips do not depend on it",
}


class FolderError(Exception):
    """The folder holds something else than an earlier run with the same settings."""


@dataclass(frozen=True)
class RenderConfig:
    """What to render, and where; HELP says what each setting is.

    Raises ValueError for values that cannot be rendered.
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
            raise ValueError(f"--classes: expected one of {', '.join(CLASSES)}, got {self.classes}")
        least = {"train": 1, "val": 1, "frames": 3, "fps": 1, "seed": 0, "jobs": 1}
        for name, smallest in {**least, "width": MINIMUM_SIDE, "height": MINIMUM_SIDE}.items():
            if getattr(self, name) < smallest:
                raise ValueError(f"--{name}: expected {smallest} or more, got {getattr(self, name)}")
        for name in ("width", "height"):
            if getattr(self, name) % 2:
                raise ValueError(f"--{name}: expected an even number, got {getattr(self, name)}")

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


def temporary(path: Path) -> Path:
    """Hidden name beside `path` for what is not complete yet."""
    return path.with_name(f".{path.name}.tmp")


def write_frames(folder: Path, pictures: Sequence[NDArray[np.uint8]]) -> None:
    """Writes (H, W, 3) pictures as 00001.jpg, 00002.jpg, ... into `folder`, replacing it."""
    unfinished = temporary(folder)
    for leftover in (unfinished, folder):
        if leftover.exists():
            shutil.rmtree(leftover)
    unfinished.mkdir(parents=True)
    for number, picture in enumerate(pictures, start=1):
        Image.fromarray(picture).save(unfinished / f"{number:05d}.jpg", quality=95)
    unfinished.rename(folder)


def write_video(path: Path, pictures: Sequence[NDArray[np.uint8]], fps: int) -> None:
    """Writes (H, W, 3) pictures as an H.264 video."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"crf": "18", "preset": "veryfast", "threads": "1"}
    with av.open(str(temporary(path)), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps, options=options)
        stream.height, stream.width, _ = pictures[0].shape
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    temporary(path).replace(path)


def write_text(path: Path, lines: Sequence[str]) -> None:
    """Writes a text file that is complete whenever it exists."""
    temporary(path).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    temporary(path).replace(path)


def list_files(config: RenderConfig) -> dict[str, list[str]]:
    """Lines of every list file, by file name."""
    lists = {"classes.txt": list(config.names)}
    for split in SPLITS:
        clips = [clip for clip in config.clips if clip.split == split]
        lists[f"{split}_videos.txt"] = [f"{clip.video} {clip.label}" for clip in clips]
        lists[f"{split}_frames.txt"] = [f"{clip.folder} {config.frames} {clip.label}" for clip in clips]
    return lists


def read_settings(path: Path) -> dict[str, int | str]:
    """The settings an earlier run left in its render.json."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FolderError(f"{path}: expected JSON, got {error}") from error
    if not isinstance(found, dict):
        raise FolderError(f"{path}: expected a JSON object, got {found!r}")
    return found


def claim_folder(config: RenderConfig) -> None:
    """Makes the folder and its render.json, or checks that what is there was made with these settings."""
    path = config.out / "render.json"
    if path.exists():
        found = read_settings(path)
        for key, value in config.settings().items():
            if found.get(key) != value:
                raise FolderError(f"{path}: expected {key} {found.get(key)} as rendered there, got {value}")
        return
    foreign = [name for name in ("videos", "frames", *list_files(config)) if (config.out / name).exists()]
    if foreign:
        raise FolderError(f"{config.out}: expected render.json beside {foreign[0]}, got none")
    config.out.mkdir(parents=True, exist_ok=True)
    write_text(path, [json.dumps(config.settings(), indent=2)])


def prepare_worker() -> None:
    """Leaves Ctrl-C to the parent, and ends this process when the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> NoReturn:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def render_clips(clips: Sequence[Clip], jobs: int) -> None:
    """Writes the clips with `jobs` processes, showing progress on a terminal."""
    with tqdm(total=len(clips), unit="clip", disable=None) as progress:
        if jobs == 1:
            for clip in clips:
                clip.write()
                progress.update()
            return
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(jobs, mp_context=context, initializer=prepare_worker) as pool:
            try:
                for done in as_completed([pool.submit(clip.write) for clip in clips]):
                    done.result()
                    progress.update()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def render(config: RenderConfig) -> str:
    """Renders what is missing, then writes the lists. Returns one line that says what was done."""
    started = time.monotonic()
    claim_folder(config)
    clips = config.clips
    missing = [clip for clip in clips if not clip.is_finished()]
    lists = list_files(config)
    unlisted = [name for name in lists if not (config.out / name).exists()]
    if not missing and not unlisted:
        return f"nothing to render: {config.out} is complete ({len(clips)} clips of {config.frames} frames)"
    render_clips(missing, min(config.jobs, len(missing)) or 1)
    for name, lines in lists.items():
        write_text(config.out / name, lines)
    kept = f" ({len(clips) - len(missing)} were there)" if len(missing) < len(clips) else ""
    frames, seconds = len(missing) * config.frames, time.monotonic() - started
    return f"rendered {len(missing)} clips{kept}, {frames} frames in {seconds:.1f} s: {config.out}"


def preview(config: RenderConfig, path: Path) -> str:
    """Draws a contact sheet: a row a class, eight frames of its first clip. Returns one line."""
    first = np.linspace(0, config.frames, 4, endpoint=False).astype(int)  # (4,)
    times = np.minimum(np.stack([first, first + 4], axis=1), config.frames - 1).ravel()  # (8,)
    font = ImageFont.load_default(13)
    left, top, gap = 130, 20, 2
    wide, high = config.width + gap, config.height + gap
    sheet = Image.new("RGB", (left + wide * len(times), top + high * len(config.names)), "white")
    pen = ImageDraw.Draw(sheet)
    for column, number in enumerate(times):
        pen.text((left + column * wide, 3), f"frame {number + 1}", "black", font)
    for row, name in enumerate(config.names):
        pen.text((4, top + row * high + config.height // 2 - 8), name, "black", font)
        pictures = list(Clip(config, "train", row).pictures())
        for column, number in enumerate(times):
            sheet.paste(Image.fromarray(pictures[number]), (left + column * wide, top + row * high))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(temporary(path), format="png")
    temporary(path).replace(path)
    return f"drew {len(config.names)} classes: {path}"


class OneLineParser(argparse.ArgumentParser):
    """Reports a wrong command line in one line."""

    def error(self, message: str) -> NoReturn:
        """Prints `message` and exits with status 2."""
        self.exit(2, f"{self.prog}: error: {message}\n")


def parse_command_line(arguments: Sequence[str] | None) -> tuple[RenderConfig, Path | None]:
    """The settings, and where to draw the contact sheet if one is asked for."""
    parser = OneLineParser(description="Renders the synthetic data set `motion`.", allow_abbrev=False)
    defaults = RenderConfig()
    for name, text in HELP.items():
        flags = ["-j", "--jobs"] if name == "jobs" else [f"--{name}"]
        default = getattr(defaults, name)
        kind = Path if name == "out" else type(default)
        parser.add_argument(*flags, type=kind, default=default, help=f"{text} (default: {default})")
    parser.add_argument("--preview", type=Path, metavar="PNG", help="draw a contact sheet, and no data set")
    values = vars(parser.parse_args(arguments))
    png = values.pop("preview")
    try:
        return RenderConfig(**values), png
    except ValueError as error:
        parser.error(str(error))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    config, png = parse_command_line(arguments)
    try:
        print(preview(config, png) if png else render(config))
    except KeyboardInterrupt:
        print(f"interrupted: the same command goes on where {config.out} stopped", file=sys.stderr)
        return 130
    except FolderError as error:
        print(f"render_motion.py: error: {error}", file=sys.stderr)
        return 2
    except BrokenProcessPool:
        message = "expected every process to finish, one was killed; the same command goes on"
        print(f"render_motion.py: error: {config.out}: {message}", file=sys.stderr)
        return 2
    except (OSError, av.FFmpegError) as error:
        place = png or config.out
        print(f"render_motion.py: error: {place}: expected a place to write, got {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
