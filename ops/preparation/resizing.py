"""Videos encoded again at a small size: H.264, no sound, a key frame at least every few frames."""

from __future__ import annotations

import functools
import itertools
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.video.frame import PictureType

from ops.preparation.frame_stream import FrameStream, UnusableVideo, seconds
from ops.preparation.jobs.batch_jobs import Batch, BatchOptions
from ops.preparation.presets import PRESETS, SPEED, VideoSettings
from ops.preparation.scaling import Scaler, scaled_size
from ops.runtime import InputError

FINEST_TICK = Fraction(1, 90_000)
TOLERANCE = Fraction(1, 1000)  # seconds by which a frame may be misplaced
TOOL = "resize_videos"
BEFORE = {"fast_decode": False}  # what older versions did and did not save


def resize_videos(settings: VideoSettings, options: BatchOptions) -> int:
    """Resize many videos; returns the exit status.

    Raises:
        InputError: what a user can get wrong.
    """
    check_source(options.videos, settings)
    batch = Batch(
        tool=TOOL,
        did="resized",
        suffix=".mp4",
        first="",
        settings=asdict(settings),
        write=functools.partial(resize_video, settings, options.keep_damaged),
        before=BEFORE,
        options_of=options_of,
    )
    return batch.run(options)


def check_source(videos: Path, settings: VideoSettings) -> None:
    """Say so if the videos have been written by this script before.

    Raises:
        InputError: with the same settings, so that there is nothing to do.
    """
    path = videos / f".{TOOL}.json"
    if not path.is_file():
        return
    try:
        found = BEFORE | json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, TypeError):
        return
    if found == asdict(settings):
        raise InputError(f"{videos}: expected videos to resize, got videos that {TOOL}.py wrote with these settings")
    print(
        f"{videos}: {TOOL}.py wrote these videos with {options_of(found)}; the originals would lose less",
        file=sys.stderr,
    )


def options_of(found: Mapping[str, Any]) -> str:
    """The options of the command that saved these settings."""
    saved = {**BEFORE, **found}
    name = "training" if saved["fast_decode"] else "archive"
    usual = asdict(PRESETS[name])
    options = {"short_side": "--short_side", "gop": "--gop", "crf": "--crf", "preset": SPEED}
    changed = [f"{option} {saved[key]}" for key, option in options.items() if saved.get(key) != usual[key]]
    return " ".join([f"--preset {name}", *changed])


def new_stream(
    container: av.container.OutputContainer, frame: av.VideoFrame, reader: FrameStream, settings: VideoSettings
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
    if settings.fast_decode:  # cheaper entropy coding, no deblocking, no picture that waits for a later one
        context.options |= {"tune": "fastdecode", "bf": "0"}
    return stream


def encode(settings: VideoSettings, reader: FrameStream, target: Path) -> list[Fraction]:
    """Write the frames of a stream as a video; returns their times in seconds, from 0."""
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
    """Raise unless a video that was written has as many frames, at the same times (and so the same duration)."""
    written = [seconds(frame) for frame in FrameStream(video, 1, keep_damaged=False).frames()]
    if len(written) != len(times):
        raise UnusableVideo(f"verification: expected {len(times)} frames, the file written has {len(written)}")
    for number, (time, expected) in enumerate(zip(written, times, strict=True), start=1):
        if abs(time - written[0] - expected) > TOLERANCE:
            got = f"{float(time - written[0]):.3f} s"
            raise UnusableVideo(f"verification: expected frame {number} at {float(expected):.3f} s, it is at {got}")


def resize_video(
    settings: VideoSettings, keep_damaged: bool, video: Path, target: Path, threads: int
) -> tuple[int, str]:
    """Encode one video again and check the file; returns its number of frames and what was damaged."""
    reader = FrameStream(video, threads, keep_damaged)
    times = encode(settings, reader, target)
    verify(target, times)
    return len(times), "; ".join(reader.damage)
