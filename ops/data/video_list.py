"""List files: one video a line, with the data set's rules of what a line may say and where a video is."""

import hashlib
import itertools
import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, overload

import numpy as np

from ops.data.dataset_config import DatasetSpec, parts_of_lines
from ops.runtime import InputError
from ops.video import MAX_FRAMES

FIRST_VIDEOS = 20  # of which one must be there
WHAT = "a list of videos"


class VideoRecord(NamedTuple):
    """One line of a list: ``path`` as written there, ``num_frames`` None for video files."""

    path: str
    num_frames: int | None
    label: int


class PlainLines(NamedTuple):
    """Many lines at once: their paths in one text of ASCII, and of each the length of its path, frames or -1, label."""

    paths: str
    columns: np.ndarray  # (3, lines) int64


class VideoList(Sequence[VideoRecord]):
    """The videos of a list, held in two arrays; a record is made when it is asked for.

    Data-loading workers are forked and share the memory of the main process until one of them writes to it. Looking at
    a Python object is such a write (it counts its references), so a list of objects would soon be copied into every
    worker. Looking into an array is not.
    """

    def __init__(self, records: Iterable[VideoRecord | PlainLines]) -> None:
        paths, rows = bytearray(), array("q")
        for record in records:
            begin = len(paths)
            if isinstance(record, PlainLines):
                lengths, frames, labels = record.columns
                ends = begin + lengths.cumsum()
                rows.frombytes(np.stack([ends - lengths, ends, frames, labels], axis=1).tobytes())
                paths += record.paths.encode()
            else:
                paths += record.path.encode()
                rows.extend((begin, len(paths), -1 if record.num_frames is None else record.num_frames, record.label))
        # Neither is copied: a list may have millions of lines.
        self._paths = paths  # one after another
        self._rows = np.frombuffer(rows, np.int64).reshape(-1, 4)  # begin and end of path, frames or -1, label

    def __len__(self) -> int:
        return len(self._rows)

    def digest(self) -> str:
        """A digest of paths, numbers of frames and labels, in order."""
        found = hashlib.sha256(self._paths)
        found.update(np.ascontiguousarray(self._rows).data)
        return found.hexdigest()

    @overload
    def __getitem__(self, index: int) -> VideoRecord: ...

    @overload
    def __getitem__(self, index: slice) -> "VideoList": ...

    def __getitem__(self, index: int | slice) -> "VideoRecord | VideoList":
        if isinstance(index, slice):
            part = VideoList(())
            part._paths, part._rows = self._paths, self._rows[index]
            return part
        begin, end, num_frames, label = self._rows[index].tolist()
        return VideoRecord(self._paths[begin:end].decode(), None if num_frames < 0 else num_frames, label)


def parse_list(path: Path, spec: DatasetSpec) -> Iterator[tuple[int, str, VideoRecord | ValueError]]:
    """The lines of a list file that are not blank, in order, whether they are right or wrong.

    Yields the number of each line, from 1, its text as it stands, and its video, or what is wrong with it.

    Raises:
        InputError: the file is missing or empty.
    """
    empty = True
    for found in _parse_lines(itertools.chain.from_iterable(parts_of_lines(path, WHAT)), 1, spec):
        empty = False
        yield found
    if empty:
        raise _empty(path)


def _empty(path: Path) -> InputError:
    return InputError(f"{path}: expected at least one video, got an empty list")


def _parse_lines(
    lines: Iterable[str], first: int, spec: DatasetSpec
) -> Iterator[tuple[int, str, VideoRecord | ValueError]]:
    """Lines of which the first one has the number ``first``."""
    parse = _parse_frames_line if spec.storage == "frames" else _parse_videos_line
    for number, text in enumerate(lines, first):
        line = text.strip()
        if not line:
            continue
        try:
            video: VideoRecord | ValueError = parse(line, spec)
        except ValueError as error:
            video = error
        yield number, text, video


