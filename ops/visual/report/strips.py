"""A few frames of a video side by side, as a small JPEG in a data URI."""

import base64
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from ops.inference import Source, find_source
from ops.runtime import InputError, progress_bar
from ops.video import VideoError

FRAMES = 3
HEIGHT, NARROWEST, WIDEST = 90, 50, 160  # pixels of a frame
QUALITY = 72


def read_strips(root: Path, videos: Mapping[int, str], decoder: str) -> tuple[dict[int, str], list[str]]:
    """Data URIs of videos, by the same numbers, and what was wrong with those that could not be read.

    Args:
        root: of their names.
        videos: names by number.
        decoder: a key of ``DECODERS``.
    """
    strips, problems = {}, []
    with progress_bar(len(videos), "video") as bar:
        for number, name in videos.items():
            try:
                strips[number] = strip(video_at(root / name), decoder)
            except (InputError, VideoError) as error:
                problems.append(str(error))
            bar.update()
    return strips, problems


def video_at(path: Path) -> Source:
    """A file, with .mp4 where a list leaves that out, or a folder of numbered images.

    Raises:
        InputError: it is a folder of other things.
    """
    if path.is_dir():
        return find_source(str(path))
    return Source(str(path if path.suffix else path.with_name(f"{path.name}.mp4")))


def strip(source: Source, decoder: str) -> str:
    """Frames from the middles of equal parts of a video.

    Raises:
        VideoError: it cannot be read.
    """
    reader = source.open(decoder)
    places = ((np.arange(FRAMES) + 0.5) * len(reader) / FRAMES).astype(int)
    frames = reader.get_frames(np.unique(places))  # (F, H, W, 3)
    height, width = frames.shape[1:3]
    size = (round(min(max(HEIGHT * width / height, NARROWEST), WIDEST)), HEIGHT)
    picture = Image.new("RGB", (size[0] * len(frames), HEIGHT))
    for place, frame in enumerate(frames):
        picture.paste(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS), (place * size[0], 0))
    jpeg = io.BytesIO()
    picture.save(jpeg, format="jpeg", quality=QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg.getvalue()).decode()}"
