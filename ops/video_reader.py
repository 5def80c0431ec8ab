"""Frames of a video by index: folders of images and video files, behind one small interface.

Decoders: decord (default) and PyAV. They count frames alike, in order of presentation, from 0.
"""

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from PIL import Image

from ops.errors import InputError
from ops.logger import get_logger

DECODERS = ("auto", "decord", "pyav")
MAX_PIXELS = 2**25  # of a picture: all that 8K has; a clip of larger ones would fill the memory of most machines

MAX_FRAMES = 10**8  # of a video


class VideoError(Exception):
    """A video that cannot be read: the message names the file and says why."""


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


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise VideoError(f"{path}: expected pictures of at most {MAX_PIXELS} pixels, got {width}x{height}")


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"


def _read_image(path: Path, folder: Path) -> np.ndarray:
    try:
        with Image.open(path) as image:
            _check_size(path, *image.size)
            return np.asarray(image.convert("RGB"))
    except FileNotFoundError:
        if not os.path.isdir(folder):
            raise VideoError(f"{folder}: expected a folder of images, got nothing there") from None
        raise VideoError(f"{path}: expected an image, got nothing there") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise VideoError(f"{path}: expected an image, got {_one_line(error)}") from None


class DecordReader:
    """A video file read with decord, from its first frame on; frames that it fails on are read with PyAV.

    decord 0.6 seeks to wrong frames where B-frames meet AVI, MPEG-4 or open groups of pictures, so it does not seek. It
    hands over pictures of some widths (48 and 72 pixels, for example) with four channels and their rows mixed up.
    """

    def __init__(self, path: Path) -> None:
        import decord

        self.path = path
        self._error = decord.DECORDError
        announced = _announced_frames(path)
        try:
            self._reader = decord.VideoReader(str(path), num_threads=1)
            self._length = len(self._reader)
        except (decord.DECORDError, RuntimeError) as error:
            raise VideoError(f"{path}: expected a video that decord opens, got {_one_line(error)}") from None
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
        except (self._error, RuntimeError, IndexError):
            return PyAVReader(self.path).get_frames(indices)
        return frames if frames.shape[3] == 3 else PyAVReader(self.path).get_frames(indices)


def _announced_frames(path: Path) -> int:
    """Frames that the header of a video file announces, 0 where it does not tell; the header alone is read.

    Raises:
        VideoError: the header is damaged, or announces pictures that are too large.
    """
    import av

    try:
        with av.open(str(path)) as container:
            stream = _picture_stream(path, container)
            rate = max(stream.average_rate or 0, stream.guessed_rate or 0)
            seconds = max((stream.duration or 0) * (stream.time_base or 0), (container.duration or 0) / av.time_base)
            announced, expected = stream.frames, int(seconds * rate)
    except (av.error.FFmpegError, IndexError, OSError, ValueError) as error:
        raise VideoError(f"{path}: expected a video, got {_one_line(error)}") from None
    if max(announced, expected) > MAX_FRAMES:  # decord would end its process for want of memory
        raise VideoError(f"{path}: expected at most {MAX_FRAMES} frames, got {max(announced, expected)} announced")
    return announced


def _picture_stream(path: Path, container: Any) -> Any:
    """The first stream of pictures of a container that PyAV has opened, if it can be decoded and is not too large."""
    stream = container.streams.video[0]
    context = stream.codec_context
    if context is None:
        raise VideoError(f"{path}: expected a video with a decoder, got one of an unknown kind")
    _check_size(path, context.width, context.height)
    context.options = {"max_pixels": str(MAX_PIXELS)}
    return stream


