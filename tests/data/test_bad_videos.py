"""Broken videos: replaced in training by others with their own labels, left out of validation and testing."""

import csv
import json
import logging
import pickle
import sys
from collections import Counter
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import main as main_script
import pkl_to_results
import test_models_center_crop as centre_script
from ops.data import bad_videos
from ops.data.bad_videos import BadVideos
from ops.data.dataset import MAX_DRAWS, BrokenVideo, Clip, SampleKey, TrainClips, VideoSource
from ops.data.loaders import train_loader
from ops.data.samplers import TrainBatchSampler
from ops.data.sampling import FrameSampler
from ops.data.transforms import TrainTransform
from ops.data.video_list import VideoRecord
from ops.models.build import build_model
from ops.runtime.errors import InputError, run_script
from tests.clip_files import make_spec
from tests.commands import run_ranks

VIDEOS, BROKEN = 12, (2, 7)
SIZE = 32


def grey(video: int) -> int:
    return 20 * video + 5


def label(video: int) -> int:
    return video % 5


def write_frames(root: Path) -> list[VideoRecord]:
    """VIDEOS folders of 6 images, of a grey level that tells the video; the images of BROKEN are text."""
    for video in range(VIDEOS):
        (root / f"v{video}").mkdir(parents=True)
        for i in range(1, 7):
            path = root / f"v{video}" / f"{i:05d}.png"
            if video in BROKEN:
                path.write_text("no picture")
            else:
                Image.new("RGB", (40, 36), (grey(video),) * 3).save(path)
    return [VideoRecord(f"v{video}", 6, label(video)) for video in range(VIDEOS)]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> VideoSource:
    root = tmp_path_factory.mktemp("frames")
    return VideoSource(make_spec(root, "frames", num_classes=5), write_frames(root), "pyav")


def train_clips(source: VideoSource, substitute: bool = True, seed: int = 3) -> TrainClips:
    transform = TrainTransform(SIZE, source.spec.mirror_labels())
    return TrainClips(source, 2, FrameSampler(5), transform, seed, substitute)


