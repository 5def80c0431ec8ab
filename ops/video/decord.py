"""Frames of a video file with decord."""

import contextlib
from pathlib import Path

import numpy as np

from ops.video.container import check_announced
from ops.video.index.packet_index import PacketIndex
from ops.video.pyav import PyAVReader
from ops.video.pyav_fallback import stands_in


class DecordReader:
    """A video file read with decord, from its first frame on; what it may read wrongly, and fails on, with PyAV.

    decord 0.6 seeks to wrong frames where B-frames meet open groups of pictures, so it does not seek. It hands over
    pictures of some widths (48 and 72 pixels, for example) with four channels and their rows mixed up.
    """

    def __init__(self, path: Path, index: PacketIndex | None = None) -> None:
        import decord

        self._error = decord.DECORDError
        decord.logging.set_level(decord.logging.QUIET)  # FFmpeg's messages about damaged videos are not printed
        self._pyav = PyAVReader(path, index)
        check_announced(path, self._pyav.container, self._pyav.stream)
        self._reader = None
        if stands_in(self._pyav, "decord"):
            return
        with contextlib.suppress(decord.DECORDError, RuntimeError):
            reader = decord.VideoReader(str(path.absolute()), num_threads=1)
            if len(reader) == len(self):
                self._reader = reader

    @property
    def stood_in(self) -> bool:
        """Whether PyAV reads this file in place of decord."""
        return self._reader is None

    def __len__(self) -> int:
        return len(self._pyav)

    def get_frames(self, indices: np.ndarray) -> np.ndarray:
        if self._reader is None:
            return self._pyav.get_frames(indices)
        wanted = set(indices.tolist())
        try:
            self._reader.seek(0)
            passing = (self._reader.next() for _ in range(int(indices[-1]) + 1))
            frames = np.stack([frame.asnumpy() for i, frame in enumerate(passing) if i in wanted])
        except (self._error, RuntimeError, IndexError, ValueError):
            return self._pyav.get_frames(indices)
        return frames if frames.shape[3] == 3 else self._pyav.get_frames(indices)
