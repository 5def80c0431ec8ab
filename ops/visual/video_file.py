"""Video files of pictures with times."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from PIL import Image

from ops.runtime import InputError, replacing

TIME_BASE = Fraction(1, 90_000)
SMALLEST = 360  # pixels of the short side: smaller videos are enlarged, so that letters can be read


def even_size(width: int, height: int) -> tuple[int, int]:
    """Of a written video: even, and enlarged to a short side of at least SMALLEST."""
    scale = max(1.0, SMALLEST / min(width, height))
    return round(width * scale) // 2 * 2, round(height * scale) // 2 * 2


def write_video(path: Path, pictures: Iterable[tuple[float, Image.Image]]) -> None:
    """Write an mp4 file of pictures of one even size, each shown from its time in seconds on; none stays unfinished.

    Raises:
        InputError: it cannot be written.
    """
    faststart = {"movflags": "faststart"}
    try:
        with (
            replacing(path, "video") as temporary,
            av.open(str(temporary), "w", format="mp4", options=faststart) as container,
        ):
            _encode(container, pictures)
    except av.error.FFmpegError as error:
        raise InputError(f"{path}: expected to write a video, got {error.strerror or error}") from None


def _encode(container: Any, pictures: Iterable[tuple[float, Image.Image]]) -> None:
    stream = container.add_stream("libx264", rate=30, options={"crf": "20", "preset": "veryfast"})
    stream.pix_fmt, stream.codec_context.time_base = "yuv420p", TIME_BASE
    for number, (seconds, picture) in enumerate(pictures):
        if number == 0:
            stream.width, stream.height = picture.size
        frame = av.VideoFrame.from_image(picture)
        frame.pts, frame.time_base = round(seconds / TIME_BASE), TIME_BASE
        container.mux(stream.encode(frame))
    container.mux(stream.encode())
