"""Batches that arrive as they were made, and what is said where they cannot: real workers, real limits."""

import resource
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from ops.data import clip_watch
from ops.data.dataset import SampleKey, TestVideo, TestVideos, TrainClips, VideoSource
from ops.data.loaders import Batch, ClipLoader, train_loader, validation_loader
from ops.data.loaders import test_loader as loader_of_tests
from ops.data.samplers import ListBatchSampler
from ops.data.sampling import FrameSampler
from ops.data.transforms import Box, TestTransform, TrainTransform
from ops.data.transport import DeliveringContext, Packing, Parcel, Undelivered, reason_of
from ops.data.video_list import VideoRecord
from ops.runtime.errors import InputError, run_script
from tests.clip_files import make_spec, write_folder
from tests.commands import REPOSITORY, run

CPU = torch.device("cpu")
USES = ("training", "validation", "testing")
# In processes of their own, which take seconds to start.
FEWER_USES = ("training", pytest.param("validation", marks=pytest.mark.slow), "testing")
FEWEST_USES = ("training", *(pytest.param(use, marks=pytest.mark.slow) for use in USES[1:]))
BATCHES = 4


def loader_for(use: str, root: Path, workers: int) -> ClipLoader:
    """Batches of 4 clips of 2 segments, 64 x 64 pixels: 480 kB each."""
    source = VideoSource(make_spec(root, "frames"), [VideoRecord(".", 8, 0)] * 4 * BATCHES, "pyav")
    if use == "training":
        clips = TrainClips(source, 2, FrameSampler(5), TrainTransform(64, source.spec.mirror_labels()), 0)
        keys = [[SampleKey(0, 4 * batch + i) for i in range(4)] for batch in range(BATCHES)]
        return train_loader(clips, keys, workers, CPU, 0)
    views = TestVideos(source, [(2, FrameSampler(5))], TestTransform(64, 64, 1))
    if use == "testing":
        return loader_of_tests(views, ListBatchSampler(len(views), 4, 0, 1), workers, CPU, 0)
    return validation_loader(views, 4, workers, CPU, 0, 1, 0)


def read_everything(use: str, folder: str, how: str) -> None:
    """For a process of its own: reads all batches with two workers and prints how many came."""
    loader = loader_for(use, Path(folder), 2)
    if how == "through /dev/shm":
        loader.collate_fn = loader.collate_fn.collate
    if how == "few files":
        resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))

    def main() -> None:
        with loader.guard():
            for number, _ in enumerate(loader, 1):
                if how == "no files left" and number == 1:
                    resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))
        print(number, "batches")

    run_script(main)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("frames"), 8, size=(80, 70))


def in_process(use: str, folder: Path, how: str, room: str = "") -> subprocess.CompletedProcess:
    """``read_everything`` in a process; ``room``: size of a /dev/shm of its own."""
    call = f"from tests.data.test_transport import read_everything; read_everything({use!r}, {str(folder)!r}, {how!r})"
    command = [sys.executable, "-c", call]
    if room:
        mount = f'mount -t tmpfs -o size={room} tmpfs /dev/shm && exec "$@"'
        command = ["unshare", "-m", "sh", "-c", mount, "sh", *command]
    return run(*command, cwd=REPOSITORY)


@pytest.fixture(scope="module")
def _namespaces() -> None:
    try:
        trial = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/dev/shm"], capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no unshare here to mount a small /dev/shm with")
    if trial.returncode != 0:
        pytest.skip(f"no small /dev/shm can be mounted here: {trial.stderr.decode().strip()}")


@pytest.mark.usefixtures("_namespaces")
class TestSmallSharedMemory:
    @pytest.mark.parametrize("use", FEWER_USES)
    def test_batches_larger_than_it_arrive(self, use: str, folder: Path) -> None:
        result = in_process(use, folder, "as ever", room="256k")
        assert (result.returncode, result.stdout) == (0, f"{BATCHES} batches\n"), result.stderr

    @pytest.mark.parametrize("use", FEWEST_USES)
    def test_one_line_where_there_is_no_other_way(self, use: str, folder: Path) -> None:
        result = in_process(use, folder, "through /dev/shm", room="256k")
        assert result.returncode == 2, result.stderr
        line = result.stderr.splitlines()[-1]
        assert line.startswith("error: /dev/shm: expected room") and "0.25 MB" in line
        assert "--shm-size" in line and "-j" in line and "Traceback" not in result.stderr

    def test_one_line_where_not_even_workers_can_start(self, folder: Path) -> None:
        result = in_process("training", folder, "as ever", room="4k")
        assert result.returncode == 2
        assert result.stderr.startswith("error: /dev/shm: expected room") and result.stderr.count("\n") == 1