def read_list(path: Path, spec: DatasetSpec) -> VideoList:
    """The videos of a list file, in order.

    Raises:
        InputError: the file is missing or empty, or a line (named) is not of the data set's form.
    """
    videos = VideoList(_right_videos(path, spec))
    if not videos:
        raise _empty(path)
    return videos


def _right_videos(path: Path, spec: DatasetSpec) -> Iterator[VideoRecord | PlainLines]:
    first = 1
    for lines in parts_of_lines(path, WHAT):
        plain = _plain_lines(lines, spec)
        if plain is not None:
            yield plain
        else:
            for number, _, video in _parse_lines(lines, first, spec):
                if isinstance(video, ValueError):
                    raise InputError(f"{path}, line {number}: {video}")
                yield video
        first += len(lines)


def _plain_lines(lines: list[str], spec: DatasetSpec) -> PlainLines | None:
    """Lines that are right and have nothing special about them, several times as fast; None where one may have."""
    fields = 3 if spec.storage == "frames" else 2
    words = " ".join(lines).split()  # not each line by itself: the garbage collector looks at millions of small lists
    paths, *columns = (words[field::fields] for field in range(fields))
    if not words or list(map(" ".join, zip(paths, *columns, strict=False))) != lines:
        return None
    text, digits = "".join(paths), "".join(itertools.chain(*columns))
    if not (text.isascii() and digits.isascii() and digits.isdecimal()):
        return None
    labels, frames = list(map(int, columns[-1])), list(map(int, columns[0])) if len(columns) > 1 else None
    if max(labels) >= spec.num_classes or (frames is not None and not 1 <= min(frames) <= max(frames) <= MAX_FRAMES):
        return None
    if frames is None and any(path.endswith(("/", ".")) for path in paths):  # may name no file
        return None
    return PlainLines(text, np.array([list(map(len, paths)), frames or [-1] * len(labels), labels], np.int64))


def _parse_frames_line(line: str, spec: DatasetSpec) -> VideoRecord:
    parts = line.rsplit(maxsplit=2)
    if len(parts) < 3 or not _is_integer(parts[1]) or not _is_integer(parts[2]):
        raise ValueError(f"expected '<folder> <num_frames> <label>', got {line!r}")
    if not 1 <= int(parts[1]) <= MAX_FRAMES:
        raise ValueError(f"expected 1 to {MAX_FRAMES} frames, got {line!r}")
    return VideoRecord(parts[0], int(parts[1]), _label(parts[2], spec))


def _parse_videos_line(line: str, spec: DatasetSpec) -> VideoRecord:
    parts = line.rsplit(maxsplit=1)
    if len(parts) < 2 or not _is_integer(parts[1]):
        raise ValueError(f"expected '<file> <label>', got {line!r}")
    record = VideoRecord(parts[0], None, _label(parts[1], spec))
    if record.path.endswith(("/", ".")) and not Path(record.path).name:
        raise ValueError(f"expected '<file> <label>', got {line!r}, which names no file")
    # A frames list would pass as a videos list of files named 'folder 48': only such a file can tell.
    words = record.path.rsplit(maxsplit=1)
    if len(words) > 1 and _is_integer(words[-1]) and not os.path.isfile(video_path(record, spec)):
        raise ValueError(f"expected '<file> <label>', got {line!r}, which looks like '<folder> <num_frames> <label>'")
    return record


def _label(text: str, spec: DatasetSpec) -> int:
    label = int(text)
    if not 0 <= label < spec.num_classes:
        raise ValueError(f"expected a label in 0..{spec.num_classes - 1}, got {label}")
    return label


def _is_integer(text: str) -> bool:
    return text.removeprefix("-").isdecimal() and text.isascii()


def video_path(record: VideoRecord, spec: DatasetSpec) -> Path:
    """Where the video of a record is; a file without an extension is an .mp4."""
    path = spec.root / record.path
    if spec.storage == "videos" and not path.suffix:
        return path.with_name(path.name + ".mp4")
    return path


def check_first_video(records: Sequence[VideoRecord], spec: DatasetSpec, skip: bool = False) -> None:
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
