"""Live streams over loopback: answers while it runs, a delay that does not grow, streams that end or stall."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ops.inference.answers import Answer
from ops.inference.over_time.sliding import Sliding
from ops.inference.predictor import Predictor
from ops.inference.sources import find_source
from ops.models.build import build_model
from ops.runtime.errors import InputError
from ops.video.errors import VideoError
from tests import media
from tests.commands import run_script
from tests.inference.over_time.live_stream import live_stream


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    config = {"input_size": 32, "model": {"num_segments": 2}, "dataset": {"class_names": list("abcdefg")}}
    path = tmp_path_factory.mktemp("msn") / "msn.pth.tar"
    torch.save({"state_dict": build_model("resnet10", 7, 2).state_dict(), "config": config}, path)
    return path


@pytest.fixture
def predictor(weights: Path) -> Predictor:
    return Predictor(weights)


def watch(sliding: Sliding) -> tuple[list[Answer], str]:
    """The answers, and what the stream's end was."""
    answers = []
    try:
        for answer in sliding:
            answers.append(answer)
    except VideoError as error:
        return answers, str(error)
    pytest.fail("the stream did not end")


class Slow:
    """Takes some seconds, and until a stream has sent some more frames or has ended: a slow machine sends late, too."""

    def __init__(self, sliding: Sliding, work: Callable[[Any], Any], frames: int, seconds: float) -> None:
        self.sliding = sliding
        self.work = work
        self.frames = frames
        self.seconds = seconds
        self.longest = 0.0  # seconds

    def __call__(self, what: Any) -> Any:
        live, begun = self.sliding.live, time.monotonic()
        assert live is not None
        last = live.received + self.frames
        time.sleep(self.seconds)
        while live.received < last and live._reason is None:
            time.sleep(0.01)
        done = self.work(what)
        self.longest = max(self.longest, time.monotonic() - begun)
        return done


class TestStream:
    def test_is_answered_while_it_runs(self, predictor: Predictor) -> None:
        with live_stream(frames=100_000) as url:
            sliding = Sliding(predictor, find_source(url), 0.5, 1.0)
            first = next(iter(sliding))
            assert first.end == first.start + 1

    def test_that_ends(self, predictor: Predictor) -> None:
        with live_stream(frames=50, pace=2) as url:
            sliding = Sliding(predictor, find_source(url), 0.5, 1.0)
            answers, end = watch(sliding)
        assert end == f"{url}: expected the stream to continue, got its end after 2.0 s"
        assert answers and answers[-1].end == 2
        summary = sliding.summary()
        assert summary is not None and "of 50 frames dropped, answers at most" in summary

    def test_that_stalls(self, predictor: Predictor) -> None:
        with live_stream(frames=40, pace=4, stalls=True) as url:
            answers, end = watch(Sliding(predictor, find_source(url), 0.5, 0.5, patience=3.0))
        assert "expected the stream to continue, got nothing for 3 s (it stalled) after 1." in end and answers

    def test_a_slow_network_drops_windows_and_does_not_fall_behind(
        self, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Four times as slow as the stream: a queue of 16 windows would be 12 answers behind at its end."""
        with live_stream(frames=100) as url:
            sliding = Sliding(predictor, find_source(url), 0.25, 0.25)
            slow = Slow(sliding, predictor.probabilities, frames=25, seconds=1.0)
            monkeypatch.setattr(predictor, "probabilities", slow)
            answers, _ = watch(sliding)
        assert sliding.live is not None and sliding.live.received == 100
        assert 2 <= len(answers) <= 7 and sliding.longest_delay < 6 * slow.longest
        used = 6.25 * len(answers)
        assert abs(sliding.live.dropped + used - 100) <= 8  # each frame is in one window, which was answered or dropped

    def test_slow_decoding_drops_frames_up_to_a_key_frame(
        self, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Three times as slow as the stream: a queue would be 66 frames behind at its end."""
        with live_stream(frames=100) as url:
            sliding = Sliding(predictor, find_source(url), 0.5, 0.5)
            slow = Slow(sliding, sliding._prepare, frames=3, seconds=0.12)
            monkeypatch.setattr(sliding, "_prepare", slow)
            watch(sliding)
        assert sliding.live is not None and 20 < sliding.live.dropped < 100
        assert sliding.longest_delay < 33 * slow.longest

    def test_stops_on_purpose(self, predictor: Predictor) -> None:
        with live_stream(frames=100_000, pace=4) as url:
            answers = list(Sliding(predictor, find_source(url), 0.5, 0.5, stop_after=2.0))
        assert answers and answers[-1].end is not None and answers[-1].end <= 2.0


class TestCommand:
    def test_keeps_what_was_answered(self, weights: Path, tmp_path: Path) -> None:
        """A stream that ends: its answers are in the files, one line says so, and the status is 2."""
        with live_stream(frames=75, pace=2) as url:
            out = ("--json", "a.json", "--csv", "a.csv", "--timeline", "a.png")
            done = run_script("scripts/predict.py", str(weights), url, "--every", "1", *out, cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert done.stderr.count("error:") == 1 and "expected the stream to continue, got its end" in done.stderr
        assert "frames dropped, answers at most" in done.stdout + done.stderr
        answers = json.loads((tmp_path / "a.json").read_text())
        assert answers and all(abs(sum(one["probabilities"]) - 1) < 1e-9 for one in answers)
        assert len((tmp_path / "a.csv").read_text().splitlines()) == 1 + len(answers)
        assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")

    def test_nothing_there(self, predictor: Predictor) -> None:
        with pytest.raises(VideoError, match=r"tcp://127\.0\.0\.1:9: expected a video that PyAV opens, got .*refused"):
            list(Sliding(predictor, find_source("tcp://127.0.0.1:9"), 1, 1))

    def test_a_live_stream_needs_windows(self, predictor: Predictor) -> None:
        with (
            live_stream(frames=20, pace=4) as url,
            pytest.raises(InputError, match="expected a video with an end, got a live stream"),
        ):
            predictor(url)


class TestFileBehindAURL:
    @pytest.fixture
    def url(self, tmp_path: Path):
        import functools
        import http.server
        import threading

        media.make_video(tmp_path / "a.mp4", frames=50)
        handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
        handler.log_message = lambda *_: None
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}/a.mp4"
            server.shutdown()

    def test_is_answered_like_the_file(self, predictor: Predictor, tmp_path: Path, url: str) -> None:
        file = str(tmp_path / "a.mp4")
        assert predictor(url).probabilities.tolist() == predictor(file).probabilities.tolist()
        from_url = [a.probabilities.tolist() for a in Sliding(predictor, find_source(url), 0.5, 1)]
        from_file = [a.probabilities.tolist() for a in Sliding(predictor, find_source(file), 0.5, 1)]
        assert from_url == from_file and len(from_file) == 3
