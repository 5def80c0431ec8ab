"""A decoder that hangs or kills its worker is named: real workers that do so, and the clock of the watch."""

import faulthandler
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from ops.data import clip_watch
from ops.data.clip_watch import ClipWatch
from ops.data.dataset import SampleKey, TrainClips, VideoSource
from ops.data.dataset import TestVideos as VideosOfTests
from ops.data.loaders import ClipLoader, train_loader, validation_loader
from ops.data.loaders import test_loader as loader_of_tests
from ops.data.sampling import FrameSampler
from ops.data.transforms import TestTransform as TransformOfTests
from ops.data.transforms import TrainTransform
from ops.data.video_list import VideoRecord
from ops.runtime.errors import InputError
from tests.clip_files import make_spec

VIDEOS, VICTIM = 6, 4
CPU = torch.device("cpu")


class Grey:
    """A video of 8 grey frames."""

    def __len__(self) -> int:
        return 8

    def get_frames(self, indices: np.ndarray) -> np.ndarray:
        return np.full((len(indices), 40, 40, 3), 128, np.uint8)


class Fragile(VideoSource):
    """Videos of which one does something terrible when it is opened; the others are grey."""

    def open(self, index: int) -> Grey:
        if index == VICTIM:
            HARM[self.decoder]()
        return Grey()


def hang() -> None:
    time.sleep(3600)


def kill(number: int) -> Callable[[], None]:
    def harm() -> None:
        faulthandler.disable()  # its report would fill the output of the tests
        os.kill(os.getpid(), number)

    return harm


HARM = {
    "hang": hang,
    "segmentation fault": kill(signal.SIGSEGV),
    "abort": kill(signal.SIGABRT),
    "killed, as for want of memory": kill(signal.SIGKILL),
    "exit": lambda: os._exit(0),
}


def fragile(harm: str) -> Fragile:
    records = [VideoRecord(f"v{i}.mp4", None, 0) for i in range(VIDEOS)]
    return Fragile(make_spec(Path("videos")), records, harm)


def loader_for(
    use: str, harm: str, workers: int = 2, timeout: float = 0, videos: Sequence[int] = range(VIDEOS)
) -> ClipLoader:
    """A loader of one video a batch."""
    source = fragile(harm)
    if use == "training":
        clips = TrainClips(source, 2, FrameSampler(5), TrainTransform(32, source.spec.mirror_labels()), 0)
        return train_loader(clips, [[SampleKey(0, video)] for video in videos], workers, CPU, timeout)
    views = VideosOfTests(source, [(2, FrameSampler(5))], TransformOfTests(36, 32, 1))
    if use == "testing":
        return loader_of_tests(views, [[video] for video in videos], workers, CPU, timeout)
    loader = validation_loader(views, 1, workers, CPU, 0, 1, timeout)
    loader.batch_sampler.starts = np.array(videos)
    return loader


def ending(loader: ClipLoader) -> str:
    """The error with which reading everything ends."""
    with pytest.raises(InputError) as caught, loader.guard():
        for _ in loader:
            pass
    message = str(caught.value)
    assert "\n" not in message
    return message


USES = ["training", "validation", "testing"]


