"""Open files, threads and memory stay what they are, however many clips are decoded: good ones and broken ones."""

import gc
import importlib.util
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from ops.dataset import SampleKey, TrainClips, VideoSource
from ops.loaders import TrainBatchSampler, train_loader
from ops.sampling import FrameSampler
from ops.transforms import TrainTransform
from ops.video_list import VideoRecord
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


def usages(source: VideoSource, clips: int) -> list[Usage]:
    """Before, after WARM_UP clips, and after all of them, of a process that does nothing else."""
    dataset = TrainClips(source, 2, FrameSampler(), TrainTransform(32, source.spec.mirror_labels()), 0, True)
    done = 0

    def decode(up_to: int) -> Usage:
        nonlocal done
        while done < up_to:
            pixels = dataset[SampleKey(done // len(dataset), done % len(dataset))].pixels
            assert pixels.shape == (2, 5, 3, 32, 32)
            done += 1
        return usage()

    found = outcomes([0, WARM_UP, clips], decode)
    assert [outcome.problem for outcome in found] == [""] * 3
    return [outcome.value for outcome in found]


def assert_flat(before: Usage, warm: Usage, after: Usage) -> None:
    assert (after.files, after.python_threads, after.threads) == (warm.files, warm.python_threads, warm.threads)
    assert warm.files <= before.files + 4  # a library may keep /dev/null or the like
    assert warm.threads <= before.threads + 2
    assert after.megabytes - warm.megabytes < MAX_GROWTH


class TestClips:
    @pytest.mark.parametrize("kind", KINDS)
    def test_300(self, tmp_path: Path, kind: str) -> None:
        assert_flat(*usages(source_of(tmp_path, kind), 300))

    @pytest.mark.slow
    @pytest.mark.parametrize("kind", KINDS)
    def test_2000(self, tmp_path: Path, kind: str) -> None:
        before, warm, after = usages(source_of(tmp_path, kind), 2000)
        print(f"{kind}: at the beginning {before}, after {WARM_UP} clips {warm}, after 2000 {after}")
        assert_flat(before, warm, after)


class TestLoader:
    def test_what_workers_send_is_let_go(self, tmp_path: Path) -> None:
        """The process that trains, over four epochs of 20 batches from two workers that stay."""
        source = source_of(tmp_path, "frames")
        records = source.records * 8
        clips = TrainClips(
            VideoSource(source.spec, records, source.decoder), 2, FrameSampler(),
            TrainTransform(32, source.spec.mirror_labels()), 0, True,
        )  # fmt: skip
        sampler = TrainBatchSampler(len(records), 4, 1, 0, 1, 0)
        loader = train_loader(clips, sampler, 2, torch.device("cpu"), 600)

        def epoch(number: int) -> Usage:
            sampler.set_position(number, 0)
            with loader.guard():
                for batch in loader:
                    assert len(batch.videos) == 4
                    del batch
            return usage()

        first, *_, last = [outcome.value for outcome in outcomes(range(4), epoch)]
        assert (last.files, last.python_threads, last.threads) == (first.files, first.python_threads, first.threads)
        assert last.megabytes - first.megabytes < MAX_GROWTH


class TestMeasures:
    """That the tests above could fail."""

    def test_leaks_are_seen(self, tmp_path: Path) -> None:
        kept: list[object] = []

        def leak(what: str) -> Usage:
            if what == "file":
                kept.append((tmp_path / "a").open("w"))
            elif what == "memory":
                kept.append(np.ones(80 << 17))  # 80 MB
            elif what == "thread":
                event = threading.Event()
                threading.Thread(target=event.wait, daemon=True).start()
            return usage()

        def refused(found: Sequence[Usage]) -> bool:
            try:
                assert_flat(found[0], found[0], found[1])
            except AssertionError:
                return True
            return False

        for what in ("file", "memory", "thread"):
            assert refused([outcome.value for outcome in outcomes(["nothing", what], leak)]), what
        assert not refused([outcome.value for outcome in outcomes(["nothing", "nothing"], leak)])
