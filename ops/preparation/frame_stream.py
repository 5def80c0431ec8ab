"""A video from its first frame to its last, as a player shows it: upright, with times that increase.

The readers of ops.video give chosen frames as RGB arrays; whoever converts a video needs every frame once, in the
codec's own colours, with its time. Phones that are held sideways store turned pictures with the rotation in the
metadata; frames are turned upright here, so that the output needs no metadata. Damage is an error unless it is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import Type as SideDataType

from ops.video import VideoError, open_container, picture_stream, turned

MISSING_SHARE, MISSING_SECONDS = 0.1, 0.5  # a file that ends earlier than it says by both is cut off
DEFAULT_RATE = Fraction(25)
UNSPECIFIED = 2


class UnusableVideo(Exception):  # noqa: N818 (a finding, for reports)
    """A video that cannot be converted; the message is the reason, without the file's name."""


@dataclass
class FrameStream:
    """The frames of a video.

    Args:
        path: the file.
        threads: of the decoder.
        keep_damaged: skip what cannot be decoded, and list it in ``damage``, instead of raising UnusableVideo.
    """

    path: Path
    threads: int
    keep_damaged: bool

    def __post_init__(self) -> None:
        self.damage: list[str] = []
        self.rate = DEFAULT_RATE
        self.aspect: Fraction | None = None  # of a pixel, where the file says so
        self.primaries = self.transfer = UNSPECIFIED  # what the numbers mean as colours, in ffmpeg's numbers

    def frames(self) -> Iterator[av.VideoFrame]:
        """Every frame, upright, with increasing ``pts``; what the file says of all of them is known with the first."""
        try:
            with open_container(self.path) as container:
                yield from self._frames_of(container)
        except av.error.FFmpegError as error:
            raise UnusableVideo(error.strerror or str(error)) from None
        except VideoError as error:
            raise UnusableVideo(str(error).removeprefix(f"{self.path}: ")) from None

    def _frames_of(self, container: av.container.InputContainer) -> Iterator[av.VideoFrame]:
        stream: av.VideoStream = picture_stream(self.path, container)
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = self.threads
        rate = stream.average_rate or stream.guessed_rate
        self.rate = Fraction(rate) if rate and 1 <= rate <= 1000 else DEFAULT_RATE
        last: int | None = None
        first_time = last_time = None
        count = 0
        for frame in self._decoded(container, stream):
            frame.pts = increasing(frame.pts, last, frame.duration)
            last = frame.pts
            if frame.is_corrupt:
                self._damaged(f"frame {count + 1} is damaged")
            if count == 0:
                self.aspect = stream.sample_aspect_ratio or None
                context = stream.codec_context
                self.primaries, self.transfer = context.color_primaries, context.color_trc
                first_time = frame.time
            last_time = frame.time
            count += 1
            yield upright(frame)
        if count == 0:
            raise UnusableVideo("; ".join(["no frame could be decoded", *self.damage[:1]]))
        announced = announced_seconds(container, stream)
        if announced and first_time is not None and last_time is not None:
            missing = announced - (last_time - first_time)
            if missing > MISSING_SECONDS and missing > MISSING_SHARE * announced:
                self._damaged(f"cut off: {announced:.1f} s announced, {count} frames in {last_time - first_time:.1f} s")

    def _decoded(self, container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
        """Decoded frames, past packets that cannot be decoded where damage is to be kept."""
        packets = container.demux(stream)
        count = 0
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.FFmpegError as error:
                self._damaged(f"unreadable after {count} frames ({error.strerror})")
                return
            try:
                frames = packet.decode()
            except av.error.FFmpegError as error:
                if isinstance(error, av.error.EOFError):
                    return
                self._damaged(f"cannot be decoded after {count} frames ({error.strerror})")
                continue
            count += len(frames)
            yield from frames

    def _damaged(self, what: str) -> None:
        if not self.keep_damaged:
            raise UnusableVideo(what)
        self.damage.append(what)


def announced_seconds(container: av.container.InputContainer, stream: av.VideoStream) -> float | None:
    """How long a Matroska or AVI file says its video is; their readers meet a cut-off end without an error."""
    if container.format.name == "avi":
        return float(stream.frames / stream.average_rate) if stream.average_rate else None
    if "matroska" not in container.format.name:
        return None
    parts = stream.metadata.get("DURATION", "").split(":")  # 00:00:10.010000000
    try:
        hours, minutes, seconds = (float(part) for part in parts)
    except ValueError:
        only = len(container.streams) == 1
        return container.duration / av.time_base if only and container.duration is not None else None
    return 3600 * hours + 60 * minutes + seconds


def increasing(pts: int | None, last: int | None, duration: int | None) -> int:
    """A frame's time, or where it is missing or not later than the last one's, a frame later than that."""
    if last is None:
        return pts or 0
    if pts is not None and pts > last:
        return pts
    return last + (1 if pts is not None else max(duration or 1, 1))


def seconds(frame: av.VideoFrame) -> Fraction:
    """When a frame is shown, exactly."""
    assert frame.pts is not None and frame.time_base is not None
    return frame.pts * frame.time_base


def upright(frame: av.VideoFrame) -> av.VideoFrame:
    """The frame, turned and mirrored as its display matrix says, if it has one."""
    side_data: Any = frame.side_data  # a mapping, which PyAV's annotations do not say
    data = side_data.get(SideDataType.DISPLAYMATRIX)
    if data is None:
        return frame
    a, b, _, _, d = np.frombuffer(bytes(data), dtype=np.int32)[:5].tolist()
    if a > 0 and d > 0 and abs(b) <= a:
        return frame
    picture = turned(frame.to_ndarray(format="rgb24"), data)
    result = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    result.pts, result.time_base = frame.pts, frame.time_base
    return result
