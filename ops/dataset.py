"""Videos as the network sees them: list files, and data sets of clips for training, validation and testing.

T segments of F = 5 frames, s x s pixels. What leaves a worker is uint8. A video that cannot be read becomes a
BrokenVideo, which says why; the consumer decides what follows. Only training may take another video in its place.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from ops.clip_watch import ClipWatch
from ops.dataset_config import DatasetSpec
from ops.errors import InputError
from ops.sampling import FRAMES_PER_SEGMENT, FrameSampler
from ops.transforms import Box, TestTransform, TrainTransform, crop, from_images
from ops.video_errors import MAX_FRAMES, VideoError
from ops.video_reader import FrameFolder, Reader, open_video, read_frames

FIRST_VIDEOS = 20  # of which one must be there
MAX_DRAWS = 100  # of a video in place of a broken one


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
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"{path}: expected a list of videos, got {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected a list in UTF-8, got {error}") from None
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
    if _is_integer(parts[0].split()[-1]) and " " in parts[0] and not os.path.isfile(video_path(record, spec)):
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


@dataclass(frozen=True)
class VideoSource:
    """Opens the videos of a data set.

    Args:
        spec: the data set.
        records: its videos.
        decoder: ``decord`` or ``pyav``.
    """

    spec: DatasetSpec
    records: list[VideoRecord]
    decoder: str

    def path(self, index: int) -> Path:
        return video_path(self.records[index], self.spec)

    def open(self, index: int) -> Reader:
        record, path = self.records[index], self.path(index)
        if record.num_frames is not None:
            return FrameFolder(path, record.num_frames, self.spec.image_tmpl)
        return open_video(path, self.decoder)


class SampleKey(NamedTuple):
    """Which training sample: all of its random draws follow from (seed, epoch, video)."""

    epoch: int
    video: int


class BrokenVideo(NamedTuple):
    """A video that could not be read, and why."""

    video: int
    reason: str


class Clip(NamedTuple):
    """pixels (T, F, 3, s, s) uint8; label; its place in the list; the broken videos in whose place it was drawn."""

    pixels: Tensor
    label: int
    video: int
    replaced: tuple[BrokenVideo, ...] = ()


class TestVideo(NamedTuple):
    """Every view of one video.

    frames (U, 3, H, W) uint8: the distinct frames, resized; places: for each number of segments, (clips, T, F)
    indices into them; boxes: the crops.
    """

    frames: Tensor
    places: tuple[np.ndarray, ...]
    boxes: tuple[Box, ...]
    label: int
    video: int

    def view(self, model: int, clip: int, box: int) -> Tensor:
        """Pixels (T, F, 3, s, s) of one view."""
        places = self.places[model][clip]  # (T, F)
        return crop(self.frames, self.boxes[box])[places.ravel()].unflatten(0, places.shape)


class TrainClips(Dataset):
    """Random clips for training; indexed by SampleKey.

    Args:
        source: the videos.
        num_segments: T.
        sampler: which frames.
        transform: which crop, mirrored or not.
        seed: of every random draw.
        substitute: draw another video in place of a broken one, whose label and place the clip then has.
    """

    def __init__(
        self,
        source: VideoSource,
        num_segments: int,
        sampler: FrameSampler,
        transform: TrainTransform,
        seed: int,
        substitute: bool = False,
    ) -> None:
        self.source = source
        self.num_segments = num_segments
        self.sampler = sampler
        self.transform = transform
        self.seed = seed
        self.substitute = substitute
        self.watch = ClipWatch(0, 0, source.path)

    def __len__(self) -> int:
        return len(self.source.records)

    def __getitem__(self, key: SampleKey) -> Clip | BrokenVideo:
        sample = self._read(key.video, np.random.default_rng((self.seed, key.epoch, key.video)))
        broken: list[BrokenVideo] = []
        while isinstance(sample, BrokenVideo) and self.substitute:
            broken.append(sample)
            if len(broken) > MAX_DRAWS:
                return sample._replace(reason=f"{sample.reason} (nor could any of {MAX_DRAWS} drawn before it be read)")
            rng = np.random.default_rng((self.seed, key.epoch, key.video, len(broken)))
            sample = self._read(int(rng.integers(len(self))), rng)
        return sample._replace(replaced=tuple(broken)) if isinstance(sample, Clip) else sample

    def _read(self, video: int, rng: np.random.Generator) -> Clip | BrokenVideo:
        self.watch.begin(video)
        try:
            reader = self.source.open(video)
            indices = self.sampler.train(len(reader), self.num_segments, rng)  # (T, F)
            frames, places = read_frames(reader, indices)  # (U, H, W, 3), (T, F)
            label = self.source.records[video].label
            pixels, label = self.transform(from_images(frames), label, rng)
            return Clip(pixels[places.ravel()].unflatten(0, places.shape), label, video)
        except VideoError as error:
            return BrokenVideo(video, str(error))
        finally:
            self.watch.end()


class TestVideos(Dataset):
    """Evenly spread clips of whole videos for validation and testing; every clip from one opening of the file.

    Args:
        source: the videos.
        segment_counts: T of each model that will see them.
        sampler: which frames.
        transform: which crops.
        clips: which clips of ``num_clips``.
        num_clips: K.
    """

    __test__ = False  # not a pytest class

    def __init__(
        self,
        source: VideoSource,
        segment_counts: tuple[int, ...],
        sampler: FrameSampler,
        transform: TestTransform,
        clips: tuple[int, ...] = (0,),
        num_clips: int = 1,
    ) -> None:
        self.source = source
        self.segment_counts = segment_counts
        self.sampler = sampler
        self.transform = transform
        self.clips = clips
        self.num_clips = num_clips
        self.watch = ClipWatch(0, 0, source.path)

    def __len__(self) -> int:
        return len(self.source.records)

    def __getitem__(self, index: int) -> TestVideo | BrokenVideo:
        self.watch.begin(index)
        try:
            reader = self.source.open(index)
            indices = [self._indices(len(reader), t, index) for t in self.segment_counts]  # (clips, T, F) each
            frames, places = read_frames(reader, np.concatenate([i.ravel() for i in indices]))
            pixels, boxes = self.transform(from_images(frames))
            split = np.split(places, np.cumsum([i.size for i in indices])[:-1])
            shaped = tuple(p.reshape(i.shape) for p, i in zip(split, indices, strict=True))
            return TestVideo(pixels.contiguous(), shaped, boxes, self.source.records[index].label, index)
        except VideoError as error:
            return BrokenVideo(index, str(error))
        finally:
            self.watch.end()

    def _indices(self, num_frames: int, num_segments: int, index: int) -> np.ndarray:
        clips = [self.sampler.test(num_frames, num_segments, index, c, self.num_clips) for c in self.clips]
        return np.stack(clips).reshape(len(clips), num_segments, FRAMES_PER_SEGMENT)