class TestOpenFiles:
    @pytest.mark.parametrize(("how", "limit"), [("few files", 32), ("no files left", 4)])
    def test_one_line(self, how: str, limit: int, folder: Path) -> None:
        result = in_process("training", folder, how)
        assert result.returncode == 2, result.stderr
        assert result.stderr.startswith("error: expected to open one more file, got the limit of")
        assert str(limit) in result.stderr and "ulimit -n" in result.stderr and result.stderr.count("\n") == 1


class TestDelivery:
    @pytest.mark.parametrize("use", USES)
    def test_the_same_with_and_without_workers(self, use: str, folder: Path) -> None:
        here, there = list(loader_for(use, folder, 0)), list(loader_for(use, folder, 2))
        assert len(here) == len(there) == BATCHES
        for a, b in zip(here, there, strict=True):
            if isinstance(a, Batch):
                assert torch.equal(a.pixels, b.pixels) and torch.equal(a.labels, b.labels)
                assert a[2:] == b[2:]
                continue
            for one, other in zip(a, b, strict=True):
                assert torch.equal(one.frames, other.frames) and one[2:] == other[2:]
                assert one.frames.stride() == other.frames.stride()  # channels innermost
                assert [p.tolist() for p in one.places] == [p.tolist() for p in other.places]

    @pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 0, 3), (1, 3, 4, 5), (2, 1, 3, 4, 5)])
    @pytest.mark.parametrize("kind", [torch.uint8, torch.int64, torch.float32, torch.bool])
    def test_a_parcel_is_unpacked_as_what_was_packed(self, shape: tuple[int, ...], kind: torch.dtype) -> None:
        plain = torch.randint(0, 2, shape).to(kind)
        tensors = [plain, plain.expand(3, *shape)]
        if shape:
            tensors += [plain.permute(*reversed(range(len(shape)))), plain[..., ::2]]
        arrays = (np.arange(7), np.zeros((0, 3)))
        queue = DeliveringContext().Queue()
        queue.put(Parcel(TestVideo(tensors, arrays, (Box(0, 1, 2, 3),), 4, 5)))
        got = queue.get(timeout=300)
        for ours, theirs in zip(tensors, got.frames, strict=True):
            assert theirs.dtype == kind and torch.equal(ours, theirs)
        assert [a.tolist() for a in got.places] == [a.tolist() for a in arrays]
        assert got[2:] == ((Box(0, 1, 2, 3),), 4, 5)
        got.frames[0].zero_()  # memory of one's own, that can be written to

    def test_nothing_stays_open(self) -> None:
        def count() -> int:
            return len(list(Path("/proc/self/fd").iterdir()))

        queue = DeliveringContext().Queue()
        before, parcels = count(), 100
        for _ in range(parcels):
            queue.put(Parcel(torch.ones(1000)))
            assert queue.get(timeout=300).sum() == 1000
        # The threads that send may not have closed the last few yet; each parcel that stayed open would count.
        assert count() < before + parcels // 2

    def test_what_cannot_be_sent_arrives_as_its_reason(self) -> None:
        queue = DeliveringContext().Queue()
        queue.put((3, threading.Lock()))
        number, what = queue.get(timeout=300)
        assert number == 3 and isinstance(what, Undelivered)
        assert "pickle" in what.reason and "\n" not in what.reason

    def test_what_cannot_be_sent_once_nobody_waits_says_nothing(self) -> None:
        queue = DeliveringContext().Queue()
        queue.close()
        queue._on_queue_feeder_error(OSError(28, "No space left on device"), (3, None))

    def test_no_room_for_a_batch(self) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        try:
            batch = Packing(list)([torch.ones(1000)])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert isinstance(batch, Undelivered) and "File too large" in batch.reason


class Forever(Packing):
    """The first batch is read, and never made."""

    def __call__(self, samples: list) -> object:
        threading.Event().wait()
        raise AssertionError


class TestWaiting:
    @pytest.mark.parametrize("use", USES)
    def test_a_batch_that_cannot_come_is_not_waited_for(
        self, use: str, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(clip_watch, "LOST_SECONDS", 2.0)
        loader = loader_for(use, folder, 2)
        loader.collate_fn = Forever(list)
        with pytest.raises(InputError, match=r"^expected clips from data workers, got none for 2 s"), loader.guard():
            next(iter(loader))


def test_reasons() -> None:
    assert reason_of(OSError(24, "Too many open files")).startswith("expected to open one more file")
    assert reason_of(RuntimeError("received 0 items of ancdata")).startswith("expected to open one more file")
    full = RuntimeError("unable to write to file </torch_1_2>: No space left on device (28)")
    assert reason_of(full).startswith("/dev/shm: expected room")
    assert reason_of(ValueError("some\nthing")).endswith("got some thing")