class TestSubstitution:
    def test_a_replacement_has_its_own_pixels_label_and_place(self, source: VideoSource) -> None:
        clips = train_clips(source)
        for epoch in range(20):
            for video in BROKEN:
                clip = clips[SampleKey(epoch, video)]
                assert isinstance(clip, Clip)
                assert clip.video not in BROKEN
                assert clip.label == label(clip.video)
                assert (clip.pixels == grey(clip.video)).all()
                assert clip.pixels.shape == (2, 5, 3, SIZE, SIZE)
                assert clip.replaced[0].video == video
                assert {b.video for b in clip.replaced} <= set(BROKEN)
                assert all(f"v{b.video}" in b.reason for b in clip.replaced)

    def test_a_readable_video_is_never_replaced(self, source: VideoSource) -> None:
        with_it, without = train_clips(source), train_clips(source, substitute=False)
        for video in set(range(VIDEOS)) - set(BROKEN):
            one, other = with_it[SampleKey(4, video)], without[SampleKey(4, video)]
            assert isinstance(one, Clip) and isinstance(other, Clip)
            assert (one.video, one.label, one.replaced) == (video, label(video), ())
            assert torch.equal(one.pixels, other.pixels)

    def test_replacements_are_drawn_evenly_anew_each_epoch(self, source: VideoSource) -> None:
        drawn = Counter(train_clips(source)[SampleKey(epoch, 2)].video for epoch in range(300))
        assert set(drawn) == set(range(VIDEOS)) - set(BROKEN)
        assert min(drawn.values()) > 10 and max(drawn.values()) < 60  # 30 expected, standard deviation 5.2

    def test_another_seed_draws_others(self, source: VideoSource) -> None:
        drawn = [[train_clips(source, seed=s)[SampleKey(e, 2)].video for e in range(20)] for s in range(2)]
        assert drawn[0] != drawn[1]

    def test_without_it_a_broken_video_is_said_to_be_one(self, source: VideoSource) -> None:
        sample = train_clips(source, substitute=False)[SampleKey(0, 2)]
        assert isinstance(sample, BrokenVideo) and sample.video == 2

    def test_nothing_but_broken_videos_ends(self, source: VideoSource) -> None:
        hopeless = VideoSource(source.spec, [source.records[video] for video in BROKEN], "pyav")
        sample = train_clips(hopeless)[SampleKey(0, 0)]
        assert isinstance(sample, BrokenVideo)
        assert f"{MAX_DRAWS} other videos could not be read either" in sample.reason

    @pytest.mark.filterwarnings("ignore:This DataLoader will create")
    def test_the_same_for_any_number_of_workers_and_processes(self, source: VideoSource) -> None:
        def steps(workers: int, world: int) -> list[list[Any]]:
            """Of each step: what became of the four videos."""
            shares = []
            for rank in range(world):
                sampler = TrainBatchSampler(VIDEOS, 4 // world, 1, rank, world, seed=5)
                sampler.set_position(1, 0)
                loader = train_loader(train_clips(source), sampler, workers, torch.device("cpu"), 0)
                shares.append([(b.videos, b.labels.tolist(), b.pixels.sum((1, 2, 3, 4, 5)).tolist()) for b in loader])
            together = [zip(*step, strict=True) for step in zip(*shares, strict=True)]
            return [[list(chain.from_iterable(part)) for part in step] for step in together]

        alone = steps(0, 1)
        assert {video for videos, *_ in alone for video in videos}.isdisjoint(BROKEN)
        assert sum(len(videos) for videos, *_ in alone) == VIDEOS
        for workers, world in ((1, 1), (4, 1), (0, 2), (1, 2)):
            assert steps(workers, world) == alone

    def test_a_batch_tells_what_it_replaced(self, source: VideoSource) -> None:
        sampler = TrainBatchSampler(VIDEOS, VIDEOS, 1, 0, 1, seed=5)
        (batch,) = train_loader(train_clips(source), sampler, 0, torch.device("cpu"), 0)
        assert {b.video for b in batch.broken} == set(BROKEN)
        assert len(batch.videos) == len(batch.labels) == VIDEOS


def counter(num_videos: int, max_bad: float = 1, skip: bool = True) -> BadVideos:
    return BadVideos(Path("lists/train.txt"), num_videos, skip, max_bad)


class TestBadVideos:
    def test_error_raises_the_reason_of_the_first(self) -> None:
        with pytest.raises(InputError, match=r"^a\.mp4: cut$"):
            counter(10, skip=False).add([BrokenVideo(1, "a.mp4: cut"), BrokenVideo(2, "b.mp4: empty")])

    @pytest.mark.parametrize(
        ("num_videos", "max_bad", "allowed"),
        [(100, 0.01, 1), (199, 0.01, 1), (200, 0.01, 2), (100, 0.29, 29), (100, 0.07, 7), (20, 0.01, 0), (3, 0, 0),
         (3, 1, 3)],
    )  # fmt: skip
    def test_the_limit_is_exact(self, num_videos: int, max_bad: float, allowed: int) -> None:
        bad = counter(num_videos, max_bad)
        bad.add(BrokenVideo(i, f"{i}.mp4: cut") for i in range(allowed))
        bad.add(BrokenVideo(i, f"{i}.mp4: cut") for i in range(allowed))  # known ones do not count again
        if allowed < num_videos:
            with pytest.raises(InputError) as caught:
                bad.add([BrokenVideo(allowed, "last.mp4: empty")])
            for part in ("lists/train.txt", f"{100 * max_bad:g} % of {num_videos}", f"got {allowed + 1}", "last.mp4"):
                assert part in str(caught.value)

    def test_what_other_processes_met_counts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        others = {3: "3.mp4: cut", 1: "1.mp4: cut"}
        monkeypatch.setattr(bad_videos.exchange, "merge_over_processes", lambda own: {**others, **own})
        bad = counter(100, 0.03)
        bad.add([BrokenVideo(1, "1.mp4: cut"), BrokenVideo(8, "8.mp4: cut")])
        bad.gather()
        assert sorted(bad.reasons) == [1, 3, 8]
        others[4] = "4.mp4: cut"
        with pytest.raises(InputError, match=r"got 4, the last: 4\.mp4"):
            bad.gather()

    def test_each_is_told_once_with_its_reason(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(bad_videos, "get_logger", lambda: logging.getLogger("of this test"))
        bad = counter(50)
        with caplog.at_level(logging.INFO):
            for _ in range(3):
                bad.add([BrokenVideo(1, "a.mp4: cut"), BrokenVideo(8, "b.mp4: empty")])
                bad.gather()
        assert [r.getMessage() for r in caplog.records] == [
            "skipped a broken video (1 of the 50 videos of train.txt so far): a.mp4: cut",
            "skipped a broken video (2 of the 50 videos of train.txt so far): b.mp4: empty",
        ]


TRAIN = (
    "mine", "RGB", "--dataset_config", "mine.toml", "--arch", "resnet10", "--num_segments", "2", "--input_size", "32",
    "--pretrain", "none", "-j", "0", "-b", "4", "--print-freq", "1",
)  # fmt: skip
TEST = (
    "mine", "--dataset_config", "mine.toml", "--archs", "resnet10", "--test_segments", "2", "--input_size", "32",
    "-j", "0", "--batch_size", "4", "--weights", "weights.pth",
)  # fmt: skip
ALLOWED = ("--on_bad_video", "skip", "--max_bad", "0.2")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: the videos, whole.txt without the broken ones, list.txt with them, and random weights."""
    records = write_frames(tmp_path / "frames")
    lines = [f"{r.path} {r.num_frames} {r.label}\n" for r in records]
    (tmp_path / "list.txt").write_text("".join(lines))
    (tmp_path / "whole.txt").write_text("".join(line for i, line in enumerate(lines) if i not in BROKEN))
    (tmp_path / "mine.toml").write_text(
        'storage = "frames"\nroot = "frames"\ntrain_list = "list.txt"\nval_list = "list.txt"\nnum_classes = 5\n'
        'image_tmpl = "{:05d}.png"\n'
    )
    torch.manual_seed(0)
    torch.save(build_model("resnet10", 5, 2).state_dict(), tmp_path / "weights.pth")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    """Run a script in this process: its output, or the error line with which it ended."""

    def run(script: ModuleType, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", [script.__name__ + ".py", *arguments])
        status = None
        try:
            run_script(script.main)
        except SystemExit as stop:
            status = stop.code
        output, error = capsys.readouterr()
        if status is None:
            return output
        assert status == 2 and error.startswith("error: ") and error.count("\n") == 1, error
        return error

    return run


class TestTraining:
    def test_skip_trains_validates_and_says_so(self, folder: Path, call) -> None:
        call(main_script, *TRAIN, *ALLOWED, "--epochs", "3")
        log = (folder / "log/MSN_mine_RGB_resnet10_avg_segment2/log.txt").read_text()
        assert "epoch 3/3 step 3/3" in log
        for video in BROKEN:
            lines = [line for line in log.splitlines() if f"frames/v{video}/" in line]
            assert len(lines) == 2  # once in training, once in validation
            assert all("of the 12 videos of list.txt" in line and "expected an image" in line for line in lines)
        assert log.count("mine list.txt (10 of 12 videos)") == 3

    def test_validation_equals_that_of_a_list_without_them(self, folder: Path, call) -> None:
        for name, videos in (("list", "10 of 12 videos"), ("whole", "10 videos")):
            output = call(
                main_script, *TRAIN, *ALLOWED, "-e", "--resume", "weights.pth", "--val_list", f"{name}.txt", "-b", "1"
            )
            assert f"mine {name}.txt ({videos})" in output
            reported = output.split("validation: ")[1].split("   [")[0]
            if name == "list":
                first = reported
        assert reported == first

    def test_error_is_the_default_and_names_the_file(self, folder: Path, call) -> None:
        assert f"frames/v{BROKEN[0]}/" in call(main_script, *TRAIN, "-e", "--resume", "weights.pth")
        error = call(main_script, *TRAIN)
        assert any(f"frames/v{video}/" in error for video in BROKEN) and "expected an image" in error

    @pytest.mark.parametrize("arguments", [("--epochs", "1"), ("-e", "--resume", "weights.pth")])
    def test_too_many(self, folder: Path, call, arguments: tuple[str, ...]) -> None:
        error = call(main_script, *TRAIN, "--on_bad_video", "skip", "--max_bad", "0.1", *arguments)
        assert "list.txt: expected at most 10 % of 12 videos" in error and "got 2, the last: " in error

    def test_all_of_the_first_videos_missing_is_a_wrong_root(self, folder: Path, call) -> None:
        (folder / "frames" / "v0").rename(folder / "frames" / "gone")
        assert "validation: " in call(main_script, *TRAIN, "--on_bad_video", "skip", "--max_bad", "1", "-e", "--resume",
                                      "weights.pth")  # fmt: skip
        error = call(main_script, *TRAIN, *ALLOWED, "--root_path", "log")
        assert "log" in error and "root folder" in error
        (folder / "empty").mkdir()
        error = call(main_script, *TRAIN, *ALLOWED, "--root_path", "empty")
        assert "empty/v0" in error and "no such folder" in error

    def test_nothing_readable(self, folder: Path, call) -> None:
        (folder / "list.txt").write_text(f"v{BROKEN[0]} 6 0\n" * 4)
        everything = ("--on_bad_video", "skip", "--max_bad", "1")
        assert "could not be read either" in call(main_script, *TRAIN, *everything)
        error = call(main_script, *TRAIN, *everything, "-e", "--resume", "weights.pth")
        assert "list.txt: expected a video that can be read, got none" in error


def scores_in(folder: Path) -> tuple[list[list[Any]], dict[str, Any]]:
    return pickle.loads((folder / "0_crop0.pkl").read_bytes()), json.loads((folder / "0_crop0.json").read_text())


class TestTesting:
    def test_left_out_everywhere_alike(self, folder: Path, call) -> None:
        output = call(centre_script, *TEST, *ALLOWED, "--output_dir", "out", "--csv_file", "top.csv")
        assert "mine list.txt (10 of 12 videos)" in output.splitlines()[-2]
        rows, beside = scores_in(folder / "out")
        readable = [video for video in range(VIDEOS) if video not in BROKEN]
        assert beside["videos"] == [f"v{video}" for video in readable]
        assert [row[1] for row in rows] == [label(video) for video in readable]
        assert (beside["measurement"]["num_videos"], beside["measurement"]["scored_videos"]) == (12, 10)
        table = list(csv.reader((folder / "top.csv").read_text().splitlines()))[1:]
        assert [(row[0], int(row[1])) for row in table] == [(f"v{video}", label(video)) for video in readable]
        printed = output.split("top-1 ")[1].split("   [")[0]
        report = call(pkl_to_results, "--output_dir", "out")
        assert report.startswith(f"top-1 {printed}") and "10 of 12 videos" in report

        call(centre_script, *TEST, "--batch_size", "1", "--output_dir", "whole", "--test_list", "whole.txt")
        for (scores, _), (expected, _) in zip(rows, scores_in(folder / "whole")[0], strict=True):
            assert scores == pytest.approx(expected, rel=1e-4, abs=1e-5)

    def test_the_same_command_again_replaces_its_own_scores(self, folder: Path, call) -> None:
        outputs = [call(centre_script, *TEST, *ALLOWED, "--output_dir", "out") for _ in range(2)]
        assert all("10 of 12 videos" in output for output in outputs)

    def test_error_is_the_default_and_names_the_file(self, folder: Path, call) -> None:
        assert f"frames/v{BROKEN[0]}/" in call(centre_script, *TEST, "--output_dir", "out")
        assert not list((folder / "out").glob("*.pkl"))

    def test_too_many(self, folder: Path, call) -> None:
        error = call(centre_script, *TEST, "--on_bad_video", "skip", "--output_dir", "out")
        assert "expected at most 1 % of 12 videos" in error
        assert not list((folder / "out").glob("*.pkl"))

    def test_nothing_readable(self, folder: Path, call) -> None:
        (folder / "list.txt").write_text(f"v{BROKEN[0]} 6 0\nv{BROKEN[1]} 6 0\n")
        error = call(centre_script, *TEST, "--on_bad_video", "skip", "--max_bad", "1", "--output_dir", "out")
        assert "expected a video that can be read, got none" in error

    def test_what_an_error_interrupted_goes_on_with_skip(self, folder: Path, call) -> None:
        call(centre_script, *TEST, *ALLOWED, "--output_dir", "once")
        order = [0, 1, 3, 4, 5, 2, 6, 7, 8, 9, 10, 11]  # the first batch is readable
        lines = (folder / "list.txt").read_text().splitlines(keepends=True)
        (folder / "list.txt").write_text("".join(lines[i] for i in order))
        call(centre_script, *TEST, *ALLOWED, "--output_dir", "once", "--overwrite")
        assert "frames/v2/" in call(centre_script, *TEST, "--output_dir", "twice")
        output = call(centre_script, *TEST, *ALLOWED, "--output_dir", "twice", "--resume_scores")
        assert "resuming: 4 of 12 videos are already scored" in output
        for name in ("0_crop0.pkl", "0_crop0.json"):
            assert (folder / "once" / name).read_bytes() == (folder / "twice" / name).read_bytes()

    def test_two_processes_count_together_and_leave_out_the_same(self, folder: Path, call) -> None:
        """Each process meets one broken video, which alone would be allowed."""
        command = (*TEST, "--on_bad_video", "skip", "--output_dir", "pair")
        ended = run_ranks(2, "test_models_center_crop.py", *command, "--max_bad", "0.1", cwd=folder)
        assert ended.returncode != 0
        assert "expected at most 10 % of 12 videos to be broken (--max_bad), got 2" in ended.stderr
        assert "resuming: 10 of 12" in call(centre_script, *command, "--max_bad", "0.2", "--resume_scores")
        call(centre_script, *TEST, *ALLOWED, "--output_dir", "alone")
        for name in ("0_crop0.pkl", "0_crop0.json"):
            assert (folder / "alone" / name).read_bytes() == (folder / "pair" / name).read_bytes()
        assert np.isfinite(scores_in(folder / "pair")[0][0][0]).all()
