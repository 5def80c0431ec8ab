"""Windows over long videos: which frames they hold, their answers, and memory that does not grow."""

import csv
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ops.inference.over_time.sliding import Sliding
from ops.inference.over_time.windows import WindowCutter
from ops.inference.predictor import Predictor
from ops.inference.sources import find_source
from ops.inference.streams import StreamClock
from ops.models.build import build_model
from ops.video.errors import VideoError
from tests import media
from tests.commands import REPOSITORY, environment_of_runs
from tests.inference.test_predictor import answer, rows


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    state = build_model("resnet10", 7, 2).state_dict()
    state["head.weight"] *= 100
    config = {"input_size": 32, "model": {"num_segments": 2}, "dataset": {"class_names": list("abcdefg")}}
    path = tmp_path_factory.mktemp("msn") / "msn.pth.tar"
    torch.save({"state_dict": state, "config": config}, path)
    return path


@pytest.fixture(scope="module")
def predictor(weights: Path) -> Predictor:
    return Predictor(weights)


def cut(times: list[float], every: float, length: float, end: float) -> dict[int, list[int]]:
    """Frames of each window that WindowCutter gives, by their places among ``times``."""
    cutter, found = WindowCutter(every, length), {}
    for place, time in enumerate(times):
        found |= {w.number: [int(f) for f in w.frames] for w in cutter.whole(time)}
        if cutter.wants(time):
            cutter.add(time, torch.tensor(place))
    return found | {w.number: [int(f) for f in w.frames] for w in cutter.whole(end)}


class TestWindowCutter:
    @pytest.mark.parametrize(("every", "length"), [(1, 1), (1, 4), (0.3, 1), (2, 0.5), (0.04, 0.2), (5, 100)])
    @pytest.mark.parametrize("rate", [24, 25, 29.97, 7])
    def test_holds_the_frames_of_its_seconds(self, every: float, length: float, rate: float) -> None:
        times = [number / rate for number in range(300)]
        end = 300 / rate
        expected = {}
        for number in range(int(end / every) + 1):
            start = number * every
            if start + length <= end + 1e-6:
                expected[number] = [i for i, t in enumerate(times) if start - 1e-6 <= t < start + length - 1e-6]
        assert cut(times, every, length, end) == expected

    def test_times_that_are_not_even(self) -> None:
        times = [0.0, 0.1, 0.95, 3.2, 3.3, 4.0]
        assert cut(times, 1, 1, 5) == {0: [0, 1, 2], 1: [], 2: [], 3: [3, 4], 4: [5]}

    def test_no_more_than_a_window_is_kept(self) -> None:
        cutter, most = WindowCutter(1, 3), 0
        for number in range(10_000):
            list(cutter.whole(number / 10))
            if cutter.wants(number / 10):
                cutter.add(number / 10, torch.zeros(1))
            most = max(most, len(cutter._frames))
        assert most == 30

    def test_a_window_that_fills_the_memory(self) -> None:
        cutter = WindowCutter(1, 10**6)
        frame = torch.zeros(1, dtype=torch.uint8).expand(2**28)
        for time in range(8):
            cutter.add(time, frame)
        with pytest.raises(VideoError, match="expected a --window of at most 8 frames"):
            cutter.add(8, frame)


class TestStreamClock:
    class Stream:
        average_rate = guessed_rate = Fraction(10)

    class Frame:
        def __init__(self, time: float | None) -> None:
            self.time = time

    @pytest.mark.parametrize(
        ("times", "max_jump", "expected"),
        [
            ([5.0, 5.1, 5.3], float("inf"), [0, 0.1, 0.3]),
            ([None, None, 7.0, 7.1], float("inf"), [0, 0.1, 0.2, 0.3]),
            ([0, 0.1, 0.1, 0.2], float("inf"), [0, 0.1, 0.2, 0.3]),
            ([100, 100.1, 3.0, 3.1], 10, [0, 0.1, 0.2, 0.3]),  # the camera was started anew
            ([0, 5, 5000, 5000.1], 10, [0, 5, 5.1, 5.2]),
            ([0, 5, 5000], float("inf"), [0, 5, 5000]),
        ],
    )
    def test_seconds(self, times: list[float | None], max_jump: float, expected: list[float]) -> None:
        clock = StreamClock(self.Stream(), max_jump)
        assert [clock(self.Frame(time)) for time in times] == pytest.approx(expected)
        assert clock.end == pytest.approx(expected[-1] + 0.1)


