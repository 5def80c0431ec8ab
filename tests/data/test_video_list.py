"""Lists in arrays: the records that a list file holds, and the memory of the workers that look them up."""

import gc
import os
import pickle
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ops.data import dataset_config
from ops.data.dataset import TestVideos, TrainClips, VideoSource
from ops.data.loaders import train_loader, validation_loader
from ops.data.samplers import ListBatchSampler, TrainBatchSampler
from ops.data.sampling import FrameSampler
from ops.data.transforms import TestTransform, TrainTransform
from ops.data.video_list import VideoList, VideoRecord, check_first_video, parse_list, read_list
from ops.runtime import InputError
from ops.video import Reader
from tests.clip_files import make_spec, write_folder

RECORDS = [
    VideoRecord("a", 48, 0),
    VideoRecord("b c/ü 漢字", 1, 3),
    VideoRecord("d.mp4", None, 2),
    VideoRecord("", 7, 1),
]
CPU = torch.device("cpu")


class TestVideoList:
    def test_is_a_sequence_of_records(self) -> None:
        videos = VideoList(RECORDS)
        assert len(videos) == 4 and list(videos) == RECORDS
        assert [videos[i] for i in range(-4, 4)] == RECORDS + RECORDS
        assert isinstance(videos[0], VideoRecord) and type(videos[0].label) is int
        for index in (4, -5):
            with pytest.raises(IndexError):
                videos[index]

    @pytest.mark.parametrize("part", [slice(2), slice(1, 3), slice(None, None, -1), slice(9), slice(0), slice(None)])
    def test_parts(self, part: slice) -> None:
        assert list(VideoList(RECORDS)[part]) == RECORDS[part]

    def test_pickles_as_arrays(self) -> None:
        videos = VideoList(RECORDS * 1000)
        sent = pickle.dumps(videos)
        assert list(pickle.loads(sent)) == RECORDS * 1000 and len(sent) < 4000 * 50

    def test_empty(self) -> None:
        assert list(VideoList([])) == []


def test_wrong_lines_are_told_with_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("a 3 1\n\nb x 1\nc 3 9\n d 4 2 \n")
    found = list(parse_list(path, make_spec(tmp_path, "frames")))
    assert [(number, text) for number, text, _ in found] == [
        (1, "a 3 1"), (3, "b x 1"), (4, "c 3 9"), (5, " d 4 2 "),
    ]  # fmt: skip
    assert found[0][2] == VideoRecord("a", 3, 1) and found[3][2] == VideoRecord("d", 4, 2)
    assert [type(video) for _, _, video in found[1:3]] == [ValueError, ValueError]


@pytest.mark.parametrize("storage", ["frames", "videos"])
def test_many_lines_at_once_are_read_like_each_alone(
    storage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lists with all that may be special about a line, in parts of all sizes."""
    middle = "" if storage == "videos" else " 7"
    plain = [f"some/{number}{middle} {number % 4}" for number in range(20)]
    special = ["", " ", f"b c{middle} 1", f"\ta{middle}\t3 ", f"ü 漢{middle} 0", f"a  {middle} 2", f"d/.x{middle} 03"]
    spec, path = make_spec(tmp_path, storage), tmp_path / "list.txt"
    for number, line in enumerate(special):
        path.write_text("\n".join([*plain[:number], line, *plain[number:]]), encoding="utf-8")
        expected = VideoList(video for _, _, video in parse_list(path, spec))
        assert len(expected) == 20 + bool(line.strip())
        for size in (1, 60, 2**20):
            monkeypatch.setattr(dataset_config, "LINES_AT_ONCE", size)
            found = read_list(path, spec)
            assert list(found) == list(expected) and found.digest() == expected.digest()


@pytest.mark.parametrize(
    "wrong", ["x", "x 1 1 1 1\nx", "x 4", "x -1", "x 1_0", "x ١", "x 0x1", "x 99999999999999999999"]
)
@pytest.mark.parametrize("storage", ["frames", "videos"])
def test_a_wrong_line_among_many(storage: str, wrong: str, tmp_path: Path) -> None:
    middle = "" if storage == "videos" else " 7"
    path = tmp_path / "list.txt"
    right = "".join(f"some/{number}{middle} {number % 4}\n" for number in range(20))
    path.write_text(right + wrong.replace(" ", f"{middle} ") + "\n" + right, encoding="utf-8")
    with pytest.raises(InputError, match=r"list\.txt, line 2[12]: expected"):
        read_list(path, make_spec(tmp_path, storage))


def test_reading_a_list_looks_at_no_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start only the first video is looked for: a network file system takes hours for a stat of millions."""
    path = tmp_path / "list.txt"
    path.write_text("".join(f"a b/{number}.mp4 1\n" if number % 9 else f"{number} 1\n" for number in range(5000)))
    spec, calls = make_spec(tmp_path, "videos"), []
    for name in ("stat", "lstat", "access", "scandir", "listdir"):
        original = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, f=original, **k: calls.append(a) or f(*a, **k))
    monkeypatch.setattr(os.path, "isfile", lambda name: calls.append(name) or True)
    videos = read_list(path, spec)
    assert not [call for call in calls if "list.txt" not in str(call)]
    check_first_video(videos, spec)
    VideoSource.of_list(spec, path, videos, "pyav")
    assert len(calls) < 20, calls


