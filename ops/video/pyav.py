"""Frames of a video file with PyAV: exactly those asked for, and little work for others.

Frames are counted in order of presentation, from 0. Their places come from the times of their packets.
"""

import bisect
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ops.video.errors import MAX_FRAMES, MAX_PIXELS, VideoError, check_size, one_line


class PyAVReader:
    """A video file read with PyAV: a pass over the packets finds the frames' times, then what is needed is decoded.

    Key frames that lie between two wanted frames are jumped to, and what no other frame refers to is left out.
    """

    def __init__(self, path: Path) -> None:
        import av

        self.path = path
        self._error = av.error.FFmpegError
        try:
            self._container = av.open(str(path))
            # Containers and their streams refer to each other: left to the garbage collector, their memory piles up.
            weakref.finalize(self, self._container.close)
            self._stream = _picture_stream(path, self._container)
            self._stream.codec_context.thread_count = 1
            # One for all frames: to make one costs more than to use it. PyAV 17 and later would start threads for it.
            self._to_rgb = av.video.reformatter.VideoReformatter()
            self._one_thread = {"threads": 1} if int(av.__version__.split(".")[0]) >= 17 else {}
            packets = [p for p in self._container.demux(self._stream) if p.size]
        except (av.error.FFmpegError, IndexError, OSError, ValueError) as error:
            raise VideoError(f"{path}: expected a video that PyAV opens, got {one_line(error)}") from None
        announced = self._stream.frames
        if len(packets) < announced:
            raise VideoError(f"{path}: expected {announced} frames, as the file says, got {len(packets)} (cut off?)")
        shown = [p.pts for p in packets if not p.is_discard]
        self._length = len(shown)
        if self._length == 0:
            raise VideoError(f"{path}: expected a video with frames, got none")
        # AVI carries no presentation times, and raw streams none at all: their frames are counted from the start.
        timed = self._container.format.name != "avi" and None not in shown and len(set(shown)) == len(shown)
        timed = timed and any(p.is_keyframe for p in packets)
        self._packets = _PacketTable(packets, sorted(shown)) if timed else None

    def __len__(self) -> int:
        return self._length

    def get_frames(self, indices: np.ndarray) -> np.ndarray:
        found: dict[int, np.ndarray] = {}
        try:
            if self._packets is not None:
                for run in self._packets.runs(indices):
                    found |= self._decode_run(self._packets, run)
            if len(found) < len(indices):
                # Uncounted as yet, or of other times than their packets, or before the key frame that was found.
                found = self._decode_counting(indices)
        except (self._error, OSError, ValueError) as error:
            raise VideoError(f"{self.path}: expected frames {_range(indices)}, got {one_line(error)}") from None
        missing = [int(i) for i in indices if int(i) not in found]
        if missing:
            raise VideoError(f"{self.path}: expected frame {missing[0]} of {len(self)}, got none from the decoder")
        frames = [found[int(i)] for i in indices]
        for index, frame in zip(indices, frames, strict=True):
            if frame.shape != frames[0].shape:
                sizes = [f"{shape[1]}x{shape[0]}" for shape in (frames[0].shape, frame.shape)]
                raise VideoError(
                    f"{self.path}: expected frame {index} of {sizes[0]} pixels like frame {indices[0]}, got {sizes[1]}"
                )
        return np.stack(frames)

    def _decode_run(self, table: "_PacketTable", run: "_Run") -> dict[int, np.ndarray]:
        """The frames of a run that were found, by index."""
        context, found = self._stream.codec_context, {}
        self._container.seek(run.key_time, stream=self._stream, backward=True)
        for packet in self._container.demux(self._stream):
            context.skip_frame = "DEFAULT" if packet.pts in run.wanted else "NONREF"
            last = packet.size == 0 or table.position.get(packet.pts, -1) >= run.last
            for frame in packet.decode() + (context.decode(None) if last and packet.size else []):
                if frame.pts in run.wanted:
                    found[run.wanted[frame.pts]] = self._upright(frame)
            if last:
                break
        context.skip_frame = "DEFAULT"
        return found

    def _decode_counting(self, indices: np.ndarray) -> dict[int, np.ndarray]:
        """Frames by index, counted from the first on."""
        import av

        wanted, found = set(indices.tolist()), {}
        with av.open(str(self.path)) as container:
            stream = _picture_stream(self.path, container)
            stream.codec_context.thread_count = 1
            for index, frame in enumerate(container.decode(stream)):
                if index in wanted:
                    found[index] = self._upright(frame)
                if index >= indices[-1]:
                    break
        return found

    def _upright(self, frame: Any) -> np.ndarray:
        """A decoded frame as (H, W, 3) RGB, turned and mirrored as its file says, to the nearest quarter turn."""
        picture = self._to_rgb.reformat(frame, format="rgb24", **self._one_thread).to_ndarray()
        matrix = frame.side_data.get("DISPLAYMATRIX")
        if matrix is None:
            return picture
        a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()  # (x, y) is shown at (a x + c y, b x + d y)
        if abs(b) > abs(a):
            picture, a, d = picture.transpose(1, 0, 2), c, b  # (W, H, 3)
        return picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


