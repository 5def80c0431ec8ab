"""Frames of a video file with torchcodec."""

import contextlib
from pathlib import Path

import numpy as np

from ops.video.container import check_announced
from ops.video.index.packet_index import PacketIndex
from ops.video.pyav import PyAVReader
from ops.video.pyav_fallback import stands_in


class TorchCodecReader:
    """A video file read with torchcodec; what it may number otherwise, and what it fails on, with PyAV."""

    def __init__(self, path: Path, index: PacketIndex | None = None) -> None:
        from torchcodec.decoders import VideoDecoder

        self._pyav = PyAVReader(path, index)
        check_announced(path, self._pyav.container, self._pyav.stream)
        self._decoder = None
        if stands_in(self._pyav, "torchcodec"):
            return
        with contextlib.suppress(RuntimeError, ValueError):
            decoder = VideoDecoder(
                str(path.absolute()), seek_mode="exact", num_ffmpeg_threads=1, dimension_order="NHWC"
            )
            if len(decoder) == len(self):
                self._decoder = decoder

    @property
    def stood_in(self) -> bool:
        """Whether PyAV reads this file in place of torchcodec."""
        return self._decoder is None

    def __len__(self) -> int:
        return len(self._pyav)

    def get_frames(self, indices: np.ndarray) -> np.ndarray:
        if self._decoder is not None:
            try:
                return self._decoder.get_frames_at(indices.tolist()).data.numpy()
            except (RuntimeError, IndexError):
                self._decoder = None
        return self._pyav.get_frames(indices)
