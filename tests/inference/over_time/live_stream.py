"""A live stream over loopback: MPEG-TS over TCP, sent frame by frame as a camera would."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction

import av

from tests.media import numbered_picture


class _Wire:
    """What a muxer writes goes to a client."""

    def __init__(self, client: socket.socket) -> None:
        self.client = client

    def write(self, data: bytes) -> int:
        with suppress(OSError):  # nobody listens any more
            self.client.sendall(data)
        return len(data)


def _send(server: socket.socket, frames: int, rate: int, pace: float, stalls: bool, end: threading.Event) -> None:
    client, _ = server.accept()
    with client, av.open(_Wire(client), "w", format="mpegts") as container:
        options = {"tune": "zerolatency", "preset": "ultrafast", "g": str(rate // 2)}
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        begun = time.monotonic()
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(numbered_picture(number % 256, 64, 48), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
            if end.wait(max(0.0, begun + (number + 1) / (rate * pace) - time.monotonic())):
                return
        if stalls:
            end.wait()


@contextmanager
def live_stream(frames: int, rate: int = 25, pace: float = 1.0, stalls: bool = False) -> Iterator[str]:
    """The URL of a stream that one client can watch.

    Args:
        frames: that are sent, ``pace`` times as fast as they are shown, before it ends.
        stalls: it does not end, but sends nothing more.
    """
    end = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_send, args=(server, frames, rate, pace, stalls, end), daemon=True)
        thread.start()
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
        end.set()
    thread.join(10)
