"""List files, training clips and test views, against loading them one by one."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import ops.data.dataset as dataset_module
from ops.data.dataset import BrokenVideo, Clip, SampleKey, TestVideos, TrainClips, VideoSource
from ops.data.dataset import TestVideo as VideoViews
from ops.data.dataset_config import DatasetSpec
from ops.data.loaders import train_loader
from ops.data.samplers import TrainBatchSampler
from ops.data.sampling import FrameSampler
from ops.data.transforms import TestTransform, TrainTransform, crop, from_images
from ops.data.video_list import VideoRecord, check_first_video, read_list, video_path
from ops.runtime.errors import InputError
from ops.video.frame_folder import FrameFolder
from ops.video.reader import open_video
from tests import media
from tests.clip_files import make_spec, write_broken, write_folder

LENGTHS = (30, 1, 2, 3, 4, 5, 9, 47)  # frames of the videos below
SIZE = 32


def write_list(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def parse(tmp_path: Path, text: str | bytes, storage: str) -> list[VideoRecord]:
    return list(read_list(write_list(tmp_path / "list.txt", text), make_spec(tmp_path, storage)))


class TestReadList:
    def test_frames(self, tmp_path: Path) -> None:
        records = parse(tmp_path, "a 48 0\nsome folder/with spaces 7 3\n/somewhere/else 1 2\n", "frames")
        assert records == [
            VideoRecord("a", 48, 0), VideoRecord("some folder/with spaces", 7, 3), VideoRecord("/somewhere/else", 1, 2),
        ]  # fmt: skip

    def test_short_videos_stay(self, tmp_path: Path) -> None:
        """The published code removes those of fewer than eight frames."""
        lengths = [*range(1, 12), 3, 7]
        content = "".join(f"v{place} {length} 0\n" for place, length in enumerate(lengths))
        assert [record.num_frames for record in parse(tmp_path, content.encode(), "frames")] == lengths

    def test_videos(self, tmp_path: Path) -> None:
        records = parse(tmp_path, "a 0\nmy videos/with spaces.avi 3\n/somewhere/x.mp4 1\nnr 7.mp4 2\n", "videos")
        assert records == [
            VideoRecord("a", None, 0), VideoRecord("my videos/with spaces.avi", None, 3),
            VideoRecord("/somewhere/x.mp4", None, 1), VideoRecord("nr 7.mp4", None, 2),
        ]  # fmt: skip

    @pytest.mark.parametrize("text", ["\n\na 3 1\n   \n\t\nb 4 2\n\n", "a 3 1\r\n\r\nb 4 2\r\n", "  a\t3   1 \nb 4 2"])
    def test_blank_lines_and_other_white_space(self, tmp_path: Path, text: str) -> None:
        assert parse(tmp_path, text, "frames") == [VideoRecord("a", 3, 1), VideoRecord("b", 4, 2)]

    @pytest.mark.parametrize(
        "line",
        ["a", "a 1", "3 1", "a b 1", "a 3 b", "a 3 -1", "a -3 1", "a 0 1", "a 3.0 1", "a 3 1.5", "a 3 4"],
    )
    def test_malformed_frames_lines(self, tmp_path: Path, line: str) -> None:
        with pytest.raises(InputError, match=r"list\.txt, line 3: expected") as caught:
            parse(tmp_path, f"first 5 0\n\n{line}\n", "frames")
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        "line", ["a", "1", "a.mp4 x", "a.mp4 -1", "a.mp4 4", "a.mp4 1.0", "a.mp4 1,", "/ 0", ". 1", "a\t48\t1"]
    )
    def test_malformed_videos_lines(self, tmp_path: Path, line: str) -> None:
        with pytest.raises(InputError, match=r"list\.txt, line 3: expected"):
            parse(tmp_path, f"first.mp4 0\n\n{line}\n", "videos")

    def test_label_says_its_range(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"a label in 0\.\.3, got 4"):
            parse(tmp_path, "a 3 4\n", "frames")

    def test_frames_list_read_as_videos(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"line 1: .*<folder> <num_frames> <label>"):
            parse(tmp_path, "some/folder 48 1\n", "videos")

    def test_videos_list_read_as_frames(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"line 1: expected '<folder> <num_frames> <label>'"):
            parse(tmp_path, "some/video.mp4 1\n", "frames")

    def test_a_video_whose_name_ends_like_a_number(self, tmp_path: Path) -> None:
        (tmp_path / "clip 48.mp4").touch()
        assert parse(tmp_path, "clip 48 1\n", "videos") == [VideoRecord("clip 48", None, 1)]

    def test_a_byte_order_mark(self, tmp_path: Path) -> None:
        assert parse(tmp_path, b"\xef\xbb\xbfa 3 1\n", "frames") == [VideoRecord("a", 3, 1)]

    @pytest.mark.parametrize("text", ["", "\n\n  \n"])
    def test_empty(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(InputError, match=r"list\.txt: .*empty"):
            parse(tmp_path, text, "frames")

    def test_unreadable(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"list\.txt, line 2: .*UTF-8, got the byte 0xe9"):
            parse(tmp_path, b"a 3 1\ncaf\xe9 3 1\n", "frames")
        for path in (tmp_path / "nowhere.txt", tmp_path):
            with pytest.raises(InputError, match=path.name):
                read_list(path, make_spec(tmp_path))


class TestVideoPath:
    @pytest.mark.parametrize(
        ("storage", "written", "expected"),
        [
            ("videos", "a", "ROOT/a.mp4"),
            ("videos", "a/b c", "ROOT/a/b c.mp4"),
            ("videos", "a.avi", "ROOT/a.avi"),
            ("videos", "a.webm", "ROOT/a.webm"),
            ("videos", "/x/y", "/x/y.mp4"),
            ("videos", "/x/y.mp4", "/x/y.mp4"),
            ("frames", "a", "ROOT/a"),
            ("frames", "/x/y", "/x/y"),
            ("frames", "a.b", "ROOT/a.b"),
        ],
    )
    def test_path(self, storage: str, written: str, expected: str) -> None:
        spec = make_spec(Path("ROOT"), storage)
        assert video_path(VideoRecord(written, 1, 0), spec) == Path(expected)


class TestCheckFirstVideo:
    def test_videos(self, tmp_path: Path) -> None:
        spec = make_spec(tmp_path / "root")
        records = [VideoRecord("a", None, 0), VideoRecord("never looked at", None, 0)]
        with pytest.raises(InputError, match="root folder"):
            check_first_video(records, spec)
        spec.root.mkdir()
        with pytest.raises(InputError, match=r"a\.mp4"):
            check_first_video(records, spec)
        (spec.root / "a.mp4").touch()
        check_first_video(records, spec)

    def test_frames(self, tmp_path: Path) -> None:
        spec = make_spec(tmp_path, "frames")
        records = [VideoRecord("a", 3, 0)]
        with pytest.raises(InputError, match="no such folder"):
            check_first_video(records, spec)
        write_folder(tmp_path / "a", 1, "frame{:d}.jpg")
        with pytest.raises(InputError, match=r"00001\.png"):
            check_first_video(records, spec)
        for first in (0, 1):
            write_folder(tmp_path / f"b{first}", 1, first=first)
            check_first_video([VideoRecord(f"b{first}", 1, 0)], spec)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> VideoSource:
    """Frame folders of LENGTHS frames, and behind them a video whose folder is not there."""
    root = tmp_path_factory.mktemp("folders")
    records = [VideoRecord(f"v{n}", n, i % 4) for i, n in enumerate(LENGTHS)]
    for record in records:
        write_folder(root / record.path, record.num_frames or 0)
    spec = make_spec(root, "frames", class_names=("left", "right", "up", "clockwise"))
    return VideoSource(spec, [*records, VideoRecord("missing", 8, 0)], "pyav")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> VideoSource:
    root = tmp_path_factory.mktemp("videos")
    for n in (60, 3):
        media.make_video(root / f"v{n}.mp4", n, options={"g": "12"})
    write_broken(root / "broken.mp4")
    records = [VideoRecord("v60", None, 0), VideoRecord("v3.mp4", None, 1), VideoRecord("broken", None, 2)]
    return VideoSource(make_spec(root), records, "pyav")


def train_clips(source: VideoSource, seed: int = 0, segments: int = 3, dense: bool = False) -> TrainClips:
    transform = TrainTransform(SIZE, source.spec.mirror_labels())
    return TrainClips(source, segments, FrameSampler(5, dense), transform, seed)


def assert_same(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    for a, b in zip(one, other, strict=True):
        assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


class TestTrainClips:
    def test_shape_type_and_length(self, folders: VideoSource) -> None:
        clips = train_clips(folders)
        assert len(clips) == len(LENGTHS) + 1
        for video, record in enumerate(folders.records[:-1]):
            clip = clips[SampleKey(0, video)]
            assert isinstance(clip, Clip)
            assert clip.pixels.shape == (3, 5, 3, SIZE, SIZE)
            assert clip.pixels.dtype == torch.uint8
            assert clip.video == video
            assert clip.label in (record.label, folders.spec.mirror_labels()[record.label])

    def test_reproducible_by_seed_epoch_and_video(self, folders: VideoSource) -> None:
        clips = train_clips(folders)
        for key in (SampleKey(0, 0), SampleKey(5, 0), SampleKey(2, 3)):
            assert_same(clips[key], train_clips(folders)[key])

    def test_new_draws_for_another_seed_epoch_or_video(self, folders: VideoSource) -> None:
        def pixels(seed: int, epoch: int) -> bytes:
            return train_clips(folders, seed)[SampleKey(epoch, 0)].pixels.numpy().tobytes()

        assert len({pixels(seed, epoch) for seed in range(3) for epoch in range(3)}) == 9

    def test_label_follows_the_flip(self, tmp_path: Path) -> None:
        """Class 3, clockwise, has no mirror class here: it is never flipped."""
        ramp = np.tile(np.arange(64, dtype=np.uint8)[None, :, None] * 4, (48, 1, 3))  # brighter to the right
        Image.fromarray(ramp).save(tmp_path / "00001.png")
        spec = make_spec(tmp_path, "frames", class_names=("left", "right", "up", "clockwise"))
        clips = train_clips(VideoSource(spec, [VideoRecord(".", 1, label) for label in range(4)], "pyav"))
        for label, mirrored in enumerate((1, 0, 2, None)):
            flips = 0
            for epoch in range(60):
                clip = clips[SampleKey(epoch, label)]
                flipped = bool(clip.pixels[0, 0, 0, 0, 0] > clip.pixels[0, 0, 0, 0, -1])
                assert clip.label == (mirrored if flipped else label)
                flips += flipped
            assert flips == 0 if mirrored is None else 15 < flips < 45

    @pytest.mark.parametrize("dense", [False, True])
    def test_frames_are_those_of_the_sampler(self, folders: VideoSource, dense: bool) -> None:
        """The first draws of the sample's generator choose the frames; brightness tells which they are."""
        for video, length in ((0, 30), (2, 2), (7, 47)):
            clip = train_clips(folders, seed=4, segments=8, dense=dense)[SampleKey(1, video)]
            rng = np.random.default_rng((4, 1, video))
            indices = FrameSampler(5, dense).train(length, 8, rng)  # (8, 5)
            reader = FrameFolder(folders.spec.root / f"v{length}", length, "{:05d}.png")
            frames = torch.cat([from_images(reader.get_frames(np.array([i]))) for i in indices.ravel()])
            transform = TrainTransform(SIZE, folders.spec.mirror_labels())
            expected, label = transform(frames, folders.records[video].label, rng)
            assert torch.equal(clip.pixels.flatten(0, 1), expected)
            assert clip.label == label

    def test_short_videos_repeat_their_last_frame(self, folders: VideoSource) -> None:
        for video in range(1, 5):
            length = LENGTHS[video]
            clip = train_clips(folders)[SampleKey(0, video)]
            for segment in clip.pixels:
                assert len(torch.unique(segment.flatten(1), dim=0)) <= length
                assert torch.equal(segment[-1], segment[-2]) or length == 5

    def test_broken_video_says_which_and_why(self, folders: VideoSource, videos: VideoSource) -> None:
        for source, name in ((folders, "missing"), (videos, "broken.mp4")):
            video = len(source.records) - 1
            broken = train_clips(source)[SampleKey(0, video)]
            assert isinstance(broken, BrokenVideo)
            assert broken.video == video
            assert name in broken.reason and "\n" not in broken.reason

    def test_the_same_whatever_the_number_of_workers(self, folders: VideoSource) -> None:
        def epoch(workers: int) -> list[Any]:
            sampler = TrainBatchSampler(len(folders.records), 3, 1, 0, 1, seed=9)
            sampler.set_position(2, 0)
            return list(train_loader(train_clips(folders, seed=9), sampler, workers, torch.device("cpu"), 0))

        alone = epoch(0)
        assert sum(len(batch.videos) + len(batch.broken) for batch in alone) == 9
        for workers in (1, 2):
            for one, other in zip(alone, epoch(workers), strict=True):
                assert_same(one, other)

    def test_costs_the_run_no_random_number(self, folders: VideoSource) -> None:
        torch.manual_seed(5)
        expected = torch.rand(3)
        torch.manual_seed(5)
        np.random.seed(5)
        state = np.random.get_state()[1].copy()
        sampler = TrainBatchSampler(len(folders.records), 3, 1, 0, 1, seed=9)
        for _ in train_loader(train_clips(folders), sampler, 0, torch.device("cpu"), 0):
            pass
        assert torch.equal(torch.rand(3), expected)
        assert np.array_equal(np.random.get_state()[1], state)


