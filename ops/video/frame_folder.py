"""Frames of a video that lies as a folder of images."""

import os
from pathlib import Path

import numpy as np
from PIL import Image

from ops.video.errors import VideoError, check_size, one_line


class FrameFolder:
    """A folder of images, numbered from 1, or from 0 where image 0 exists.

    Args:
        folder: where the images are.
        num_frames: how many there are, as the list says.
        template: ``str.format`` template of an image's name.
    """

    def __init__(self, folder: Path, num_frames: int, template: str) -> None:
        self.folder = folder
        self.num_frames = num_frames
        self.template = template
        self.first = 0 if os.path.exists(folder / template.format(0)) else 1

    def __len__(self) -> int:
        return self.num_frames

    def get_frames(self, indices: np.ndarray) -> np.ndarray:
        paths = [self.folder / self.template.format(int(i) + self.first) for i in indices]
        first = _read_image(paths[0], self.folder)
        frames = np.empty((len(paths), *first.shape), dtype=np.uint8)
        frames[0] = first
        for frame, path in zip(frames[1:], paths[1:], strict=True):
            image = _read_image(path, self.folder)
            if image.shape != first.shape:
                raise VideoError(f"{path}: expected {_size(first)} pixels like {paths[0].name}, got {_size(image)}")
            frame[:] = image
        return frames


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"


def _read_image(path: Path, folder: Path) -> np.ndarray:
    try:
        with Image.open(path) as image:
            check_size(path, *image.size)
            return np.asarray(image.convert("RGB"))
    except FileNotFoundError:
        if not os.path.isdir(folder):
            raise VideoError(f"{folder}: expected a folder of images, got nothing there") from None
        raise VideoError(f"{path}: expected an image, got nothing there") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise VideoError(f"{path}: expected an image, got {one_line(error)}") from None
