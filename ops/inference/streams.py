"""Videos as PyAV opens them by name: files, URLs, live streams, cameras; and the time of their frames."""

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from ops.runtime import processors
from ops.video import Upright, VideoError, one_line, open_container, open_source, picture_stream

PATIENCE = 10.0  # seconds without data after which a stream counts as stalled
DEFAULT_RATE = 25.0  # frames per second where a stream does not say
MAX_JUMP = 10.0  # seconds between two frames of a live stream; what is longer is a clock that was set anew


def open_stream(name: str, device: Mapping[str, Any], patience: float = PATIENCE) -> Any:
    """A container of a file, or of what else PyAV opens.

    Args:
        name: what errors call it.
        device: ``file``, and for a camera ``format``, of av.open.
        patience: seconds that a stream may take to open, and to send more.

    Raises:
        VideoError: it cannot be opened.
    """
    import av

    try:
        if set(device) == {"file"} and "://" not in device["file"]:
            return open_container(Path(device["file"]))
        return open_source(**device, timeout=patience)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"{name}: expected a video that PyAV opens, got {reason_of(error, patience)}") from None


def reason_of(error: BaseException, patience: float) -> str:
    """What became of a stream, in one line."""
    import av

    if isinstance(error, av.error.ExitError | av.error.TimeoutError | TimeoutError):  # interrupted by its timeout
        return f"nothing for {patience:g} s (it stalled)"
    return one_line(error)


def is_live(container: Any) -> bool:
    """Whether a stream goes on while it is watched: it does not know how long it is."""
    return not container.duration


def pictures_of(name: str, container: Any) -> Any:
    """The stream of pictures, decoded with all processors."""
    stream = picture_stream(Path(name), container)
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = processors()
    return stream


class StreamClock:
    """Seconds of frames from the first one on, always increasing.

    Args:
        stream: of the frames.
        max_jump: seconds to the next frame at most; beyond that, and backwards, the next frame comes a frame later.
    """

    def __init__(self, stream: Any, max_jump: float = math.inf) -> None:
        self.interval = 1 / float(stream.average_rate or stream.guessed_rate or DEFAULT_RATE)
        self.max_jump = max_jump
        self.last = -self.interval
        self._offset: float | None = None

    def __call__(self, frame: Any) -> float:
        time = frame.time
        if self._offset is None and time is not None:
            self._offset = time - max(self.last + self.interval, 0.0)
        seconds = None if time is None or self._offset is None else time - self._offset
        if seconds is None or not self.last < seconds <= self.last + self.interval + self.max_jump:
            seconds = self.last + self.interval
            self._offset = None if time is None else time - seconds
        self.last = seconds
        return seconds

    @property
    def end(self) -> float:
        """When the last frame has been shown."""
        return self.last + self.interval

    @property
    def latest_end(self) -> float:
        """The same as late as it can be: how long the last frame is shown is known to half a frame at best."""
        return self.end + self.interval / 2


class StreamedVideo:
    """A video behind a URL as a Reader: decoded from its first frame on, once to count and once to read.

    Raises:
        VideoError: it cannot be opened, or is a live stream.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        with self._opened() as container:
            if is_live(container):
                raise VideoError(
                    f"{url}: expected a video with an end, got a live stream (predict.py --every reads it)"
                )
            self._length = self._decode(container, set(), {})

    def _opened(self) -> AbstractContextManager[Any]:
        return open_stream(self.url, {"file": self.url})

    def _decode(self, container: Any, wanted: set[int], found: dict[int, np.ndarray]) -> int:
        """Puts the wanted frames into ``found``; returns how many frames there are, up to the last of these."""
        import av

        upright, count = Upright(), 0
        try:
            for count, frame in enumerate(container.decode(pictures_of(self.url, container)), 1):
                if count - 1 in wanted:
                    found[count - 1] = upright(frame)
                    if len(found) == len(wanted):
                        break
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise VideoError(f"{self.url}: expected frames, got {reason_of(error, PATIENCE)}") from None
        if count == 0:
            raise VideoError(f"{self.url}: expected a video with frames, got none")
        return count

    def __len__(self) -> int:
        return self._length

    def get_frames(self, indices: np.ndarray) -> np.ndarray:
        found: dict[int, np.ndarray] = {}
        with self._opened() as container:
            self._decode(container, set(indices.tolist()), found)
        missing = set(indices.tolist()) - found.keys()
        if missing:
            raise VideoError(f"{self.url}: expected frame {min(missing)} of {len(self)}, got none the second time")
        return np.stack([found[index] for index in indices.tolist()])
