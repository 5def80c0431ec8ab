"""Frames of a video file with PyAV: exactly those that decoding it from end to end gives, and little work for others.

Frames are counted in the order in which the decoder gives them, from 0.
"""

import contextlib
import itertools
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ops.video.container import is_cut_off, open_container, picture_stream
from ops.video.errors import VideoError, one_line
from ops.video.frame_index import Places, Run, find_places
from ops.video.index.direct import DirectDecoder, Packets, PacketsSeen, Take
from ops.video.index.known import Known, recall, remember, state_of
from ops.video.index.packet_index import PacketIndex
from ops.video.planes import Packed, Packing
from ops.video.upright import Cut, Upright


class PyAVReader:
    """A video file read with PyAV.

    Where its headers tell for certain which packet is which frame (``ops.video.frame_index``), the reader jumps to key
    frames between two wanted frames, and skips what no other frame refers to. Any other file is decoded from its first
    frame on: once to count its frames, again for the wanted ones.

    Args:
        path: the file.
        index: where what is found out is looked up and kept.
        pixels: what frames are: ``rgb``, or ``yuv`` for packed pictures (ops/video/planes.py).
    """

    def __init__(self, path: Path, index: PacketIndex | None = None, pixels: str = "rgb") -> None:
        import av

        self.path = path
        self._error = av.error.FFmpegError
        self._upright = Upright()
        self._take = self._upright if pixels == "rgb" else Packed()
        self._container: Any = None
        try:
            state = state_of(path)
            known = recall(state)
            if known is None and index is not None:
                known = index.recall(state)
            if known is None or known.packets is None:
                self._open()
            if known is None:
                known = self._look()
                remember(state, known)
                if index is not None:
                    index.remember(state, known)
        except (av.error.FFmpegError, IndexError, OSError, ValueError) as error:
            raise self._not_opened(error) from None
        self._length, self._places, self._packets = known
        if self._length == 0:
            raise VideoError(f"{path}: expected a video with frames, got none")

    def _not_opened(self, error: Exception) -> VideoError:
        return VideoError(f"{self.path}: expected a video that PyAV opens, got {one_line(error)}")

    def _open(self) -> None:
        if self._container is not None:
            self._container.close()
        self._container = open_container(self.path)
        # Containers and their streams refer to each other: left to the garbage collector, their memory piles up.
        weakref.finalize(self, self._container.close)
        self._stream = picture_stream(self.path, self._container)

    @property
    def container(self) -> Any:
        """The open container.

        Raises:
            VideoError: it cannot be opened any more.
        """
        if self._container is None:
            try:
                self._open()
            except (self._error, IndexError, OSError, ValueError) as error:
                raise self._not_opened(error) from None
        return self._container

    @property
    def stream(self) -> Any:
        """Its stream of pictures."""
        return self._stream if self.container else None

    def _look(self) -> Known:
        """Finds out how many frames there are, and where."""
        seen = PacketsSeen(self.path, self.stream)
        try:
            places, count = find_places(self.container, self.stream, seen.see)
            packets = seen.packets(places)
        finally:
            seen.close()
        if places is None:
            # None is kept: the decoder would use other buffers for the next ones, which shows in damaged pictures.
            length = count = sum(1 for _ in self._from_the_first())
        else:
            length = len(places)
        announced = self.stream.frames
        if count < announced and is_cut_off(self.path):
            raise VideoError(f"{self.path}: expected {announced} frames, as the file says, got {count} (cut off?)")
        if places is None or packets is None or not self._decodes_alike(places, packets):
            packets = None
        return Known(length, places, packets)

    def _decodes_alike(self, places: Places, packets: Packets) -> bool:
        """Whether some frames are the same without the container, in all that RGB is made of."""

        def all_of(frame: Any) -> tuple[Any, ...]:
            return frame.format.name, frame.colorspace, frame.color_range, self._upright(frame).tobytes()

        some = np.unique([0, min(1, len(places) - 1), places.last_start()])
        with contextlib.suppress(self._error, OSError, ValueError):
            decoder = DirectDecoder(self.path, packets, places.times)
            try:
                for run in places.runs(some):
                    usual = self._decode_run(run, places.can_skip, all_of)
                    if len(usual) < len(run.wanted) or usual != decoder.decode(run, places.can_skip, all_of):
                        return False
            finally:
                decoder.close()
            return True
        return False

    def __len__(self) -> int:
        return self._length

    @property
    def packing(self) -> Packing | None:
        """What the frames are that were read last as ``yuv``; None of RGB."""
        return self._take.packing if isinstance(self._take, Packed) else None

    @property
    def is_only_video(self) -> bool:
        """Whether no other decoder can take another stream for the video."""
        return len(self.container.streams.video) == 1

    @property
    def places(self) -> Places | None:
        """Where the frames are, if that is certain."""
        return self._places

    def get_frames(self, indices: np.ndarray, cut: Cut | None = None) -> np.ndarray:
        """As the interface says; of each frame only the part that ``cut`` says, of YUV from even pixels on."""
        if cut is None:
            return self._read(indices)
        sizes: set[tuple[int, int]] = set()

        def of_size(height: int, width: int) -> tuple[int, int, int, int]:
            sizes.add((height, width))
            return cut(height, width) if len(sizes) == 1 else (0, 0, height, width)

        self._take.cut = of_size
        try:
            frames = self._read(indices)
        except VideoError:
            if len(sizes) < 2:
                raise
        finally:
            self._take.cut = None
        return frames if len(sizes) < 2 else self._read(indices)  # whole frames of several sizes: the error says which

    def _read(self, indices: np.ndarray) -> np.ndarray:
        found = self._from_bytes(indices)
        try:
            if self._places is not None and len(found) < len(indices):
                for run in self._places.runs(indices):
                    found |= self._decode_run(run, self._places.can_skip, self._take)
            if len(found) < len(indices):
                wanted = set(indices.tolist())
                first_ones = itertools.islice(self._from_the_first(), int(indices[-1]) + 1)
                found = {i: self._take(f) for i, f in enumerate(first_ones) if i in wanted}
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

    def _from_bytes(self, indices: np.ndarray) -> dict[int, np.ndarray]:
        """The frames by index, without opening the container; some are missing where that does not do."""
        found: dict[int, np.ndarray] = {}
        if self._places is None or self._packets is None:
            return found
        with contextlib.suppress(self._error, OSError, ValueError):
            decoder = DirectDecoder(self.path, self._packets, self._places.times)
            try:
                for run in self._places.runs(indices):
                    found |= decoder.decode(run, self._places.can_skip, self._take)
            finally:
                decoder.close()
        return found

    def _decode_run(self, run: Run, can_skip: bool, take: Take) -> dict[int, Any]:
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
                # A damaged picture is filled in from those before it, which a jump leaves out.
                if frame.pts is None or (shown is not None and frame.pts <= shown) or frame.is_corrupt:
                    return {}
                shown = frame.pts
                if frame.pts in run.wanted:
                    found[run.wanted[frame.pts]] = take(frame)
            if is_last:
                break
        context.skip_frame = "DEFAULT"
        return found

    def _from_the_first(self) -> Iterator[Any]:
        """All frames, decoded one after the other."""
        with open_container(self.path) as container:
            yield from container.decode(picture_stream(self.path, container))


def _range(indices: np.ndarray) -> str:
    return f"{indices[0]} to {indices[-1]}"
