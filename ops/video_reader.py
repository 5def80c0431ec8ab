"""Frames of a video by index: folders of images and video files, behind one small interface.

Decoders: PyAV (default), decord and torchcodec. They count frames alike, in order of presentation, from 0.
"""

import importlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Protocol

import numpy as np
from PIL import Image

from ops.errors import InputError
from ops.logger import get_logger
from ops.pyav_reader import PyAVReader, announced_frames
from ops.video_errors import VideoError, check_size, one_line

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


class DecordReader:
    """A video file read with decord, from its first frame on; frames that it fails on are read with PyAV.

    decord 0.6 seeks to wrong frames where B-frames meet AVI, MPEG-4 or open groups of pictures, so it does not seek. It
    hands over pictures of some widths (48 and 72 pixels, for example) with four channels and their rows mixed up.
    """

    def __init__(self, path: Path) -> None:
        import decord

        self.path = path
        self._error = decord.DECORDError
        decord.logging.set_level(decord.logging.QUIET)  # what FFmpeg says of damage goes to nobody's terminal
        announced = announced_frames(path)
        try:
            self._reader = decord.VideoReader(str(path), num_threads=1)
            self._length = len(self._reader)
        except (decord.DECORDError, RuntimeError) as error:
            raise VideoError(f"{path}: expected a video that decord opens, got {one_line(error)}") from None
        if self._length < announced:  # decord takes a file that was cut off for a shorter one; PyAV can tell
            PyAVReader(path)

    def __len__(self) -> int:
        return self._length

    def get_frames(self, indices: np.ndarray) -> np.ndarray:
        wanted = set(indices.tolist())
        try:
            self._reader.seek(0)
            passing = (self._reader.next() for _ in range(int(indices[-1]) + 1))
            frames = np.stack([frame.asnumpy() for i, frame in enumerate(passing) if i in wanted])
        except (self._error, RuntimeError, IndexError, ValueError):
            return self._by_pyav(indices)
        return frames if frames.shape[3] == 3 else self._by_pyav(indices)

    def _by_pyav(self, indices: np.ndarray) -> np.ndarray:
        return _same_length(PyAVReader(self.path), len(self), "decord").get_frames(indices)


def _same_length(reader: PyAVReader, length: int, decoder: str) -> PyAVReader:
    """``reader``, if it counts the frames that another decoder has counted: indices would mean other frames."""
    if len(reader) != length:
        raise VideoError(f"{reader.path}: expected {length} frames as {decoder} counts, got {len(reader)} from PyAV")
    return reader


class TorchCodecReader:
    """A video file read with torchcodec; AVI, whose frames it numbers otherwise, and what it fails on, with PyAV."""

    def __init__(self, path: Path) -> None:
        from torchcodec.decoders import VideoDecoder

        self.path = path
        self._instead: PyAVReader | None = None
        announced = announced_frames(path)
        try:
            self._decoder = VideoDecoder(str(path), seek_mode="exact", num_ffmpeg_threads=1, dimension_order="NHWC")
            self._length = len(self._decoder)
        except (RuntimeError, ValueError) as error:
            raise VideoError(f"{path}: expected a video that torchcodec opens, got {one_line(error)}") from None
        if self._length < announced or path.suffix.lower() == ".avi":
            self._instead = PyAVReader(path)
            self._length = len(self._instead)

    def __len__(self) -> int:
        return self._length

    def get_frames(self, indices: np.ndarray) -> np.ndarray:
        if self._instead is None:
            try:
                return self._decoder.get_frames_at(indices.tolist()).data.numpy()
            except (RuntimeError, IndexError):
                self._instead = _same_length(PyAVReader(self.path), len(self), "torchcodec")
        return self._instead.get_frames(indices)


def _import_or_none(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except (ImportError, OSError, RuntimeError):
        return None


def choose_decoder(name: str) -> str:
    """The decoder that was asked for; PyAV stands in for decord, which has wheels for x86-64 only."""
    if _import_or_none(DECODERS[name]) is not None:
        return name
    if name == "decord":
        get_logger().warning("decord is not installed (it has wheels for x86-64 only): videos are read with PyAV")
        return choose_decoder("pyav")
    raise InputError(f"expected the package of --decoder {name} to be installed and to load, got none that does")


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
