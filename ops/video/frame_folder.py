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
        least_side: JPEG images may be decoded at 1/2, 1/4 or 1/8 of their size as long as their short side has so many
            pixels; None decodes all of them.
    """

    def __init__(self, folder: Path, num_frames: int, template: str, least_side: int | None = None) -> None:
        self.folder = folder
        self.num_frames = num_frames
        self.template = template
        self.least_side = least_side
        self.first = 0 if os.path.exists(folder / template.format(0)) else 1

    def __len__(self) -> int:
        return self.num_frames

    def get_frames(self, indices: np.ndarray) -> np.ndarray:
        paths = [self.folder / self.template.format(int(i) + self.first) for i in indices]
        first = _read_image(paths[0], self.folder, self.least_side)
        frames = np.empty((len(paths), *first.shape), dtype=np.uint8)
        frames[0] = first
        for frame, path in zip(frames[1:], paths[1:], strict=True):
            image = _read_image(path, self.folder, self.least_side)
            if image.shape != first.shape:
                raise VideoError(f"{path}: expected {_size(first)} pixels like {paths[0].name}, got {_size(image)}")
            frame[:] = image
        return frames


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"


def _read_image(path: Path, folder: Path, least_side: int | None) -> np.ndarray:
    try:
        with Image.open(path) as image:
            check_size(path, *image.size)
            if least_side is not None:  # libjpeg leaves out what is not needed, if it is a JPEG image
                part = next((part for part in (8, 4, 2) if min(image.size) // part >= least_side), 1)
                image.draft(None, (image.size[0] // part, image.size[1] // part))
            return np.asarray(image.convert("RGB"))
    except FileNotFoundError:
        if not os.path.isdir(folder):
            raise VideoError(f"{folder}: expected a folder of images, got nothing there") from None
        raise VideoError(f"{path}: expected an image, got nothing there") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise VideoError(f"{path}: expected an image, got {one_line(error)}") from None
