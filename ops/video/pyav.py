"""Frames of a video file with PyAV: exactly those that decoding it from end to end gives, and little work for others.

Frames are counted in the order in which the decoder gives them, from 0.
"""

import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ops.video.container import is_cut_off, open_container, picture_stream
from ops.video.errors import VideoError, one_line
from ops.video.frame_index import Known, Places, Run, find_places, recall, remember

KEPT_BYTES = 2**26  # of decoded pictures that an opened file may hold: all of a clip as data sets have them in AVI


class PyAVReader:
    """A video file read with PyAV.

    Where its headers tell for certain which packet is which frame (``ops.video.frame_index``), the reader jumps to key
    frames between two wanted frames, and skips what no other frame refers to. Any other file is decoded from its first
    frame on: once to count its frames, which are kept if they are small, else again for the wanted ones.
    """

    def __init__(self, path: Path) -> None:
        import av

        self.path = path
        self._error = av.error.FFmpegError
        self._kept: list[Any] = []
        self._upright = Upright()
        try:
            self._open()
            known = recall(path)
            if known is None:
                known = self._look()
                remember(path, known)
        except (av.error.FFmpegError, IndexError, OSError, ValueError) as error:
            raise VideoError(f"{path}: expected a video that PyAV opens, got {one_line(error)}") from None
        self._length, self._places = known
        if self._length == 0:
            raise VideoError(f"{path}: expected a video with frames, got none")

    def _open(self) -> None:
        self.container = open_container(self.path)
        # Containers and their streams refer to each other: left to the garbage collector, their memory piles up.
        weakref.finalize(self, self.container.close)
        self.stream = picture_stream(self.path, self.container)

    def _look(self) -> Known:
        """Finds out how many frames there are, and where."""
        places, count = find_places(self.container, self.stream)
        if places is None:
            if count:  # packets are gone
                self.container.close()
                self._open()
            length = count = self._count()
        else:
            length = len(places)
        announced = self.stream.frames
        if count < announced and is_cut_off(self.path):
            raise VideoError(f"{self.path}: expected {announced} frames, as the file says, got {count} (cut off?)")
        return Known(length, places)

    def _count(self) -> int:
        """Decodes everything; keeps the frames if they are small."""
        length = size = 0
        for frame in self.container.decode(self.stream):
            length += 1
            size += sum(plane.buffer_size for plane in frame.planes) if size <= KEPT_BYTES else 0
            if size <= KEPT_BYTES:
                self._kept.append(frame)
            else:
                self._kept = []
        return length

    def __len__(self) -> int:
        return self._length

    @property
    def is_only_video(self) -> bool:
        """Whether no other decoder can take another stream for the video."""
        return len(self.container.streams.video) == 1

    @property
    def places(self) -> Places | None:
        """Where the frames are, if that is certain."""
        return self._places

    def get_frames(self, indices: np.ndarray) -> np.ndarray:
        found: dict[int, np.ndarray] = {}
        try:
            if self._places is not None:
                for run in self._places.runs(indices):
                    found |= self._decode_run(run, self._places.can_skip)
            if len(found) < len(indices):
                wanted = set(indices.tolist())
                found = {i: self._upright(f) for i, f in enumerate(self._from_the_first(indices[-1])) if i in wanted}
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

    def _decode_run(self, run: Run, can_skip: bool) -> dict[int, np.ndarray]:
        """The frames of a run by index; none where the decoder gives something else than was expected."""
        context, found = self.stream.codec_context, {}
        others = "NONREF" if can_skip else "DEFAULT"
        self.container.seek(run.start_time, stream=self.stream, backward=True)
        is_first, shown = True, None
        for packet in self.container.demux(self.stream):
            if is_first and packet.pts != run.start_time:
                return {}
            is_first = False
            context.skip_frame = "DEFAULT" if packet.pts in run.wanted else others
            is_last = packet.size == 0 or packet.pts == run.last
            for frame in packet.decode() + (context.decode(None) if is_last and packet.size else []):
                if frame.pts is None or (shown is not None and frame.pts <= shown):
                    return {}
                shown = frame.pts
                if frame.pts in run.wanted:
                    found[run.wanted[frame.pts]] = self._upright(frame)
            if is_last:
                break
        context.skip_frame = "DEFAULT"
        return found

    def _from_the_first(self, last: int) -> Iterator[Any]:
        """The frames from the first to that of index ``last``, decoded one after the other."""
        if self._kept:
            yield from self._kept[: last + 1]
            return
        with open_container(self.path) as container:
            for index, frame in enumerate(container.decode(picture_stream(self.path, container))):
                yield frame
                if index >= last:
                    break


class Upright:
    """Brings decoded frames into (H, W, 3) RGB, turned and mirrored as their file says, to the nearest quarter turn."""

    def __init__(self) -> None:
        import av

        # One for all frames: to make one costs more than to use it. PyAV 17 and later would start threads for it.
        self._to_rgb = av.video.reformatter.VideoReformatter()
        self._one_thread = {"threads": 1} if int(av.__version__.split(".")[0]) >= 17 else {}

    def __call__(self, frame: Any) -> np.ndarray:
        picture = self._to_rgb.reformat(frame, format="rgb24", **self._one_thread).to_ndarray()
        matrix = frame.side_data.get("DISPLAYMATRIX")
        return picture if matrix is None else turned(picture, matrix)


def turned(picture: np.ndarray, matrix: Any) -> np.ndarray:
    """A picture (H, W, 3) turned and mirrored as a display matrix says, to the nearest quarter turn."""
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()  # (x, y) is shown at (a x + c y, b x + d y)
    if abs(b) > abs(a):
        picture, a, d = picture.transpose(1, 0, 2), c, b  # (W, H, 3)
    return picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


def _range(indices: np.ndarray) -> str:
    return f"{indices[0]} to {indices[-1]}"
