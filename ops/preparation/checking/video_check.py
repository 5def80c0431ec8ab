"""A video file, opened as training opens it and then decoded from its first frame to its last."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ops.preparation.checking.facts import Facts, Problem, absent, in_numbers, some, without_path
from ops.preparation.frame_stream import FrameStream, UnusableVideo, upright
from ops.video import PacketIndex, VideoError, open_container, open_video, picture_stream, verify_frames


def inspect_video(
    path: Path, decoder: str, threads: int, verify: bool = False, index: PacketIndex | None = None
) -> Facts:
    """Opens a video as training does and reads its first, middle and last frame; then decodes all of it.

    With ``verify`` the frames that training reads are also compared with those of plain decoding. The index gets where
    its packets are, or that it is damaged.
    """
    if not os.path.lexists(path):
        return absent(path)
    size = path.stat().st_size if path.is_file() else 0
    try:
        reader = open_video(path, decoder, index)
        count = len(reader)
        reader.get_frames(np.unique([0, count // 2, count - 1]))
    except VideoError as error:
        return Facts(0, size, (Problem("unreadable", without_path(error, path)),))
    problems = list(decoded_problems(path, count, threads))
    if index is not None and any(problem.kind == "damaged" for problem in problems):
        index.distrust(path, count)
    if verify and not any(problem.unusable for problem in problems):
        difference = verify_frames(path, decoder)
        if difference:
            problems.append(Problem("other frames", difference))
    if not problems and is_turned(path):
        detail = "rotated by its metadata, which some programs ignore; resize_videos.py writes it upright"
        problems.append(Problem("rotated", detail, unusable=False))
    return Facts(count, size, tuple(problems), getattr(reader, "stood_in", False))


def decoded_problems(path: Path, count: int, threads: int) -> Iterator[Problem]:
    """What decoding every frame shows."""
    reader = FrameStream(path, threads, keep_damaged=True)
    sizes: Counter[str] = Counter()
    try:
        for frame in reader.frames():
            sizes[f"{frame.width}x{frame.height}"] += 1
    except UnusableVideo as error:
        yield Problem("unreadable", str(error))
        return
    if reader.damage:
        yield Problem("damaged", some(reader.damage, "; "))
    decoded = sizes.total()
    if decoded != count:
        detail = f"the reader counts {count} frames, {decoded} can be decoded"
        yield Problem("frame count", detail, unusable=decoded < count)
    if len(sizes) > 1:
        yield Problem("frame sizes", in_numbers(sizes))


def is_turned(path: Path) -> bool:
    """Whether a note in the file says how to turn its pictures."""
    with open_container(path) as container:
        frame = next(container.decode(picture_stream(path, container)))
        return upright(frame) is not frame