class TestWorkers:
    @pytest.mark.parametrize(
        ("use", "harm"),
        [("training", "segmentation fault"), ("training", "exit"), ("validation", "abort"),
         ("testing", "killed, as for want of memory")],
    )  # fmt: skip
    def test_a_video_that_ends_its_worker_is_named(self, use: str, harm: str) -> None:
        message = ending(loader_for(use, harm))
        assert message.startswith("videos/v4.mp4: expected a clip, got a worker process that died: ")
        assert "scripts/preparation/check_dataset.py" in message

    @pytest.mark.parametrize("use", USES)
    def test_a_video_that_hangs_is_named(self, use: str) -> None:
        message = ending(loader_for(use, "hang", workers=1, timeout=1, videos=[VICTIM]))
        assert message.startswith("videos/v4.mp4: expected a clip, got none within 1 s (--clip_timeout); ")
        assert "scripts/preparation/check_dataset.py" in message

    def test_readable_videos_pass(self) -> None:
        HARM["nothing"] = lambda: None
        loader = loader_for("validation", "nothing", timeout=120)
        with loader.guard():
            assert [v for batch in loader for v in batch.videos] == list(range(VIDEOS))

    def test_other_errors_stay_what_they_are(self) -> None:
        loader = loader_for("validation", "nothing")
        with pytest.raises(RuntimeError, match=r"^something else$"), loader.guard():
            raise RuntimeError("something else")

    def test_whatever_ends_the_use_ends_the_workers(self) -> None:
        HARM["nothing"] = lambda: None
        loader = loader_for("validation", "nothing")
        next(iter(loader))
        workers = list(loader._iterator._workers)
        with pytest.raises(KeyboardInterrupt), loader.guard():
            raise KeyboardInterrupt
        assert len(workers) == 2 and not any(worker.is_alive() for worker in workers)
        with loader.guard():  # it can be used again
            assert [v for batch in loader for v in batch.videos] == list(range(VIDEOS))

    def test_an_exception_in_a_worker_is_not_its_end(self) -> None:
        message = "Caught RuntimeError in DataLoader worker process 0."
        with pytest.raises(RuntimeError, match=message), ClipWatch(1, 0, str).guard():
            raise RuntimeError(message)

    def test_a_worker_that_ends_between_videos(self) -> None:
        watch = ClipWatch(1, 0, str)
        with pytest.raises(InputError) as caught, watch.guard():
            raise RuntimeError("DataLoader worker (pid 12) is killed by signal: Killed. ")
        assert "it was not reading a video" in str(caught.value) and "worker (pid 12) is killed" in str(caught.value)

    def test_several_workers_at_once(self) -> None:
        watch = ClipWatch(3, 0, lambda video: f"v{video}.mp4")
        for worker, (process, video) in enumerate([(70, 5), (71, 6), (72, 7)]):
            watch._slots[3 * worker : 3 * worker + 3] = [process, video, 1]
        with pytest.raises(InputError, match=r"^v5\.mp4, v7\.mp4: expected a clip"), watch.guard():
            raise RuntimeError("DataLoader worker (pid(s) 70, 72) exited unexpectedly")

    @pytest.mark.parametrize(
        "error",
        [RuntimeError("Pin memory thread exited unexpectedly"), EOFError(), ConnectionResetError("reset")],
        ids=repr,
    )
    def test_a_worker_that_ends_while_it_hands_over(self, error: Exception) -> None:
        """The loader does not say which: it is the one that is no more."""
        fork = multiprocessing.get_context("fork")
        alive, gone = fork.Process(target=signal.pause), fork.Process(target=os.getpid)
        alive.start()
        gone.start()
        gone.join()
        watch = ClipWatch(2, 0, lambda video: f"v{video}.mp4")
        for worker, (process, video) in enumerate([(alive.pid, 5), (gone.pid, 6)]):
            watch._slots[3 * worker : 3 * worker + 3] = [process, video, 1]
        try:
            with (
                pytest.raises(InputError, match=rf"^v6\.mp4: expected a clip, .*\b{gone.pid}\) is gone"),
                watch.guard(),
            ):
                raise error
        finally:
            alive.kill()
            alive.join()

    def test_without_workers_nothing_is_noted(self) -> None:
        watch = ClipWatch(0, 1, str)
        watch.begin(3)
        watch.end()
        with watch.guard():
            pass


class Machine:
    """A clock, looks at it, and a list of what was killed; stands for the event that ends the watching."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, watch: ClipWatch, look: Callable[["Machine"], bool]) -> None:
        self.now, self.looks, self.killed, self.pause = 0.0, 0, [], 0.0
        self.watch, self.look = watch, look
        monkeypatch.setattr(clip_watch.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(clip_watch.os, "kill", lambda process, number: self.killed.append((process, self.now)))

    def wait(self, interval: float) -> bool:
        self.now += self.pause or interval
        self.pause = 0.0
        self.looks += 1
        return self.look(self)

    def read(self, worker: int, video: int) -> None:
        slots = self.watch._slots
        slots[3 * worker : 3 * worker + 3] = [100 + worker, video, slots[3 * worker + 2] + 1]


class TestClock:
    def killed(self, monkeypatch: pytest.MonkeyPatch, look: Callable[[Machine], bool]) -> list[tuple[int, float]]:
        watch = ClipWatch(2, 10, str)
        machine = Machine(monkeypatch, watch, look)
        watch._end_late_workers({}, machine)
        return machine.killed

    def test_a_worker_that_goes_on_is_left_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def look(machine: Machine) -> bool:
            if machine.looks % 9 == 1:  # every 9 s another video, and at times the same again
                machine.read(0, machine.looks // 20)
            return machine.looks > 200

        assert self.killed(monkeypatch, look) == []

    def test_only_the_late_one_is_ended_and_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def look(machine: Machine) -> bool:
            if machine.looks == 5:
                machine.read(1, 3)
            machine.read(0, 7)
            return machine.looks > 60

        ((process, when),) = self.killed(monkeypatch, look)
        assert process == 101 and 15 < when <= 17

    def test_an_idle_worker_is_left_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.killed(monkeypatch, lambda machine: machine.looks > 60) == []

    def test_a_machine_that_stood_still_makes_nobody_late(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def look(machine: Machine) -> bool:
            if machine.looks == 1:
                machine.read(0, 3)
            machine.pause = 5000.0 if machine.looks == 3 else 0.0
            return machine.looks > 8

        assert self.killed(monkeypatch, look) == []