class TestFiles:
    def test_a_window_is_a_video_of_its_frames(self, predictor: Predictor, tmp_path: Path) -> None:
        """Each window's answer is that of a folder with its frames; B frames and a cut that is not at a key frame."""
        video = media.make_video(tmp_path / "a.mp4", frames=90, options={"g": "40", "bf": "2"})  # 3.6 s
        pictures = [picture for _, picture in media.frames_of(video)]
        answers = list(Sliding(predictor, find_source(str(video)), 0.6, 1.0, batch_size=2))
        assert [(a.start, a.end) for a in answers] == [pytest.approx((k * 0.6, k * 0.6 + 1)) for k in range(5)]
        for number, found in enumerate(answers):
            folder = tmp_path / str(number)
            folder.mkdir()
            for place, picture in enumerate(pictures[15 * number : 15 * number + 25], 1):
                Image.fromarray(picture).save(folder / f"{place:05d}.png")
            assert np.abs(found.probabilities - predictor(folder).probabilities).max() < 1e-6
        assert np.abs(answers[0].probabilities - answers[2].probabilities).max() > 1e-3

    def test_of_several_the_short_and_the_damaged_cost_no_other(self, weights: Path, tmp_path: Path) -> None:
        good = media.make_video(tmp_path / "good.mp4", frames=60)
        short = media.make_video(tmp_path / "short.mp4", frames=20)
        damaged = media.make_video(tmp_path / "damaged.avi", frames=60, codec="mpeg4")
        damaged.write_bytes(damaged.read_bytes()[:20])
        out = ("--csv", tmp_path / "a.csv", "--timeline", tmp_path / "png", "--json", tmp_path / "a.json")
        assert answer(weights, short, damaged, good, "--every", "1", *out) == 2
        assert [(r["video"], r["start"], r["end"]) for r in rows(tmp_path / "a.csv")] == [
            (str(good), "0", "1"), (str(good), "1", "2")
        ]  # fmt: skip
        assert sorted(path.name for path in (tmp_path / "png").iterdir()) == ["good.png"]

    def test_says_why(self, predictor: Predictor, tmp_path: Path) -> None:
        short = media.make_video(tmp_path / "short.mp4", frames=20)
        with pytest.raises(VideoError, match=r"short.mp4: expected a video of at least 1 s \(--window\), got 0\.80 s"):
            list(Sliding(predictor, find_source(str(short)), 1, 1))
        sound = media.make_sound(tmp_path / "a.m4a")
        with pytest.raises(VideoError, match=r"a\.m4a: expected a video, got only audio"):
            list(Sliding(predictor, find_source(str(sound)), 1, 1))

    def test_stops_on_purpose(self, weights: Path, tmp_path: Path) -> None:
        video = media.make_video(tmp_path / "a.mp4", frames=100)
        overlay = ("--overlay", tmp_path / "out.mp4")
        assert answer(weights, video, "--every", "1", "--stop_after", "2", "--csv", tmp_path / "a.csv", *overlay) == 0
        assert [row["start"] for row in rows(tmp_path / "a.csv")] == ["0", "1"]
        assert len(media.frames_of(tmp_path / "out.mp4")) == 100


@pytest.mark.slow
def test_two_hours_take_no_more_memory_than_minutes(weights: Path, tmp_path: Path) -> None:
    """The real command on files of ten minutes and of two hours, at four frames per second."""
    peaks = []
    for name, minutes in (("short", 10), ("long", 120)):
        video = media.make_video(
            tmp_path / f"{name}.mp4", frames=240 * minutes, time_base=Fraction(1, 4), options={"preset": "ultrafast"}
        )
        out = ("--csv", f"{name}.csv", "--json", f"{name}.json", "--timeline", f"{name}.png")
        command = [sys.executable, REPOSITORY / "scripts/predict.py", weights, video, "--every", "5", "--window", "10"]
        code = "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL); " \
               "print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, command), *out], cwd=tmp_path, env=environment_of_runs(),
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        status, peak = map(int, done.stdout.split())
        assert status == 0, done.stderr
        peaks.append(peak * 1024)
        with (tmp_path / f"{name}.csv").open(newline="") as file:
            found = list(csv.DictReader(file))
        assert len(found) == 12 * minutes - 1 and found[-1]["end"] == str(60 * minutes)
    assert peaks[1] < peaks[0] + 40e6, [f"{peak / 1e6:.0f} MB" for peak in peaks]
