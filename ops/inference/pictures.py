"""Every picture of a video with its time, for whoever draws on it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ops.inference.sources import Source
from ops.inference.streams import DEFAULT_RATE, StreamClock, open_stream, pictures_of, reason_of
from ops.video import FrameFolder, Upright, VideoError


def timed_pictures(source: Source) -> Iterator[tuple[float, np.ndarray]]:
    """Seconds from the first picture, and the picture (H, W, 3), upright; folders of frames have 25 a second.

    Raises:
        VideoError: it cannot be read.
    """
    import av

    if source.kind == "frames":
        assert source.num_frames is not None
        folder = FrameFolder(Path(source.name), source.num_frames, source.template)
        for number in range(len(folder)):
            yield number / DEFAULT_RATE, folder.get_frames(np.array([number]))[0]
        return
    with open_stream(source.name, source.device) as container:
        stream, upright = pictures_of(source.name, container), Upright()
        clock = StreamClock(stream)
        try:
            for frame in container.decode(stream):
                yield clock(frame), upright(frame)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise VideoError(f"{source.name}: expected frames, got {reason_of(error, 0)}") from None
