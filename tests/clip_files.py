"""Image folders, pictures and data sets for the tests of reading and cropping; videos come from tests/media.py."""

from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from ops.data.dataset_config import DatasetSpec
from tests import media


def write_folder(
    folder: Path, num_frames: int, template: str = "{:05d}.png", first: int = 1, size: tuple[int, int] = (64, 48)
) -> Path:
    """Numbered pictures as images; the one that shows 0 is named with ``first``."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(num_frames):
        Image.fromarray(media.numbered_picture(number, *size)).save(folder / template.format(number + first))
    return folder


def write_broken(path: Path) -> Path:
    """A file that is called a video and is text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("This is not a video.\n" * 100)
    return path


def with_options(path: Path, new: Path, **options: str) -> Path:
    """The same packets in a container of other options, such as the index in front (movflags="faststart")."""
    with av.open(str(path)) as source, av.open(str(new), "w", container_options=options) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return new


def natural_picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Something like a photograph (height, width, 3): shading, shapes with hard edges, waves, and sensor noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    y, x = y / height, x / width
    channels = []
    for _ in range(3):
        a, b, c, d = rng.uniform(-1, 1, 4)
        picture = 120 + 70 * (a * x + b * y) + 40 * np.sin(20 * x * x + 15 * c * y) * np.cos(9 * y + 4 * d)
        for shape in range(6):
            dx, dy, radius = x - rng.random(), y - rng.random(), rng.uniform(0.03, 0.25)
            inside = np.hypot(dx, dy) < radius if shape % 2 else np.maximum(abs(dx), abs(dy)) < radius
            picture = np.where(inside, rng.uniform(0, 255), picture)
        channels.append(picture + rng.normal(0, 12, picture.shape))
    return np.stack(channels, axis=2).clip(0, 255).astype(np.uint8)


def make_spec(root: Path, storage: str = "videos", num_classes: int = 4, **changes: Any) -> DatasetSpec:
    """A data set under ``root`` with lists train.txt and val.txt."""
    values = {
        "name": "tiny",
        "storage": storage,
        "num_classes": num_classes,
        "root": root,
        "train_list": root / "train.txt",
        "val_list": root / "val.txt",
        "image_tmpl": "{:05d}.png",
    }
    return DatasetSpec(**values | changes)