def naive_frames(length: int, segments: int, clip: int, clips: int) -> list[list[int]]:
    d = max(length - 4, 1) / segments
    offsets = [int(k * d + (clip + 0.5) * d / clips + 1e-6) for k in range(segments)]
    return [[min(o + i, length - 1) for i in range(5)] for o in offsets]


class TestTestVideos:
    @pytest.mark.parametrize(("num_crops", "size"), [(1, SIZE), (3, SIZE), (3, 36)])
    def test_views_like_loading_each_alone(self, videos: VideoSource, num_crops: int, size: int) -> None:
        transform = TestTransform(36, size, num_crops)
        counts, chosen, clips = (8, 3), (0, 2, 9), 10
        views = TestVideos(videos, [(t, FrameSampler(5)) for t in counts], transform, chosen, clips)
        for video, length in ((0, 60), (1, 3)):
            reader = open_video(videos.spec.root / f"v{length}.mp4", "pyav")
            frames = [reader.get_frames(np.array([i])) for i in range(length)]
            assert media.numbers([f[0] for f in frames]) == list(range(length))
            resized = [transform(from_images(f)) for f in frames]
            item = views[video]
            assert isinstance(item, VideoViews)
            assert (item.label, item.video) == (videos.records[video].label, video)
            assert len(item.boxes) == num_crops
            for (model, segments), (place, clip), box in product(
                enumerate(counts), enumerate(chosen), range(num_crops)
            ):
                view = item.view(model, place, box)
                assert view.shape == (segments, 5, 3, size, size) and view.dtype == torch.uint8
                for segment, indices in zip(view, naive_frames(length, segments, clip, clips), strict=True):
                    for frame, i in zip(segment, indices, strict=True):
                        pixels, boxes = resized[i]
                        assert torch.equal(frame, crop(pixels, boxes[box])[0])

    def test_validation_is_one_centre_view(self, folders: VideoSource) -> None:
        views = TestVideos(folders, [(4, FrameSampler(5))], TestTransform(36, SIZE, 1))
        for video, length in enumerate(LENGTHS):
            view = views[video].view(0, 0, 0)
            indices = naive_frames(length, 4, 0, 1)
            reader = FrameFolder(folders.spec.root / f"v{length}", length, "{:05d}.png")
            for segment, wanted in zip(view, indices, strict=True):
                for frame, i in zip(segment, wanted, strict=True):
                    pixels, boxes = TestTransform(36, SIZE, 1)(from_images(reader.get_frames(np.array([i]))))
                    assert torch.equal(frame, crop(pixels, boxes[0])[0])

    @pytest.mark.parametrize(
        "sampler", [FrameSampler(5, **rule) for rule in ({}, {"dense": True}, {"random_clips": True})]
    )
    def test_one_opening_and_one_reading_for_all_views(
        self, videos: VideoSource, sampler: FrameSampler, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened, read = [], []

        def counted_open(path: Path, decoder: str, *more: Any) -> Any:
            reader = open_video(path, decoder, *more)
            original = reader.get_frames
            opened.append(path)
            monkeypatch.setattr(reader, "get_frames", lambda indices: read.append(len(indices)) or original(indices))
            return reader

        monkeypatch.setattr(dataset_module, "open_video", counted_open)
        item = TestVideos(videos, [(8, sampler), (16, sampler)], TestTransform(36, SIZE, 3), tuple(range(10)), 10)[0]
        assert opened == [videos.spec.root / "v60.mp4"]
        assert len(read) == 1 and read[0] <= 60
        assert [p.shape for p in item.places] == [(10, 8, 5), (10, 16, 5)]
        assert len(item.frames) == read[0]

    def test_random_clips_depend_on_the_place_in_the_list(self, folders: VideoSource) -> None:
        sampler = FrameSampler(5, random_clips=True, seed=3)
        views = TestVideos(folders, [(4, sampler)], TestTransform(36, SIZE, 1), (0, 1), 2)
        item, again = views[7], views[7]
        assert np.array_equal(item.places[0], again.places[0])
        distinct = np.unique(np.concatenate([sampler.test(47, 4, 7, clip, 2).ravel() for clip in (0, 1)]))
        for clip in (0, 1):
            assert distinct[item.places[0][clip]].tolist() == sampler.test(47, 4, 7, clip, 2).tolist()

    def test_broken_video_says_which_and_why(self, folders: VideoSource, videos: VideoSource) -> None:
        for source, name in ((folders, "missing"), (videos, "broken.mp4")):
            video = len(source.records) - 1
            broken = TestVideos(source, [(2, FrameSampler(5))], TestTransform(36, SIZE, 1))[video]
            assert isinstance(broken, BrokenVideo)
            assert broken.video == video and name in broken.reason


def test_folders_need_their_number_of_frames_and_videos_theirs(folders: VideoSource, videos: VideoSource) -> None:
    assert [len(folders.open(i)) for i in range(len(LENGTHS))] == list(LENGTHS)
    assert [len(videos.open(i)) for i in range(2)] == [60, 3]


def test_specs_are_frozen(tmp_path: Path) -> None:
    spec: DatasetSpec = make_spec(tmp_path)
    with pytest.raises(AttributeError):
        spec.num_classes = 3  # type: ignore[misc]