class PyAVReader:
    """A video file read with PyAV: one pass over the packets finds the frames' times, then seeks go by time."""

    def __init__(self, path: Path) -> None:
        import av

        self.path = path
        self._error = av.error.FFmpegError
        try:
            with av.open(str(path)) as container:
                stream = _picture_stream(path, container)
                packets = [p for p in container.demux(stream) if p.size]
                times = [p.pts for p in packets if not p.is_discard]
                announced, timed = stream.frames, container.format.name != "avi"
        except (av.error.FFmpegError, IndexError, OSError, ValueError) as error:
            raise VideoError(f"{path}: expected a video that PyAV opens, got {_one_line(error)}") from None
        if len(packets) < announced:
            raise VideoError(f"{path}: expected {announced} frames, as the file says, got {len(packets)} (cut off?)")
        known = {t for t in times if t is not None}
        # AVI carries no presentation times, and raw streams none at all: their frames are counted from the start.
        timed = timed and len(known) == len(times)
        self._times = np.array(sorted(known), dtype=np.int64) if timed else None
        self._length = len(times)
        if self._length == 0:
            raise VideoError(f"{path}: expected a video with frames, got none")

    def __len__(self) -> int:
        return self._length

    def get_frames(self, indices: np.ndarray) -> np.ndarray:
        found = self._decode(indices, self._times)
        if len(found) < len(indices) and self._times is not None:
            # What is shown before the key frame that a seek found, or has other times than its packet.
            found = self._decode(indices, None)
        missing = [int(i) for i in indices if int(i) not in found]
        if missing:
            raise VideoError(f"{self.path}: expected frame {missing[0]} of {len(self)}, got none from the decoder")
        return np.stack([found[int(i)] for i in indices])

    def _decode(self, indices: np.ndarray, times: np.ndarray | None) -> dict[int, np.ndarray]:
        """Frames that were found, by index: by time from the nearest key frame, or counted from the start."""
        import av

        wanted, found = set(indices.tolist()), {}
        try:
            with av.open(str(self.path)) as container:
                stream = _picture_stream(self.path, container)
                stream.codec_context.thread_count = 1
                if times is not None:
                    container.seek(int(times[indices[0]]), stream=stream, backward=True)
                for count, frame in enumerate(container.decode(stream)):
                    index = count if times is None else self._index_of(frame.pts, times)
                    if index in wanted:
                        found[index] = _upright(frame)
                    if index >= indices[-1]:
                        break
        except (self._error, OSError, ValueError) as error:
            raise VideoError(f"{self.path}: expected frames {_range(indices)}, got {_one_line(error)}") from None
        return found

    @staticmethod
    def _index_of(time: int | None, times: np.ndarray) -> int:
        """Place of a frame's time among ``times``; -1 where it is not among them."""
        if time is None:
            return -1
        index = int(np.searchsorted(times, time))
        return index if index < len(times) and times[index] == time else -1


def _upright(frame: Any) -> np.ndarray:
    """A decoded frame as (H, W, 3) RGB, turned and mirrored as its file says, to the nearest quarter turn."""
    picture = frame.to_ndarray(format="rgb24")
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return picture
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()  # (x, y) is shown at (a x + c y, b x + d y)
    if abs(b) > abs(a):
        picture, a, d = picture.transpose(1, 0, 2), c, b  # (W, H, 3)
    return picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


def _range(indices: np.ndarray) -> str:
    return f"{indices[0]} to {indices[-1]}"


def _one_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1].strip() if len(lines) == 1 else lines[0].strip()


def _import_or_none(name: str) -> ModuleType | None:
    if importlib.util.find_spec(name) is None:
        return None
    try:
        return importlib.import_module(name)
    except (ImportError, OSError, RuntimeError):
        return None


def choose_decoder(name: str) -> str:
    """``decord`` or ``pyav`` from what was asked for; ``auto`` is decord where it is installed."""
    if name == "auto":
        if _import_or_none("decord") is not None:
            return "decord"
        get_logger().warning("decord is not installed (it has wheels for x86-64 only): videos are read with PyAV")
        name = "pyav"
    if _import_or_none({"decord": "decord", "pyav": "av"}[name]) is None:
        raise InputError(f"expected the package of --decoder {name} to be installed, got no such package")
    return name


def open_video(path: Path, decoder: str) -> Reader:
    """Open a video file.

    Raises:
        VideoError: it is not there or not a video.
    """
    if not os.path.isfile(path):
        raise VideoError(f"{path}: expected a video file, got {'a folder' if os.path.isdir(path) else 'nothing there'}")
    reader: Reader = DecordReader(path) if decoder == "decord" else PyAVReader(path)
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
