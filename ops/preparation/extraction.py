"""Frames of videos as JPEG files, one folder per video."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.video.reformatter import Colorspace

from ops.data import DEFAULT_TEMPLATE, check_template
from ops.preparation.frame_stream import FrameStream, seconds
from ops.preparation.jobs.batch_jobs import Batch, BatchOptions
from ops.preparation.scaling import Scaler, scaled_size
from ops.runtime import InputError


@dataclass(frozen=True)
class FrameSettings:
    """How frames are written.

    Args:
        template: ``str.format`` template of a file's name, given the frame's number from 1.
        quality: as ffmpeg's ``-q:v``: 1 or 2 is best, 31 worst.
        short_side: in pixels, of larger frames after scaling; None keeps the size.
        fps: frames per second, by dropping and repeating frames; None takes every frame once.
    """

    template: str
    quality: int
    short_side: int | None
    fps: Fraction | None

    def __post_init__(self) -> None:
        check_template(self.template)
        first = self.template.format(1)
        if Path(first).name != first or not first.endswith((".jpg", ".jpeg")):
            raise InputError(
                f"expected --template to be a .jpg name without folders, like {DEFAULT_TEMPLATE}, got {self.template!r}"
            )


class JpegEncoder:
    """Encodes frames of one size as JPEG.

    Args:
        width, height: of the frames.
        quality: as ffmpeg's ``-q:v``.
        threads: of the encoder.
    """

    def __init__(self, width: int, height: int, quality: int, threads: int) -> None:
        # JPEG files know one colour matrix, BT.601, whatever the video used.
        self.scale = Scaler(width, height, "yuvj420p", full_range=True, colorspace=Colorspace.ITU601)
        self.context = av.CodecContext.create("mjpeg", "w")
        self.context.width, self.context.height, self.context.pix_fmt = width, height, "yuvj420p"
        self.context.time_base = Fraction(1, 25)
        # Whole frames a thread, and standard Huffman tables, which are faster than optimal ones: the files are the
        # same for any number of threads.
        self.context.thread_count, self.context.thread_type = threads, "FRAME"
        self.context.options = {"qmin": str(quality), "qmax": str(quality), "huffman": "default"}

    def encode(self, frames: Iterable[av.VideoFrame]) -> Iterator[bytes]:
        """JPEG files, one for each frame."""
        for number, frame in enumerate(frames):
            picture = self.scale(frame)
            picture.pts, picture.time_base = number, self.context.time_base
            yield from map(bytes, self.context.encode(picture))
        yield from map(bytes, self.context.encode(None))


def at_rate(frames: Iterable[av.VideoFrame], fps: Fraction) -> Iterator[av.VideoFrame]:
    """Drop and repeat frames so that there are ``fps`` per second, as ffmpeg's filter of that name does.

    A frame belongs to the tick nearest to its time; a tick shows the latest frame up to it.
    """
    start = Fraction(0)
    pending: av.VideoFrame | None = None
    gap = Fraction(0)  # from a frame to the next; the last one lasts as long
    shown = 0
    for frame in frames:
        if pending is None:
            start = seconds(frame)
        else:
            gap = seconds(frame) - seconds(pending)
            while shown < nearest_tick(seconds(frame) - start, fps):
                yield pending
                shown += 1
        pending = frame
    if pending is not None:
        length = seconds(pending) - start + gap
        while shown < max(nearest_tick(length, fps), 1):
            yield pending
            shown += 1


def nearest_tick(time: Fraction, fps: Fraction) -> int:
    """The tick of a clock of ``fps`` that is nearest to a time, the later of two."""
    return math.floor(time * fps + Fraction(1, 2))


def extract_frames(settings: FrameSettings, options: BatchOptions) -> int:
    """Extract the frames of many videos; returns the exit status."""
    batch = Batch(
        tool="extract_frames",
        did="extracted",
        suffix="",
        first=settings.template.format(1),
        settings={
            "template": settings.template,
            "quality": settings.quality,
            "short_side": settings.short_side,
            "fps": settings.fps and str(settings.fps),
        },
        write=functools.partial(extract, settings, options.keep_damaged),
    )
    return batch.run(options)


def extract(settings: FrameSettings, keep_damaged: bool, video: Path, folder: Path, threads: int) -> tuple[int, str]:
    """Write the frames of a video into a new folder; returns their number and what was damaged."""
    folder.mkdir()
    reader = FrameStream(video, threads, keep_damaged)
    frames = reader.frames()
    if settings.fps is not None:
        frames = at_rate(frames, settings.fps)
    first = next(frames)
    encoder = JpegEncoder(*scaled_size(first.width, first.height, settings.short_side), settings.quality, threads)
    number = 0
    for number, jpeg in enumerate(encoder.encode(itertools.chain([first], frames)), start=1):
        (folder / settings.template.format(number)).write_bytes(jpeg)
    return number, "; ".join(reader.damage)
