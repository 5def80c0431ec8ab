"""Videos as the network sees them: data sets of clips for training, validation and testing.

T segments of F frames, s x s pixels. What leaves a worker is uint8. A video that cannot be read becomes a
BrokenVideo, which says why; the consumer decides what follows. Only training may take another video in its place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ops.data.clip_watch import ClipWatch
from ops.data.dataset_config import DatasetSpec
from ops.data.planes import PackedClip
from ops.data.sampling import FrameSampler
from ops.data.transforms import Box, DrawnOnSight, Frames, TestTransform, TrainTransform, crop, from_images
from ops.data.video_list import VideoRecord, video_path
from ops.video import (
    FrameFolder,
    PacketIndex,
    Packing,
    PyAVReader,
    Reader,
    VideoError,
    index_beside,
    open_video,
    read_frames,
)

MAX_DRAWS = 100  # of a video in place of a broken one


@dataclass(frozen=True)
class VideoSource:
    """Opens the videos of a data set.

    Args:
        spec: the data set.
        records: its videos.
        decoder: a key of ``DECODERS``.
        index: of the packets of video files.
        pixels: what is read of video files: ``rgb``, or ``yuv`` for packed pictures (planes.py).
        least_side: down to which the short side of JPEG images may be decoded at reduced size; None decodes all.
    """

    spec: DatasetSpec
    records: Sequence[VideoRecord]
    decoder: str
    index: PacketIndex | None = None
    pixels: str = "rgb"
    least_side: int | None = None

    @classmethod
    def of_list(
        cls,
        spec: DatasetSpec,
        video_list: Path,
        records: Sequence[VideoRecord],
        decoder: str,
        pixels: str = "rgb",
        least_side: int | None = None,
    ) -> "VideoSource":
        """The videos of a list, with the packet index in its folder; every process of a run calls it."""
        index = index_beside(video_list, spec.root) if spec.storage == "videos" else None
        return cls(spec, records, decoder, index, pixels, least_side)

    def path(self, index: int) -> Path:
        return video_path(self.records[index], self.spec)

    def open(self, index: int) -> Reader:
        record, path = self.records[index], self.path(index)
        if record.num_frames is not None:
            return FrameFolder(path, record.num_frames, self.spec.image_tmpl, self.least_side)
        return open_video(path, self.decoder, self.index, self.pixels)


class SampleKey(NamedTuple):
    """Which training sample: all of its random draws follow from (seed, epoch, video)."""

    epoch: int
    video: int


class BrokenVideo(NamedTuple):
    """A video that could not be read, and why."""

    video: int
    reason: str


class Clip(NamedTuple):
    """pixels (T, F, 3, s, s) uint8; label; its place in the list; the broken videos in whose place it was drawn.

    Packed pixels become these on the model's device.
    """

    pixels: Frames
    label: int
    video: int
    replaced: tuple[BrokenVideo, ...] = ()


class TestVideo(NamedTuple):
    """Every view of one video.

    frames (U, 3, H, W) uint8: the distinct frames, resized, channels innermost in memory; places: for each network,
    (clips, T, F) indices into them; boxes: the crops. Packed frames become these on a
    device.
    """

    frames: Frames
    places: tuple[np.ndarray | Tensor, ...]
    boxes: tuple[Box, ...]
    label: int
    video: int

    def on(self, device: torch.device) -> "TestVideo":
        """The video on a device: its frames as RGB, and its places in one piece."""
        is_packed = isinstance(self.frames, PackedClip)
        frames = self.frames.on(device) if is_packed else self.frames.to(device, non_blocking=True)
        places = torch.from_numpy(np.concatenate([np.ravel(p) for p in self.places])).to(device, non_blocking=True)
        parts = places.split([p.size for p in self.places])
        shaped = tuple(part.view(p.shape) for part, p in zip(parts, self.places, strict=True))
        return self._replace(frames=frames, places=shaped)

    def view(self, model: int, clip: int, box: int) -> Tensor:
        """Pixels (T, F, 3, s, s) of one view, of RGB frames."""
        places = torch.as_tensor(self.places[model][clip])  # (T, F)
        return crop(self.frames, self.boxes[box])[places.flatten()].unflatten(0, places.shape)

    def first_view(self) -> Frames:
        """Pixels (T, F, 3, s, s) of the first view; packed frames are those of the only crop."""
        return (
            self.frames.take(np.asarray(self.places[0][0]))
            if isinstance(self.frames, PackedClip)
            else self.view(0, 0, 0)
        )


def _packing(reader: Reader) -> Packing | None:
    return reader.packing if isinstance(reader, PyAVReader) else None


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
                return sample._replace(reason=f"{sample.reason} ({MAX_DRAWS} other videos could not be read either)")
            rng = np.random.default_rng((self.seed, key.epoch, key.video, len(broken)))
            sample = self._read(int(rng.integers(len(self))), rng)
        return sample._replace(replaced=tuple(broken)) if isinstance(sample, Clip) else sample

    def _read(self, video: int, rng: np.random.Generator) -> Clip | BrokenVideo:
        self.watch.begin(video)
        try:
            reader = self.source.open(video)
            indices = self.sampler.train(len(reader), self.num_segments, rng)  # (T, F)
            drawn = DrawnOnSight(self.transform, rng)
            cut = None if self.transform.sees_whole else drawn
            frames, places = read_frames(reader, indices, cut)  # (U, H, W, 3) or crops, (T, F)
            pixels, label = drawn.apply(from_images(frames, _packing(reader)), self.source.records[video].label)
            if isinstance(pixels, PackedClip):
                return Clip(pixels.take(places), label, video)
            if len(pixels) < places.size:  # some frames are there twice
                pixels = pixels[places.ravel()]
            return Clip(pixels.unflatten(0, places.shape), label, video)
        except VideoError as error:
            return BrokenVideo(video, str(error))
        finally:
            self.watch.end()


class TestVideos(Dataset):
    """Evenly spread clips of whole videos for validation and testing; every clip from one opening of the file.

    Args:
        source: the videos.
        networks: T, and which frames, of each network that will see them.
        transform: which crops.
        clips: which clips of ``num_clips``.
        num_clips: K.
    """

    def __init__(
        self,
        source: VideoSource,
        networks: Sequence[tuple[int, FrameSampler]],
        transform: TestTransform,
        clips: tuple[int, ...] = (0,),
        num_clips: int = 1,
    ) -> None:
        self.source = source
        self.networks = networks
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
            indices = [self._indices(len(reader), *network, index) for network in self.networks]  # (clips, T, F) each
            frames, places = read_frames(reader, np.concatenate([i.ravel() for i in indices]))
            pixels, boxes = self.transform(from_images(frames, _packing(reader)))
            split = np.split(places, np.cumsum([i.size for i in indices])[:-1])
            shaped = tuple(p.reshape(i.shape) for p, i in zip(split, indices, strict=True))
            if isinstance(pixels, Tensor):  # as decoded: mostly nothing is copied
                pixels = pixels.contiguous(memory_format=torch.channels_last)
            return TestVideo(pixels, shaped, boxes, self.source.records[index].label, index)
        except VideoError as error:
            return BrokenVideo(index, str(error))
        finally:
            self.watch.end()

    def _indices(self, num_frames: int, num_segments: int, sampler: FrameSampler, index: int) -> np.ndarray:
        return np.stack([sampler.test(num_frames, num_segments, index, c, self.num_clips) for c in self.clips])
