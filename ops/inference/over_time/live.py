"""A live stream in windows, with a delay that does not grow: what cannot be looked at in time is dropped and counted.

One thread receives packets as they come, one decodes them, and the caller takes the newest whole window. Where decoding
is late, packets up to the newest key frame are dropped; where the network is, windows.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor

from ops.inference.over_time.windows import Window, WindowCutter
from ops.inference.streams import MAX_JUMP, StreamClock, pictures_of, reason_of
from ops.video import VideoError

MAX_LAG = 1.0  # seconds that a packet may wait to be decoded
LOOK_SECONDS = 0.2  # from one look for a stall to the next
LAST_SECONDS = 1.0  # that a thread has to end


class LiveWindows:
    """The windows of a stream, the newest whole one each time.

    Args:
        name: of the stream.
        container: opened; closed after the last window.
        cutter: makes the windows.
        prepare: a decoded frame -> (3, s, s) as the network sees it.
        patience: seconds without data after which the stream counts as stalled.
        stop_after: seconds of the stream after which the windows end.
    """

    def __init__(
        self,
        name: str,
        container: Any,
        cutter: WindowCutter,
        prepare: Callable[[Any], Tensor],
        patience: float,
        stop_after: float,
    ) -> None:
        self.name = name
        self.cutter = cutter
        self.prepare = prepare
        self.patience = patience
        self.stop_after = stop_after
        self.received = self.dropped = 0  # frames
        self._container = container
        self._stream = pictures_of(name, container)
        self._clock = StreamClock(self._stream, MAX_JUMP)
        self._changed = threading.Condition()
        self._packets: deque[tuple[float, Any]] = deque()  # with the time at which each came
        self._newest: Window | None = None
        self._seen = 0  # frames up to the end of the last window that was looked at
        self._last_data = time.monotonic()
        self._reason: str | None = None  # why no more packets come
        self._failure: BaseException | None = None  # of decoding
        self._decoded = False  # whether all packets that came are decoded
        self._stop = False

    def __iter__(self) -> Iterator[Window]:
        """Whole windows, until the stream ends.

        Raises:
            VideoError: it ended before ``stop_after`` or stalled; after the last whole window.
        """
        threads = [threading.Thread(target=work, daemon=True) for work in (self._receive, self._decode)]
        for thread in threads:
            thread.start()
        try:
            while (window := self._next()) is not None:
                yield window
        finally:
            with self._changed:
                self._stop = True
                self._changed.notify_all()
            for thread in threads:
                thread.join(LAST_SECONDS)
            if not any(thread.is_alive() for thread in threads):  # what is being read must not be closed
                self._container.close()
        if self._failure is not None:
            raise self._failure
        if self._clock.end < self.stop_after:
            got = f"{self._reason} after {max(self._clock.end, 0):.1f} s"
            raise VideoError(f"{self.name}: expected the stream to continue, got {got}")

    def _next(self) -> Window | None:
        with self._changed:
            while self._newest is None and not self._decoded:
                self._changed.wait(LOOK_SECONDS)
                if time.monotonic() - self._last_data > self.patience and self._reason is None:
                    self._reason = f"nothing for {self.patience:g} s (it stalled)"
                    return None
            window, self._newest = self._newest, None
            if window is not None:
                self._seen = window.first + len(window.frames)
            return window

    def _receive(self) -> None:
        """Take packets as they come; in a thread of its own, since reading waits."""
        reason = "its end"
        try:
            for packet in self._container.demux(self._stream):
                with self._changed:
                    if self._stop:
                        return
                    self._last_data = time.monotonic()
                    self._packets.append((self._last_data, packet))
                    self.received += packet.size > 0
                    self._changed.notify_all()
        except Exception as error:  # whatever a network does ends the stream
            reason = reason_of(error, self.patience)
        finally:
            with self._changed:
                self._reason = self._reason or reason
                self._changed.notify_all()

    def _decode(self) -> None:
        """Turn packets into frames and windows."""
        try:
            while (item := self._take()) is not None and self._clock.end < self.stop_after:
                self._decode_packet(*item)
            for window in self.cutter.whole(self._clock.latest_end):
                window.received = time.monotonic()
                self._offer(window)
        except Exception as error:
            self._failure = error
        finally:
            with self._changed:
                self._decoded = True
                self._changed.notify_all()

    def _decode_packet(self, arrived: float, packet: Any) -> None:
        import av

        try:
            frames = packet.decode()
        except av.error.EOFError:
            return
        except av.error.FFmpegError:  # damaged on its way; the next key frame is whole again
            self.dropped += 1
            return
        for frame in frames:
            moment = self._clock(frame)
            for window in self.cutter.whole(moment):
                window.received = arrived
                self._offer(window)
            if self.cutter.wants(moment):
                self.cutter.add(moment, self.prepare(frame))

    def _take(self) -> tuple[float, Any] | None:
        """The next packet to decode; None where none comes any more."""
        with self._changed:
            while not self._packets and self._reason is None and not self._stop:
                self._changed.wait()
            if self._stop or not self._packets:
                return None
            if time.monotonic() - self._packets[0][0] > MAX_LAG:
                self._drop_to_key_frame()
            return self._packets.popleft() if self._packets else self._take()

    def _drop_to_key_frame(self) -> None:
        """Skip what waits up to the newest key frame; where there is none yet, everything stays and is decoded."""
        keys = [place for place, (_, packet) in enumerate(self._packets) if packet.is_keyframe]
        for _ in range(keys[-1] if keys else 0):
            self._packets.popleft()
            self.dropped += 1

    def _offer(self, window: Window) -> None:
        """Put a whole window where the caller takes it, in place of one that was not taken in time."""
        if not window.frames:
            return
        with self._changed:
            if self._newest is not None:
                self.dropped += max(0, min(window.first - self._newest.first, len(self._newest.frames)))
            self._newest = window
            self._changed.notify_all()
