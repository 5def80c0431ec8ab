"""Answers over time: a window slides over a long video or a live stream."""

import math
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ops.data import from_images
from ops.inference.answers import Answer
from ops.inference.over_time.live import LiveWindows
from ops.inference.over_time.windows import Window, WindowCutter, clip_of
from ops.inference.predictor import Predictor
from ops.inference.sources import Source
from ops.inference.streams import PATIENCE, StreamClock, is_live, open_stream, pictures_of, reason_of
from ops.runtime import plural
from ops.video import Upright, VideoError


class Sliding:
    """The answers to the windows of one video, as it is read.

    Args:
        predictor: answers.
        source: a file, a URL or a camera.
        every, length: seconds from window to window, and of a window.
        batch_size: windows of a file in one forward pass.
        patience: seconds without data after which a stream counts as stalled.
        stop_after: seconds of the video that are read.
    """

    def __init__(
        self,
        predictor: Predictor,
        source: Source,
        every: float,
        length: float,
        batch_size: int = 16,
        patience: float = PATIENCE,
        stop_after: float = math.inf,
    ) -> None:
        self.predictor = predictor
        self.source = source
        self.cutter = WindowCutter(every, length)
        self.batch_size = batch_size
        self.patience = patience
        self.stop_after = stop_after
        self.count = 0  # windows that were answered
        self.longest_delay = 0.0  # seconds from the last frame of a window to its answer, on a live stream
        self.live: LiveWindows | None = None
        self._upright = Upright()

    def __iter__(self) -> Iterator[Answer]:
        """The answers in order.

        Raises:
            VideoError: it cannot be read, is shorter than a window, or a live stream ended; after the last answer.
        """
        if self.source.kind == "frames":
            raise VideoError(
                f"{self.source.name}: expected a video file or a stream with --every, got a folder of frames"
            )
        container = open_stream(self.source.name, self.source.device, self.patience)
        if is_live(container) and self.source.kind != "file":
            yield from self._of_stream(container)
            return
        with container:
            yield from self._of_file(container)

    def _of_file(self, container: Any) -> Iterator[Answer]:
        waiting: list[tuple[Window, Tensor]] = []
        try:
            for window in self._windows(container):
                waiting.append((window, self._clip(window)))
                window.frames = []
                if len(waiting) == self.batch_size:
                    yield from self._answers(waiting)
                    waiting = []
        except VideoError:
            yield from self._answers(waiting)
            raise
        yield from self._answers(waiting)

    def _windows(self, container: Any) -> Iterator[Window]:
        """The windows of a file with frames in them."""
        import av

        name = self.source.name
        stream = pictures_of(name, container)
        clock = StreamClock(stream)
        try:
            for frame in container.decode(stream):
                moment = clock(frame)
                if moment >= self.stop_after:
                    break
                yield from (window for window in self.cutter.whole(moment) if window.frames)
                if self.cutter.wants(moment):
                    self.cutter.add(moment, self._prepare(frame))
        except (av.error.FFmpegError, OSError, ValueError) as error:
            reason = reason_of(error, self.patience)
            raise VideoError(f"{name}: expected frames after {clock.end:.1f} s, got {reason}") from None
        yield from (window for window in self.cutter.whole(clock.latest_end) if window.frames)
        if clock.latest_end < self.cutter.length:
            wanted = f"at least {self.cutter.length:g} s (--window)"
            raise VideoError(f"{name}: expected a video of {wanted}, got {max(clock.end, 0):.2f} s")

    def _of_stream(self, container: Any) -> Iterator[Answer]:
        self.live = LiveWindows(self.source.name, container, self.cutter, self._prepare, self.patience, self.stop_after)
        for window in self.live:
            yield from self._answers([(window, self._clip(window))])
            self.longest_delay = max(self.longest_delay, time.monotonic() - window.received)

    def _prepare(self, frame: Any) -> Tensor:
        """A decoded frame as the network sees it, (3, s, s) uint8, in memory of its own."""
        pixels, _ = self.predictor.transform(from_images(self._upright(frame)[None]))
        return pixels[0].clone()

    def _clip(self, window: Window) -> Tensor:
        indices = self.predictor.sampler.test(
            len(window.frames), self.predictor.network.num_segments, 0, 0, 1
        )  # (T, F)
        return clip_of(window, indices)

    def _answers(self, waiting: list[tuple[Window, Tensor]]) -> Iterator[Answer]:
        if not waiting:
            return
        found: np.ndarray = self.predictor.probabilities(torch.stack([clip for _, clip in waiting]))  # (N, K)
        for (window, _), probabilities in zip(waiting, found, strict=True):
            self.count += 1
            yield self.predictor.answer(self.source.name, probabilities, window.start, window.end)

    def summary(self) -> str | None:
        """What became of a live stream: windows, dropped frames, delay."""
        if self.live is None:
            return None
        frames = f"{self.live.dropped:,} of {plural(self.live.received, 'frame')} dropped"
        delay = f"answers at most {self.longest_delay:.1f} s after the last frame"
        return f"{self.source.name}: {plural(self.count, 'window')}, {frames}, {delay}"
