"""The sides of benchmark.py loader, augment and test: reading as the published code does, and as this project does."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import av
import numpy as np
import torch
from PIL import Image

from ops.data import (
    Batch,
    Clip,
    DatasetOptions,
    DatasetSpec,
    FrameSampler,
    SampleKey,
    TestTransform,
    TestVideo,
    TestVideos,
    TrainClips,
    TrainTransform,
    VideoRecord,
    VideoSource,
    collate_clips,
    least_train_side,
    parse_augment,
    resolve_dataset,
    test_scale,
)
from ops.runtime import InputError
from ops.video import DECODERS, choose_decoder, open_container

NUM_CLIPS = 10
SIZE, FRAMES, RATE = (340, 256), 250, 25  # of the video that is made: ten seconds


class LoaderOracle(Protocol):
    """The published way of loading: offsets of segments, frames of a video or folder, clips and crops of them."""

    train_offsets: Callable[..., Any]
    test_offsets: Callable[..., Any]
    clip_frames: Callable[..., Any]
    video_frames: Callable[..., Any]
    folder_frames: Callable[..., Any]
    train_clip: Callable[..., Any]
    three_crops: Callable[..., Any]
    to_tensor: Callable[..., Any]


class ClipShape(NamedTuple):
    """T segments of F frames, s x s pixels."""

    segments: int
    frames: int
    size: int


# Operations that have a probability are applied to every clip, those of the sets with their own probabilities.
AUGMENTATIONS = (
    *("randaugment", "randaugment:geometric=off", "jitter:probability=1", "jitter:probability=1:hue=0.1"),
    *("blur:probability=1", "grayscale:probability=1", "erase:probability=1", "color", "strong"),
)

Sides = dict[str, Callable[[], Any]]
Named = tuple[str, str, Sides]  # title, yardstick, sides


def make_video(path: Path) -> None:
    """An H.264 video of moving grain on a moving ground, with x264's settings as they come."""
    rng = np.random.default_rng(0)
    width, height = SIZE
    small = Image.fromarray(rng.integers(0, 256, (height // 16, width // 8, 3), dtype=np.uint8))
    ground = np.asarray(small.resize((2 * width, height), Image.Resampling.BICUBIC)).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(FRAMES):
            left = number * width // FRAMES
            picture = ground[:, left : left + width] + rng.integers(-12, 13, (height, width, 1), dtype=np.int16)
            frame = av.VideoFrame.from_ndarray(picture.clip(0, 255).astype(np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def make_folder(video: Path, folder: Path) -> int:
    """The frames of a video as 00001.jpg and so on; returns how many."""
    folder.mkdir(parents=True)
    count = 0
    with open_container(video) as container:
        for frame in container.decode(video=0):
            count += 1
            frame.to_image().save(folder / f"{count:05d}.jpg", quality=90)
    return count


def _spec(root: Path, storage: str) -> DatasetSpec:
    for name in ("list.txt", "classes.txt"):
        (root / name).write_text("a 0\n" if name == "list.txt" else "a\nb\n")
    return resolve_dataset(
        DatasetOptions(
            name="benchmark", root_path=str(root), train_list="list.txt", val_list="list.txt", num_class=2,
            class_names=str(root / "classes.txt"), image_tmpl="{:05d}.jpg", storage=storage, split=None,
            dataset_config=None,
        )
    )  # fmt: skip


def _decoders() -> list[str]:
    found = []
    for name in DECODERS:
        try:
            if choose_decoder(name) == name:
                found.append(name)
        except InputError:
            continue
    return found


def clip_of_file(root: Path, file: Path, shape: ClipShape, pixels: str = "rgb") -> Callable[[], Batch]:
    """Training clips of a video file, read with PyAV."""
    source = VideoSource(_spec(root, "videos"), [VideoRecord(str(file), None, 0)], "pyav", None, pixels)
    return _train_clip(source, shape)


def clips_of_files(
    videos: Sequence[Path] | None, shape: ClipShape, pixels: str
) -> Iterator[tuple[str, Callable[[], Batch]]]:
    """Each video, by name, and training clips of it."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if videos is None:
            make_video(root / "made.mp4")
        for path in videos or [root / "made.mp4"]:
            yield path.name, clip_of_file(root, path.resolve(), shape, pixels)


def _train_clip(source: VideoSource, shape: ClipShape, augment: str = "none") -> Callable[[], Batch]:
    """Batches of one training clip; where packets are is known from the second on, as it is with an index."""
    sampler, transform = FrameSampler(shape.frames), TrainTransform(shape.size, (0, 1), parse_augment(augment))
    clips = TrainClips(source, shape.segments, sampler, transform, seed=0)
    epoch = iter(range(10**9))

    def work() -> Batch:
        clip = clips[SampleKey(next(epoch), 0)]
        if not isinstance(clip, Clip):
            raise InputError(str(clip))
        return collate_clips([clip])

    return work


def _bare_batch(path: Path, shape: ClipShape, oracle: LoaderOracle) -> Callable[[], Any]:
    import decord

    draws = np.random.default_rng(0)

    def work() -> Any:
        reader = decord.VideoReader(str(path), num_threads=1)
        offsets = oracle.train_offsets(len(reader), shape.segments, draws, shape.frames)
        return reader.get_batch(oracle.clip_frames(offsets, len(reader), shape.frames)).asnumpy()

    return work


def loader_sides(videos: Sequence[Path] | None, shape: ClipShape, oracle: LoaderOracle) -> Iterator[Named]:
    """For each video: training clips from the file, then from a folder of its frames."""
    segments, per_segment, size = shape
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if videos is None:
            make_video(root / "made.mp4")
        for number, path in enumerate(videos or [root / "made.mp4"]):
            path = path.resolve()
            spec = _spec(root, "videos")
            draws = np.random.default_rng(0)
            decoders = _decoders()

            def naive_video(path: Path = path, draws: np.random.Generator = draws) -> Any:
                def choose(length: int) -> Any:
                    return oracle.train_offsets(length, segments, draws, per_segment)

                return oracle.train_clip(oracle.video_frames(path, choose, per_segment), size, draws)

            sides: Sides = {}
            if "decord" in decoders:
                sides = {"oracle": naive_video, "bare decord get_batch": _bare_batch(path, shape, oracle)}
            for decoder in decoders:
                source = VideoSource(spec, [VideoRecord(str(path), None, 0)], decoder)
                sides[f"loader, {decoder}"] = _train_clip(source, shape)
            sides["loader, pyav, --pixels yuv"] = clip_of_file(root, path, shape, "yuv")
            yield f"training clip of {path.name}", next(iter(sides)), sides

            count = make_folder(path, root / f"frames{number}")

            def naive_folder(
                count: int = count, frames_of: Path = root / f"frames{number}", draws: np.random.Generator = draws
            ) -> Any:
                def choose(length: int) -> Any:
                    return oracle.train_offsets(length, segments, draws, per_segment)

                return oracle.train_clip(oracle.folder_frames(frames_of, count, choose, per_segment), size, draws)

            source = VideoSource(_spec(root, "frames"), [VideoRecord(f"frames{number}", count, 0)], decoders[0])
            reduced = replace(source, least_side=least_train_side(size))
            sides = {
                "oracle": naive_folder,
                "loader": _train_clip(source, shape),
                "loader, --reduced_jpeg": _train_clip(reduced, shape),
            }
            yield f"training clip of the JPEG frames of {path.name}", "oracle", sides


def augmentation_sides(videos: Sequence[Path] | None, shape: ClipShape) -> Iterator[Named]:
    """For each video: the same training clips without augmentation and with each, read with PyAV."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if videos is None:
            make_video(root / "made.mp4")
        for path in videos or [root / "made.mp4"]:
            source = VideoSource(_spec(root, "videos"), [VideoRecord(str(path.resolve()), None, 0)], "pyav")
            sides = {augment: _train_clip(source, shape, augment) for augment in ("none", *AUGMENTATIONS)}
            yield f"training clip of {path.name}, augmented", "none", sides


def _load_views(source: VideoSource, shape: ClipShape, runs: list[tuple[int, ...]]) -> None:
    """What the workers of some runs of the test script for three crops do, each for some clips."""
    transform = TestTransform(test_scale(shape.size), test_scale(shape.size), 3)
    for clips in runs:
        video = TestVideos(source, [(shape.segments, FrameSampler(shape.frames))], transform, clips, NUM_CLIPS)[0]
        if not isinstance(video, TestVideo):
            raise InputError(str(video))


def _naive_views(path: Path, shape: ClipShape, oracle: LoaderOracle) -> None:
    """All views, one run a clip."""
    segments, per_segment, size = shape
    for clip in range(NUM_CLIPS):

        def choose(length: int, clip: int = clip) -> list[int]:
            return oracle.test_offsets(length, segments, clip, NUM_CLIPS, per_segment)

        frames = oracle.video_frames(path, choose, per_segment)
        oracle.three_crops(frames, test_scale(size), test_scale(size))


def many_view_sides(videos: Sequence[Path] | None, shape: ClipShape, oracle: LoaderOracle) -> Iterator[Named]:
    """For each video: its 30 views (10 clips x 3 crops) clip by clip, and all at once."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if videos is None:
            make_video(root / "made.mp4")
        decoder = _decoders()[0]
        for path in videos or [root / "made.mp4"]:
            path = path.resolve()
            source = VideoSource(_spec(root, "videos"), [VideoRecord(str(path), None, 0)], decoder)

            sides: Sides = {
                "ten runs": partial(_load_views, source, shape, [(clip,) for clip in range(NUM_CLIPS)]),
                "one run": partial(_load_views, source, shape, [tuple(range(NUM_CLIPS))]),
            }
            if "decord" in _decoders():
                sides["oracle, ten runs"] = partial(_naive_views, path, shape, oracle)
            yield f"30 views of {path.name}", "ten runs", sides


def loader_sizes(shape: ClipShape, oracle: LoaderOracle) -> dict[str, int]:
    """Bytes of a clip on its way to the device."""
    with tempfile.TemporaryDirectory() as folder:
        make_video(Path(folder) / "made.mp4")
        source = VideoSource(_spec(Path(folder), "videos"), [VideoRecord("made.mp4", None, 0)], _decoders()[0])
        ours = _train_clip(source, shape)().pixels
        assert isinstance(ours, torch.Tensor)
        naive = oracle.to_tensor([Image.new("RGB", (shape.size, shape.size))] * (shape.frames * shape.segments))
        return {"bytes a clip, oracle": naive.nbytes, "bytes a clip, loader": ours.nbytes}


def training_clips_per_second(folder: Path, shape: ClipShape, seconds: float = 3) -> float:
    """How many training clips of a made video one process reads in a second."""
    make_video(folder / "made.mp4")
    source = VideoSource(_spec(folder, "videos"), [VideoRecord("made.mp4", None, 0)], _decoders()[0])
    work = _train_clip(source, shape)
    work()
    begun, clips = time.perf_counter(), 0
    while clips == 0 or time.perf_counter() - begun < seconds:
        work()
        clips += 1
    return clips / (time.perf_counter() - begun)
