"""Frames of a video file with torchcodec."""

from pathlib import Path

import numpy as np

from ops.video.errors import VideoError, one_line
from ops.video.pyav import PyAVReader, announced_frames, same_length


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
                self._instead = same_length(PyAVReader(self.path), len(self), "torchcodec")
        return self._instead.get_frames(indices)
