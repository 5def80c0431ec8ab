"""List files: one video a line, with the data set's rules of what a line may say and where a video is."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ops.data.dataset_config import DatasetSpec, read_lines
from ops.runtime import InputError
from ops.video import MAX_FRAMES

FIRST_VIDEOS = 20  # of which one must be there


@dataclass(frozen=True)
class VideoRecord:
    """One line of a list: ``path`` as written there, ``num_frames`` None for video files."""

    path: str
    num_frames: int | None
    label: int


class ListLine(NamedTuple):
    """A line of a list file, by its number from 1: ``text`` as it stands, its video, or what is wrong with it."""

    number: int
    text: str
    video: VideoRecord | ValueError


def parse_list(path: Path, spec: DatasetSpec) -> list[ListLine]:
    """The lines of a list file that are not blank, in order, whether they are right or wrong.

    Raises:
        InputError: the file is missing or empty.
    """
    lines = read_lines(path, "a list of videos")
    found = [ListLine(n, text, _parse_line(text.strip(), spec)) for n, text in enumerate(lines, 1) if text.strip()]
    if not found:
        raise InputError(f"{path}: expected at least one video, got an empty list")
    return found


def read_list(path: Path, spec: DatasetSpec) -> list[VideoRecord]:
    """The videos of a list file, in order.

    Raises:
        InputError: the file is missing or empty, or a line (named) is not of the data set's form.
    """
    records = []
    for number, _, video in parse_list(path, spec):
        if isinstance(video, ValueError):
            raise InputError(f"{path}, line {number}: {video}")
        records.append(video)
    return records


def _parse_line(line: str, spec: DatasetSpec) -> VideoRecord | ValueError:
    try:
        record = (_parse_frames_line if spec.storage == "frames" else _parse_videos_line)(line, spec)
    except ValueError as error:
        return error
    if not 0 <= record.label < spec.num_classes:
        return ValueError(f"expected a label in 0..{spec.num_classes - 1}, got {record.label}")
    return record


def _parse_frames_line(line: str, spec: DatasetSpec) -> VideoRecord:
    parts = line.rsplit(maxsplit=2)
    if len(parts) < 3 or not _is_integer(parts[1]) or not _is_integer(parts[2]):
        raise ValueError(f"expected '<folder> <num_frames> <label>', got {line!r}")
    if not 1 <= int(parts[1]) <= MAX_FRAMES:
        raise ValueError(f"expected 1 to {MAX_FRAMES} frames, got {line!r}")
    return VideoRecord(parts[0], int(parts[1]), int(parts[2]))


def _parse_videos_line(line: str, spec: DatasetSpec) -> VideoRecord:
    parts = line.rsplit(maxsplit=1)
    if len(parts) < 2 or not _is_integer(parts[1]):
        raise ValueError(f"expected '<file> <label>', got {line!r}")
    record = VideoRecord(parts[0], None, int(parts[1]))
    # A frames list would pass as a videos list of files named 'folder 48': only such a file can tell.
    if not Path(record.path).name:
        raise ValueError(f"expected '<file> <label>', got {line!r}, which names no file")
    words = parts[0].split()
    if len(words) > 1 and _is_integer(words[-1]) and not os.path.isfile(video_path(record, spec)):
        raise ValueError(f"expected '<file> <label>', got {line!r}, which looks like '<folder> <num_frames> <label>'")
    return record


def _is_integer(text: str) -> bool:
    return text.removeprefix("-").isdecimal() and text.isascii()


def video_path(record: VideoRecord, spec: DatasetSpec) -> Path:
    """Where the video of a record is; a file without an extension is an .mp4."""
    path = spec.root / record.path
    if spec.storage == "videos" and not path.suffix:
        return path.with_name(path.name + ".mp4")
    return path


def check_first_video(records: list[VideoRecord], spec: DatasetSpec, skip: bool = False) -> None:
    """Catch a wrong root or template before anything runs: the first video of a list must be there.

    Args:
        skip: videos may be broken; one of the first few must be there.

    Raises:
        InputError: it is not.
    """
    if not os.path.isdir(spec.root):
        raise InputError(f"{spec.root}: expected the root folder of data set {spec.name}, got no such folder")
    problems = []
    for record in records[: FIRST_VIDEOS if skip else 1]:
        try:
            _check_video_is_there(record, spec)
            return
        except InputError as error:
            problems.append(error)
    raise problems[0]


def _check_video_is_there(record: VideoRecord, spec: DatasetSpec) -> None:
    path = video_path(record, spec)
    if spec.storage == "videos":
        if not os.path.isfile(path):
            raise InputError(f"{path}: expected a video file (the first of its list), got nothing there")
    elif not os.path.isdir(path):
        raise InputError(f"{path}: expected a folder of images (the first of its list), got no such folder")
    elif not any(os.path.isfile(path / spec.image_tmpl.format(i)) for i in (0, 1)):
        raise InputError(f"{path}: expected images like {spec.image_tmpl.format(1)}, got none in this folder")
