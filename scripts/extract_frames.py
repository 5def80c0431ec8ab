#!/usr/bin/env python3
"""Extracts the frames of videos as JPEG files, a folder a video.

    python scripts/extract_frames.py data/ucf101/videos data/ucf101/frames -j 8

VIDEOS/some/where/name.avi becomes OUT/some/where/name/00001.jpg, 00002.jpg, ...: every frame of the video, upright,
in the video's own size, in the quality of `ffmpeg -q:v 2`. Interrupt it when you like; the same command goes on.
"""

from __future__ import annotations

import functools
import itertools
import math
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # ops/, from any working directory

import av
from av.video.reformatter import Colorspace

from ops.data import DEFAULT_TEMPLATE, check_template
from ops.preparation.jobs.batch_jobs import Batch, add_batch_options
from ops.preparation.jobs.video_input import Scaler, VideoReader, scaled_size, seconds
from ops.runtime import InputError, OneLineParser, number_type, run_script


@dataclass(frozen=True)
class FrameSettings:
    """How frames are written.

    Args:
        template: ``str.format`` template of a file's name, given the frame's number from 1.
        quality: as ffmpeg's ``-q:v``: 1 or 2 is best, 31 worst.
        short_side: larger frames are reduced to it; None keeps the size.
        fps: frames a second, by leaving out and repeating frames; None takes every frame once.
        keep_damaged: keep what can be decoded of a damaged video.
    """

    template: str
    quality: int
    short_side: int | None
    fps: Fraction | None
    keep_damaged: bool


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
    """Leaves out and repeats frames so that there are ``fps`` a second, as ffmpeg's filter of that name does.

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


def extract(settings: FrameSettings, video: Path, folder: Path, threads: int) -> tuple[int, str]:
    """Writes the frames of a video into a new folder; returns their number and what was damaged."""
    folder.mkdir()
    reader = VideoReader(video, threads, settings.keep_damaged)
    frames = reader.frames()
    if settings.fps is not None:
        frames = at_rate(frames, settings.fps)
    first = next(frames)
    encoder = JpegEncoder(*scaled_size(first.width, first.height, settings.short_side), settings.quality, threads)
    number = 0
    for number, jpeg in enumerate(encoder.encode(itertools.chain([first], frames)), start=1):
        (folder / settings.template.format(number)).write_bytes(jpeg)
    return number, "; ".join(reader.damage)


def main() -> None:
    parser = OneLineParser(description="Extracts the frames of videos as JPEG files.", allow_abbrev=False)
    add_batch_options(parser)
    parser.add_argument("--template", default=DEFAULT_TEMPLATE, help="name of a frame's file (default: %(default)s)")
    parser.add_argument(
        "--quality", type=number_type(int, 1, 31), default=2, help="as ffmpeg's -q:v, 2 (best) to 31 (default: 2)"
    )
    parser.add_argument(
        "--short_side",
        type=number_type(int, 1),
        help="reduce larger frames to this short side (default: keep the size)",
    )
    parser.add_argument(
        "--fps",
        type=number_type(Fraction, 0.001, 1000),
        help="frames a second, like 12 or 30000/1001, by leaving out and repeating frames (default: every frame once)",
    )
    args = parser.parse_args()
    check_template(args.template)
    if Path(args.template.format(1)).name != args.template.format(1) or not args.template.endswith((".jpg", ".jpeg")):
        raise InputError(f"expected a template like {DEFAULT_TEMPLATE}, without folders, got {args.template!r}")
    settings = FrameSettings(args.template, args.quality, args.short_side, args.fps, args.keep_damaged)
    batch = Batch(
        tool="extract_frames",
        did="extracted",
        suffix="",
        first=args.template.format(1),
        settings={
            "template": args.template,
            "quality": args.quality,
            "short_side": args.short_side,
            "fps": args.fps and str(args.fps),
        },
        write=functools.partial(extract, settings),
    )
    sys.exit(batch.run(args))


if __name__ == "__main__":
    run_script(main)
