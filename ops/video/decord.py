"""Frames of a video file with decord."""

from pathlib import Path

import numpy as np

from ops.video.errors import VideoError, one_line
from ops.video.pyav import PyAVReader, announced_frames, same_length


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
        return same_length(PyAVReader(self.path), len(self), "decord").get_frames(indices)
