"""Frames of a video by index: folders of images and video files, behind one small interface.

Decoders: PyAV (default), decord and torchcodec. They count frames alike, in the order in which plain decoding
gives them, from 0.
"""

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from ops.runtime import InputError, get_logger
from ops.video.decord import DecordReader
from ops.video.errors import VideoError, check_size, one_line
from ops.video.pyav import PyAVReader
from ops.video.torchcodec import TorchCodecReader

DECODERS = {"pyav": "av", "decord": "decord", "torchcodec": "torchcodec.decoders"}  # by name: what must be importable


class Reader(Protocol):
    """An opened video."""

    def __len__(self) -> int: ...

    def get_frames(self, indices: np.ndarray) -> np.ndarray:
        """Frames at sorted, distinct ``indices`` (F,), from 0, as (F, H, W, 3) uint8 RGB.

        Raises:
            VideoError: a frame cannot be read.
        """
        ...


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


def _is_missing(name: str) -> str | None:
    """What is missing for a decoder, None where it is installed and loads."""
    package = DECODERS[name].split(".")[0]
    try:
        module = importlib.import_module(DECODERS[name])
        # torchcodec loads FFmpeg's shared libraries on import, but says so only here if there are none.
        loads = getattr(sys.modules[package], "ffmpeg_major_version", module) is not None
    except ModuleNotFoundError:
        return f"the package {package}: python -m pip install {package}"
    except (ImportError, OSError, RuntimeError):
        loads = False
    if loads:
        return None
    if name == "torchcodec":
        return (
            "FFmpeg's shared libraries, which its package does not include (on Debian and Ubuntu: apt-get install "
            "ffmpeg)"
        )
    return f"a package {package} that can be imported"


def choose_decoder(name: str) -> str:
    """The decoder that was asked for; PyAV stands in for decord, which has wheels for x86-64 only.

    Raises:
        InputError: it is not installed, or libraries that it needs are not.
    """
    missing = _is_missing(name)
    if missing is None:
        return name
    if name == "decord":
        get_logger().warning("decord is not installed (it has wheels for x86-64 only): videos are read with PyAV")
        return choose_decoder("pyav")
    raise InputError(f"--decoder {name} needs {missing}; or choose --decoder pyav")


def open_video(path: Path, decoder: str) -> Reader:
    """Open a video file.

    Raises:
        VideoError: it is not there or not a video.
    """
    if not os.path.isfile(path):
        raise VideoError(f"{path}: expected a video file, got {'a folder' if os.path.isdir(path) else 'nothing there'}")
    readers: dict[str, Callable[[Path], Reader]] = {
        "pyav": PyAVReader,
        "decord": DecordReader,
        "torchcodec": TorchCodecReader,
    }
    reader = readers[decoder](path)
    if len(reader) < 1:
        raise VideoError(f"{path}: expected a video with frames, got none")
    return reader


def read_frames(reader: Reader, indices: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frames at any ``indices``, each decoded once, in one call.

    Returns:
        The distinct frames (U, H, W, 3) in order of time; for each index its place among them, shaped as ``indices``.
    """
    wanted = np.asarray(indices)
    distinct, places = np.unique(wanted, return_inverse=True)
    return reader.get_frames(distinct), places.reshape(wanted.shape)
