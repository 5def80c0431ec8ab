#!/usr/bin/env python3
"""Re-encodes videos at a small size for training: H.264, no sound, a key frame at least every few frames.

    python scripts/resize_videos.py data/kinetics/original data/kinetics/videos --short_side 320 -j 8

VIDEOS/some/where/name.webm becomes OUT/some/where/name.mp4. A decoder that is to show frame t starts at the key frame
before t, so close key frames (`--gop`) make the sparse reading of a clip cheap; they cost some file size. No frame is
added or left out, and none is enlarged. Each file is read again and its frames and times are compared with the
source's before it gets its name. Interrupt it when you like; the same command goes on.
"""

from __future__ import annotations

import functools
import itertools
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # ops/, from any working directory

import av
from av.video.frame import PictureType

from ops.preparation.jobs.batch_jobs import Batch, add_batch_options
from ops.preparation.jobs.video_input import Scaler, VideoError, VideoReader, scaled_size, seconds
from ops.runtime import OneLineParser, number_type, run_script

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
FINEST_TICK = Fraction(1, 90_000)
TOLERANCE = Fraction(1, 1000)  # seconds by which a frame may be misplaced


@dataclass(frozen=True)
class VideoSettings:
    """How videos are written.

    Args:
        short_side: larger videos are reduced to it.
        gop: largest distance between key frames.
        crf: quality of x264, 0 (lossless) to 51.
        preset: effort of x264.
        keep_damaged: keep what can be decoded of a damaged video.
    """

    short_side: int
    gop: int
    crf: int
    preset: str
    keep_damaged: bool


def new_stream(
    container: av.container.OutputContainer, frame: av.VideoFrame, reader: VideoReader, settings: VideoSettings
) -> av.VideoStream:
    """An H.264 stream for frames like this one."""
    stream = container.add_stream("libx264", rate=reader.rate)
    context = stream.codec_context
    context.width, context.height = scaled_size(frame.width, frame.height, settings.short_side, multiple=2)
    context.pix_fmt = "yuv420p"
    context.time_base = stream.time_base = max(frame.time_base or FINEST_TICK, FINEST_TICK)
    context.sample_aspect_ratio = reader.aspect or Fraction(0, 1)
    # The colours are not converted, so what the source says of them stays true; RGB becomes BT.601.
    is_rgb = frame.format.is_rgb
    context.colorspace = 6 if is_rgb else frame.colorspace
    context.color_primaries, context.color_trc = reader.primaries, reader.transfer
    context.color_range = 1
    context.gop_size = settings.gop
    context.thread_count = reader.threads
    context.options = {"crf": str(settings.crf), "preset": settings.preset}
    return stream


def encode(settings: VideoSettings, reader: VideoReader, target: Path) -> list[Fraction]:
    """Writes the reader's frames as a video; returns their times in seconds, from 0."""
    times: list[Fraction] = []
    frames = reader.frames()
    first = next(frames)
    with av.open(str(target.absolute()), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = new_stream(container, first, reader, settings)
        context = stream.codec_context
        scale = Scaler(context.width, context.height, "yuv420p", full_range=False)
        origin, tick = seconds(first), context.time_base
        for frame in itertools.chain([first], frames):
            picture = scale(frame)
            place = round((seconds(frame) - origin) / tick)
            picture.pts, picture.time_base = place, tick
            picture.pict_type = PictureType.NONE  # the encoder chooses, not the source
            times.append(place * tick)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return times


def verify(video: Path, times: list[Fraction]) -> None:
    """Raise unless a video that was written holds as many frames, at the same times (and so for the same duration)."""
    written = [seconds(frame) for frame in VideoReader(video, 1, keep_damaged=False).frames()]
    if len(written) != len(times):
        raise VideoError(f"verification: expected {len(times)} frames, the file written has {len(written)}")
    for number, (time, expected) in enumerate(zip(written, times, strict=True), start=1):
        if abs(time - written[0] - expected) > TOLERANCE:
            got = f"{float(time - written[0]):.3f} s"
            raise VideoError(f"verification: expected frame {number} at {float(expected):.3f} s, it is at {got}")


def resize(settings: VideoSettings, video: Path, target: Path, threads: int) -> tuple[int, str]:
    """Writes one video again and checks it; returns its number of frames and what was damaged."""
    reader = VideoReader(video, threads, settings.keep_damaged)
    times = encode(settings, reader, target)
    verify(target, times)
    return len(times), "; ".join(reader.damage)


def main() -> None:
    parser = OneLineParser(description="Re-encodes videos at a small size for training.", allow_abbrev=False)
    add_batch_options(parser)
    parser.add_argument(
        "--short_side",
        type=number_type(int, 2),
        default=320,
        help="reduce larger videos to this short side (default: %(default)s)",
    )
    parser.add_argument(
        "--gop",
        type=number_type(int, 1),
        default=16,
        help="most frames from key frame to key frame (default: %(default)s)",
    )
    parser.add_argument(
        "--crf",
        type=number_type(int, 0, 51),
        default=23,
        help="x264's quality, lower is better and larger (default: %(default)s)",
    )
    parser.add_argument("--preset", choices=PRESETS, default="medium", help="x264's effort (default: %(default)s)")
    args = parser.parse_args()
    settings = VideoSettings(args.short_side, args.gop, args.crf, args.preset, args.keep_damaged)
    batch = Batch(
        tool="resize_videos",
        did="resized",
        suffix=".mp4",
        first="",
        settings={name: getattr(args, name) for name in ("short_side", "gop", "crf", "preset")},
        write=functools.partial(resize, settings),
    )
    sys.exit(batch.run(args))


if __name__ == "__main__":
    run_script(main)