class _Run(NamedTuple):
    """Frames that are decoded without a jump: from a key frame's time to the ``last`` packet; index of wanted times."""

    key_time: int
    last: int
    wanted: dict[int, int]


class _PacketTable:
    """Where the frames of a file are: packets in the order of decoding, times in the order of showing.

    Args:
        packets: PyAV's, each with a time.
        times: of the frames that are shown, sorted.
    """

    def __init__(self, packets: Sequence[Any], times: list[int]) -> None:
        self.times = times
        self.position = {p.pts: k for k, p in enumerate(packets)}
        self.keys = [k for k, p in enumerate(packets) if p.is_keyframe]
        self.key_times = [packets[k].pts for k in self.keys]

    def runs(self, indices: np.ndarray) -> list[_Run]:
        """How to decode the frames at sorted ``indices``."""
        runs: list[_Run] = []
        for index in indices.tolist():
            time = self.times[index]
            place = self.position[time]
            key = self._key_before(time, place)
            if not runs or self.keys[key] > runs[-1].last + 1:
                runs.append(_Run(self.key_times[key], place, {time: index}))
            else:
                runs[-1].wanted[time] = index
                runs[-1] = runs[-1]._replace(last=max(runs[-1].last, place))
        return runs

    def _key_before(self, time: int, place: int) -> int:
        """The last key frame that a frame can depend on: decoded and shown before it, or itself."""
        number = bisect.bisect_right(self.keys, place) - 1
        while number > 0 and self.key_times[number] > time:
            number -= 1
        return max(number, 0)


def announced_frames(path: Path) -> int:
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
        raise VideoError(f"{path}: expected a video, got {one_line(error)}") from None
    if max(announced, expected) > MAX_FRAMES:  # decord would end its process for want of memory
        raise VideoError(f"{path}: expected at most {MAX_FRAMES} frames, got {max(announced, expected)} announced")
    return announced


def _picture_stream(path: Path, container: Any) -> Any:
    """The first stream of pictures of a container that PyAV has opened, if it can be decoded and is not too large."""
    stream = container.streams.video[0]
    context = stream.codec_context
    if context is None:
        raise VideoError(f"{path}: expected a video with a decoder, got one of an unknown kind")
    check_size(path, context.width, context.height)
    context.options = {"max_pixels": str(MAX_PIXELS)}
    return stream


def _range(indices: np.ndarray) -> str:
    return f"{indices[0]} to {indices[-1]}"


def same_length(reader: PyAVReader, length: int, decoder: str) -> PyAVReader:
    """``reader``, if it counts the frames that another decoder has counted: indices would mean other frames."""
    if len(reader) != length:
        raise VideoError(f"{reader.path}: expected {length} frames as {decoder} counts, got {len(reader)} from PyAV")
    return reader