LINES, READ = 650_000, 1600
MOST_GROWTH = 30.0  # MB a worker; 650,000 records of their own would be 100


class LongRun(VideoSource):
    """Looks up what a whole epoch does while a few of its videos are read, and collects garbage at times."""

    def open(self, index: int) -> Reader:
        for other in range(index % 1009, len(self.records), 1009):
            assert self.records[other].label == other % 4
        if index % 50 == 0:
            gc.collect()
        return super().open(index)


def memory_of_its_own(process: int) -> float:
    """MB that a process shares with no other: what it wrote to since it was forked."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text()
    return sum(int(kb) for kb in re.findall(r"^Private_\w+: +(\d+) kB", text, re.MULTILINE)) / 1024


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> VideoSource:
    """A list of 650,000 videos, each one of ten small folders."""
    if not Path("/proc/self/smaps_rollup").exists():
        pytest.skip("the memory of a process is not told here (/proc/self/smaps_rollup)")
    root = tmp_path_factory.mktemp("long_list")
    for name in range(10):
        write_folder(root / str(name), 1, size=(40, 36))
    path = root / "list.txt"
    path.write_text("".join(f"./././././././././././{i % 10} 1 {i % 4}\n" for i in range(LINES)))
    spec = make_spec(root, "frames")
    return LongRun(spec, read_list(path, spec), "pyav")


class TestWorkerMemory:
    @pytest.mark.parametrize("use", ["training", "validation"])
    def test_workers_do_not_grow_with_the_list(self, use: str, source: VideoSource) -> None:
        """Over videos from everywhere in it; a list of a few has the same start, from the same process."""
        few, _ = self.memory(use, replace(source, records=source.records[:READ]))
        many, seen = self.memory(use, source)
        assert min(seen) < LINES / 50 and max(seen) > LINES * 0.98
        assert max(many) - min(few) < MOST_GROWTH, (many, few)

    def memory(self, use: str, source: VideoSource) -> tuple[list[float], set[int]]:
        """Of the two workers that have read READ videos, in MB; the videos."""
        sampler: ListBatchSampler | TrainBatchSampler
        if use == "training":
            clips = TrainClips(source, 2, FrameSampler(1), TrainTransform(32, (0, 1, 2, 3)), 0)
            sampler = TrainBatchSampler(len(source.records), 8, 1, 0, 1, seed=0)
            loader = train_loader(clips, sampler, 2, CPU, 0)
        else:
            views = TestVideos(source, [(2, FrameSampler(1))], TestTransform(36, 32, 1))
            loader = validation_loader(views, 8, 2, CPU, 0, 1, 0)
            sampler = loader.batch_sampler
            sampler.starts = np.random.default_rng(0).permutation(sampler.starts)
        seen: set[int] = set()
        for batch in loader:
            seen.update(batch.videos)
            if len(seen) == READ:
                return [memory_of_its_own(worker.pid) for worker in loader._iterator._workers], seen
        raise AssertionError(f"expected {READ} videos, got {len(seen)}")
