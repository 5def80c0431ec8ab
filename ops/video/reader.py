"""Frames of a video by index: folders of images and video files, behind one small interface.

Decoders: PyAV (default), decord and torchcodec. They count frames alike, in the order in which plain decoding
gives them, from 0.
"""

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from ops.runtime import InputError, get_logger
from ops.video.decord import DecordReader
from ops.video.errors import VideoError
from ops.video.index.packet_index import PacketIndex
from ops.video.pyav import PyAVReader
from ops.video.torchcodec import TorchCodecReader
from ops.video.upright import Cut

DECODERS = {"pyav": "av", "decord": "decord", "torchcodec": "torchcodec.decoders"}  # by name: what must be importable


class Reader(Protocol):
    """An opened video."""

    def __len__(self) -> int: ...

    def get_frames(self, indices: np.ndarray) -> np.ndarray:
        """Frames at sorted, distinct ``indices`` (F,), from 0, as (F, H, W, 3) uint8 RGB.

        Or, where the video was opened so, as (F, 3H/2, W) uint8 YUV.

        Raises:
            VideoError: a frame cannot be read.
        """
        ...


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


def open_video(path: Path, decoder: str, index: PacketIndex | None = None, pixels: str = "rgb") -> Reader:
    """Open a video file.

    Args:
        path: the file.
        decoder: a key of DECODERS.
        index: of the packets of the list that it is in.
        pixels: ``rgb``, or ``yuv``, which PyAV alone reads.

    Raises:
        VideoError: it is not there or not a video.
    """
    if not os.path.isfile(path):
        raise VideoError(f"{path}: expected a video file, got {'a folder' if os.path.isdir(path) else 'nothing there'}")
    readers: dict[str, Callable[[Path, PacketIndex | None], Reader]] = {
        "pyav": partial(PyAVReader, pixels=pixels),
        "decord": DecordReader,
        "torchcodec": TorchCodecReader,
    }
    reader = readers[decoder](path, index)
    if len(reader) < 1:
        raise VideoError(f"{path}: expected a video with frames, got none")
    return reader


def read_frames(
    reader: Reader, indices: Sequence[int] | np.ndarray, cut: Cut | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Frames at any ``indices``, each decoded once, in one call; of a PyAVReader's only the part that ``cut`` says.

    Returns:
        The distinct frames (U, H, W, 3) in order of time; for each index its place among them, shaped as ``indices``.
    """
    wanted = np.asarray(indices)
    distinct, places = np.unique(wanted, return_inverse=True)
    if cut is not None and isinstance(reader, PyAVReader):
        frames = reader.get_frames(distinct, cut)
    else:
        frames = reader.get_frames(distinct)
    return frames, places.reshape(wanted.shape)
