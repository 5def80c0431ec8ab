"""Open files, threads and memory stay what they are, however many clips are decoded: good ones and broken ones."""

import gc
import importlib.util
import threading
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from ops.data.dataset import SampleKey, TrainClips, VideoSource
from ops.data.loaders import ClipLoader, train_loader
from ops.data.samplers import TrainBatchSampler
from ops.data.sampling import FrameSampler
from ops.data.transforms import TrainTransform
from ops.data.video_list import VideoRecord
from tests import media
from tests.clip_files import make_spec, write_broken, write_folder
from tests.guarded import outcomes

KINDS = [*(["decord"] if importlib.util.find_spec("decord") else []), "pyav", "frames"]
WARM_UP = 200
MAX_GROWTH = 50  # MB


class Usage(NamedTuple):
    """Of this process: open files, threads of Python and of the system, memory of its own in MB.

    Memory that files back, like that of libraries, does not count: the system takes it away and back as it likes.
    """

    files: int
    python_threads: int
    threads: int
    megabytes: float


def usage() -> Usage:
    gc.collect()
    threads = len(list(Path("/proc/self/task").iterdir()))
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    kilobytes = sum(int(status[name].split()[0]) for name in ("RssAnon", "RssShmem"))
    files = len(list(Path("/proc/self/fd").iterdir()))
    return Usage(files, threading.active_count(), threads, kilobytes / 2**10)


def source_of(root: Path, kind: str) -> VideoSource:
    """Eight videos of several kinds, and two that cannot be read."""
    if kind == "frames":
        records = [VideoRecord(f"v{i}", 9, i % 4) for i in range(10)]
        for i, record in enumerate(records):
            folder = write_folder(root / record.path, 9, "{:05d}.jpg", size=(96, 64 + 2 * i))
            if i >= 8:
                (folder / "00005.jpg").write_bytes(b"\xff\xd8 no picture")
        return VideoSource(make_spec(root, "frames", image_tmpl="{:05d}.jpg"), records, "pyav")
    options = {"g": "8", "bf": "2"}
    for i in range(3):
        media.make_video(root / f"h{i}.mp4", 24, (96, 64 + 2 * i), options=options)
        media.make_video(root / f"m{i}.avi", 24, (96, 64 + 2 * i), codec="mpeg4")
    for i in range(2):
        media.make_video(root / f"s{i}.mkv", 24, (96, 64), sound=True)
    write_broken(root / "text.mp4")
    content = (root / "h0.mp4").read_bytes()
    (root / "cut.mp4").write_bytes(content[: len(content) // 2])
    return VideoSource(make_spec(root), [VideoRecord(p.name, None, 0) for p in sorted(root.iterdir())], kind)


def train_clips(source: VideoSource) -> TrainClips:
    return TrainClips(source, 2, FrameSampler(5), TrainTransform(32, source.spec.mirror_labels()), 0, True)


class Decode:
    """Decodes clips until there were so many; then the usage."""

    def __init__(self, source: VideoSource) -> None:
        self.dataset = train_clips(source)
        self.done = 0

    def __call__(self, up_to: int) -> Usage:
        while self.done < up_to:
            pixels = self.dataset[SampleKey(self.done // len(self.dataset), self.done % len(self.dataset))].pixels
            assert pixels.shape == (2, 5, 3, 32, 32)
            self.done += 1
        return usage()


class Epoch:
    """One epoch of all batches from two workers that stay; then the usage."""

    def __init__(self, source: VideoSource) -> None:
        self.source = source
        self.loader: ClipLoader | None = None

    def __call__(self, epoch: int) -> Usage:
        if self.loader is None:
            self.sampler = TrainBatchSampler(len(self.source.records), 4, 1, 0, 1, 0)
            self.loader = train_loader(train_clips(self.source), self.sampler, 2, torch.device("cpu"), 600)
        self.sampler.set_position(epoch, 0)
        with self.loader.guard():
            for batch in self.loader:
                assert len(batch.videos) == 4
                del batch
        return usage()


class Leak:
    """Keeps one thing of a kind; then the usage."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept: list[object] = []

    def __call__(self, what: str) -> Usage:
        if what == "file":
            self.kept.append((self.folder / "a").open("w"))
        elif what == "memory":
            self.kept.append(np.ones(80 << 17))  # 80 MB
        elif what == "thread":
            threading.Thread(target=threading.Event().wait, daemon=True).start()
        return usage()


def usages(items: Sequence[Any], work: Callable[[Any], Usage]) -> list[Usage]:
    """After every item, of a process that does nothing else and began with nothing that could be freed meanwhile."""
    found = outcomes(items, work, start="spawn")
    assert [outcome.problem for outcome in found] == [""] * len(items)
    return [outcome.value for outcome in found]


def assert_flat(before: Usage, warm: Usage, after: Usage) -> None:
    assert (after.files, after.python_threads, after.threads) == (warm.files, warm.python_threads, warm.threads)
    assert warm.files <= before.files + 4  # a library may keep /dev/null or the like
    assert warm.threads <= before.threads + 2
    assert after.megabytes - warm.megabytes < MAX_GROWTH


class TestClips:
    @pytest.mark.parametrize("kind", KINDS)
    def test_200(self, tmp_path: Path, kind: str) -> None:
        assert_flat(*usages([0, 80, 200], Decode(source_of(tmp_path, kind))))

    @pytest.mark.slow
    @pytest.mark.parametrize("kind", KINDS)
    def test_2000(self, tmp_path: Path, kind: str) -> None:
        before, warm, after = usages([0, WARM_UP, 2000], Decode(source_of(tmp_path, kind)))
        print(f"{kind}: at the beginning {before}, after {WARM_UP} clips {warm}, after 2000 {after}")
        assert_flat(before, warm, after)


class TestLoader:
    def test_what_workers_send_is_let_go(self, tmp_path: Path) -> None:
        """The process that trains, over four epochs of 20 batches."""
        source = source_of(tmp_path, "frames")
        first, *_, last = usages(range(4), Epoch(VideoSource(source.spec, source.records * 8, source.decoder)))
        assert (last.files, last.python_threads, last.threads) == (first.files, first.python_threads, first.threads)
        assert last.megabytes - first.megabytes < MAX_GROWTH


class TestMeasures:
    """That the tests above could fail."""

    def test_leaks_are_seen(self, tmp_path: Path) -> None:
        def is_flat(before: Usage, after: Usage) -> bool:
            try:
                assert_flat(before, before, after)
            except AssertionError:
                return False
            return True

        found = usages(["nothing", "nothing", "file", "memory", "thread"], Leak(tmp_path))
        print(*found, sep="\n")
        assert [is_flat(before, after) for before, after in pairwise(found)] == [True, False, False, False]
