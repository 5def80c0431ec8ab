"""What a command line can name as videos: files, folders, patterns, frame folders, lists, streams, cameras."""

import glob
import os
import re
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ops.data import VideoRecord, VideoSource, read_lines
from ops.inference.streams import StreamedVideo
from ops.runtime import Failure, InputError
from ops.video import FrameFolder, Reader, VideoError, is_video_name, open_video

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
LIST_SUFFIXES = (".txt", ".lst")
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")
_CAMERA = re.compile(r"camera(?::(\d+))?")
_NUMBERED = re.compile(r"(.*?)(\d+)(\.\w+)")


@dataclass(frozen=True)
class Source:
    """A video, wherever it is.

    Args:
        name: as people call it: what was asked for, or the path of a file in what was asked for.
        kind: ``file``, ``frames``, ``url`` or ``camera``.
        num_frames, template: of a folder of frames.
    """

    name: str
    kind: str = "file"
    num_frames: int | None = None
    template: str = ""

    def open(self, decoder: str) -> Reader:
        """The frames by number.

        Raises:
            VideoError: it cannot be read.
        """
        if self.kind == "camera":
            raise VideoError(f"{self.name}: expected a video with an end, got a camera (predict.py --every reads it)")
        if self.kind == "frames":
            assert self.num_frames is not None
            return FrameFolder(Path(self.name), self.num_frames, self.template)
        return open_video(Path(self.name), decoder) if self.kind == "file" else StreamedVideo(self.name)

    @property
    def device(self) -> dict[str, Any]:
        """What PyAV needs to open a camera or a URL."""
        found = _CAMERA.fullmatch(self.name)
        if self.kind != "camera":
            return {"file": self.name}
        number = found[1] or "0" if found else self.name.removeprefix("/dev/video")
        if sys.platform == "darwin":
            return {"file": number, "format": "avfoundation"}
        return {"file": f"/dev/video{number}", "format": "v4l2"}


@dataclass(frozen=True)
class NamedVideos(VideoSource):
    """Videos that no list names, for the loaders of lists."""

    sources: Sequence[Source] = ()

    def path(self, index: int) -> Path:
        return Path(self.sources[index].name)

    def open(self, index: int) -> Reader:
        return self.sources[index].open(self.decoder)


def record_of(source: Source) -> VideoRecord:
    return VideoRecord(source.name, source.num_frames, 0)


def find_sources(words: Sequence[str]) -> list[Source | Failure]:
    """The videos that words of a command line mean, in order, and what cannot be one."""
    found: list[Source | Failure] = []
    for word in words:
        try:
            found += _sources_of(word)
        except InputError as error:
            found.append(Failure(word, str(error)))
    return found


def find_source(word: str) -> Source:
    """The only video that a word means.

    Raises:
        InputError: it means none, or several.
    """
    sources = _sources_of(word)
    if len(sources) != 1:
        raise InputError(f"{word}: expected one video, got {len(sources)}")
    return sources[0]


def _sources_of(word: str) -> list[Source]:
    if _CAMERA.fullmatch(word) or (os.path.exists(word) and stat.S_ISCHR(os.stat(word).st_mode)):
        return [Source(word, "camera")]
    if _URL.match(word):
        return [Source(word, "url")]
    if os.path.isdir(word):
        return _in_folder(Path(word))
    if os.path.isfile(word):
        return list(_in_list(Path(word))) if word.lower().endswith(LIST_SUFFIXES) else [Source(word)]
    if glob.has_magic(word):
        matches = sorted(glob.glob(word, recursive=True))
        if not matches:
            raise InputError(f"{word}: expected files of this pattern, got none")
        return [source for match in matches for source in _sources_of(match)]
    raise InputError(f"{word}: expected a video, a folder, a list, a URL or camera, got nothing there")


def _in_folder(folder: Path) -> list[Source]:
    found: list[Source] = []
    for path, subfolders, names in os.walk(folder, followlinks=False):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        videos = [name for name in sorted(names) if is_video_name(name) and not name.startswith(".")]
        found += [Source(str(Path(path, name))) for name in videos]
        found += [] if videos else frame_folder(Path(path), names)
    if not found:
        raise InputError(f"{folder}: expected videos or images numbered like 00001.jpg in this folder, got none")
    return found


def frame_folder(folder: Path, names: Sequence[str]) -> list[Source]:
    """The video whose frames are the images of a folder; nothing where there are no numbered ones."""
    images = sorted(name for name in names if name.lower().endswith(IMAGE_SUFFIXES))
    parts = _NUMBERED.fullmatch(images[0]) if images else None
    if parts is None:
        return []
    prefix, number, ending = parts.groups()
    escaped = [text.replace("{", "{{").replace("}", "}}") for text in (prefix, ending)]
    width = f"0{len(number)}" if len({len(name) for name in images}) == 1 or number.startswith("0") else ""
    template = f"{escaped[0]}{{:{width}d}}{escaped[1]}"
    same = [name for name in images if (p := _NUMBERED.fullmatch(name)) and (p[1], p[3]) == (prefix, ending)]
    return [Source(str(folder), "frames", len(same), template)]


def _in_list(path: Path) -> Iterator[Source]:
    """A video a line, relative to the list; what follows it (number of frames, label) may stand there."""
    lines = [line.strip() for line in read_lines(path, "a list of videos") if line.strip()]
    if not lines:
        raise InputError(f"{path}: expected a list with one video per line, got an empty file")
    for line in lines:
        yield _of_line(line, path.parent)


def _of_line(line: str, folder: Path) -> Source:
    if _URL.match(line):
        return Source(line, "url")
    words = [re.sub(rf"(\s+\d+){{{count}}}$", "", line) for count in range(3)]
    for word in words:
        for place in (folder / word, Path(word)):
            named = [path for path in (place, place.with_name(f"{place.name}.mp4")) if path.is_file()]
            frames = frame_folder(place, os.listdir(place)) if place.is_dir() else []
            if named:
                return Source(str(named[0]))
            if frames:
                numbers = line[len(word) :].split()
                return replace(frames[0], num_frames=int(numbers[0])) if len(numbers) == 2 else frames[0]
    return Source(str(folder / words[1]))  # what is wrong with it is said where it is opened
