"""Predictor and predict.py on files: the answers are those of test_models_center_crop.py, to the decimal."""

import csv
import os
from pathlib import Path

import pytest
import torch

from ops.evaluation.testing import score_views
from ops.inference import sources
from ops.inference.predicting import Prediction
from ops.inference.predictor import Predictor
from ops.inference.sources import find_sources
from ops.models.build import build_model
from ops.runtime.distributed import pick_device
from ops.runtime.errors import InputError
from ops.runtime.worker_pool import Failure
from ops.settings.command_lines import parse, parse_test, predict_parser
from ops.settings.testing import TestScript
from ops.settings.trained.predicting import PredictConfig
from ops.video.reader import open_video
from ops.visual.overlay import write_overlay
from ops.visual.timeline import draw_timeline
from tests import media
from tests.clip_files import write_broken, write_folder
from tests.commands import REPOSITORY, run_script
from tests.pages import commands_with

CENTER = TestScript("test_models_center_crop.py", 1, 1, "")


def answer(*words: str | Path) -> int:
    """predict.py in this process; its exit status."""
    config = parse(predict_parser(), PredictConfig, [*map(str, words)])
    return Prediction(config, draw_timeline, write_overlay).run()


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def numbers(row: dict[str, str]) -> list[str]:
    """Labels and probabilities of a row."""
    return [row[f"top{i}{what}"] for i in range(1, 6) for what in ("", "_probability")]


def measure(weights: Path, out: Path, *options: str, script: TestScript = CENTER, dataset: str = "motion") -> None:
    """What a test script says of its list, in ``test.csv``."""
    files = ("--output_dir", out / "scores", "--csv_file", out / "test.csv", "--weights", weights)
    score_views(parse_test(script, [dataset, *map(str, files), "-j", "0", *options]), pick_device(None))


@pytest.fixture
def folder(trained_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(trained_folder)
    return trained_folder


@pytest.fixture
def trained(folder: Path) -> Path:
    return next((folder / "checkpoint").glob("MSN_motion_RGB_*segment2/best.pth.tar"))


def untrained(network: str, path: Path) -> Path:
    """A checkpoint of any network, without class names."""
    torch.manual_seed(0)
    state = build_model("resnet10", 8, 3, model=network).state_dict()
    state["head.weight"] *= 100
    config = {"input_size": 32, "model": {"network": network, "num_segments": 3}}
    torch.save({"state_dict": state, "config": config}, path)
    return path


class TestEqualsTheTestScripts:
    @pytest.mark.parametrize(
        ("network", "crops", "clips"), [("msn", 1, 1), ("msn", 3, 2), ("tdn", 1, 1), ("tsm", 1, 1), ("tsn", 3, 2)]
    )
    def test_of_every_network(
        self, trained: Path, folder: Path, tmp_path: Path, network: str, crops: int, clips: int
    ) -> None:
        weights = trained if network == "msn" else untrained(network, tmp_path / "a.pth.tar")
        script = TestScript("test_models_center_crop.py", crops, clips, "")
        measure(weights, tmp_path, "--clip_index", "all", "--average", "softmax", script=script)
        views = ("--num_clips", str(clips), "--test_crops", str(crops))
        assert answer(weights, "data/motion/val_videos.txt", "--csv", tmp_path / "a.csv", "-j", "2", *views) == 0
        expected, found = rows(tmp_path / "test.csv"), rows(tmp_path / "a.csv")
        assert [Path(row["video"]).name for row in found] == [Path(row["video"]).name for row in expected]
        assert [numbers(row) for row in found] == [numbers(row) for row in expected]
        named = [row["top1_class"] for row in found]
        assert named == [row["top1_class" if network == "msn" else "top1"] for row in expected]

    def test_of_frame_folders(self, trained: Path, folder: Path, tmp_path: Path) -> None:
        measure(trained, tmp_path, "--storage", "frames")
        assert answer(trained, "data/motion/val_frames.txt", "--csv", tmp_path / "a.csv") == 0
        assert [*map(numbers, rows(tmp_path / "a.csv"))] == [*map(numbers, rows(tmp_path / "test.csv"))]
        assert answer(trained, "data/motion/frames/val", "--csv", tmp_path / "b.csv") == 0
        assert rows(tmp_path / "b.csv") == rows(tmp_path / "a.csv")

    def test_in_python(self, trained: Path, folder: Path, tmp_path: Path) -> None:
        video = "data/motion/videos/val/00003.mp4"
        assert answer(trained, video, "--csv", tmp_path / "a.csv") == 0
        said = Predictor(trained)(video)
        row = rows(tmp_path / "a.csv")[0]
        assert [f"{p:.6f}" for _, _, p in said.top()] == [row[f"top{i}_probability"] for i in range(1, 6)]
        assert said.top(1)[0].name == row["top1_class"] and str(said).startswith(f"{video}\n")
        assert said.probabilities.shape == (8,) and abs(said.probabilities.sum() - 1) < 1e-12

    def test_real_videos(self, trained: Path, tmp_path: Path) -> None:
        videos = media.real_videos()
        (tmp_path / "val.txt").write_text("".join(f"{video} 0\n" for video in videos))
        data = ("--root_path", tmp_path, "--val_list", tmp_path / "val.txt", "--train_list", "none")
        measure(trained, tmp_path, *map(str, data), "--storage", "videos", "--num_class", "8", dataset="real")
        assert answer(trained, *videos, "--csv", tmp_path / "a.csv") == 0
        assert [*map(numbers, rows(tmp_path / "a.csv"))] == [*map(numbers, rows(tmp_path / "test.csv"))]


class TestBadVideos:
    def test_of_a_batch_the_others_are_answered(self, trained: Path, folder: Path, tmp_path: Path) -> None:
        """The command as users run it: every bad video is one line, the answers are kept, and the status is 2."""
        write_broken(tmp_path / "broken.mp4")
        media.make_sound(tmp_path / "sound.m4a")
        (tmp_path / "empty").mkdir()
        good = [f"data/motion/videos/val/0000{i}.mp4" for i in (0, 1)]
        bad = [tmp_path / "broken.mp4", tmp_path / "sound.m4a", tmp_path / "empty", "missing*.mp4", "missing.mp4"]
        words = (good[0], *map(str, bad), good[1])
        done = run_script(
            "scripts/predict.py", str(trained), *words, "--csv", str(tmp_path / "a.csv"), "--json",
            str(tmp_path / "a.json"), "-j", "2", cwd=folder,
        )  # fmt: skip
        assert done.returncode == 2, done.stderr
        errors = [line for line in done.stderr.replace("\r", "\n").splitlines() if line.startswith("error:")]
        assert len(errors) == 5 and all(any(str(name) in line for line in errors) for name in bad)
        assert any("expected a video, got only audio" in line for line in errors)
        assert [row["video"] for row in rows(tmp_path / "a.csv")] == good
        assert good[0] in done.stdout and "Traceback" not in done.stderr

    def test_one_that_kills_its_worker(
        self, trained: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        videos = [f"data/motion/videos/val/0000{i}.mp4" for i in range(5)]

        def deadly(path: Path, decoder: str):
            if path.name == "00002.mp4":
                os._exit(3)
            return open_video(path, decoder)

        monkeypatch.setattr(sources, "open_video", deadly)
        found = dict(Predictor(trained).each(find_sources(videos), batch_size=2, workers=2))
        failed = [source.name for source, result in found.items() if isinstance(result, Failure)]
        assert failed == [videos[2]] and len(found) == 5

    def test_python_raises(self, trained: Path, tmp_path: Path) -> None:
        predictor = Predictor(trained)
        with pytest.raises(InputError, match=r"broken\.mp4: expected a video that PyAV opens"):
            predictor(write_broken(tmp_path / "broken.mp4"))
        with pytest.raises(InputError, match=r"none\.mp4: expected a video, a folder"):
            predictor(tmp_path / "none.mp4")
        with pytest.raises(InputError, match="camera: expected a video with an end, got a camera"):
            predictor("camera")


class TestCommand:
    def test_classes_without_names_are_numbered(
        self, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
    ) -> None:
        weights = untrained("tsn", tmp_path / "tsn.pth.tar")
        video = "data/motion/videos/val/00000.mp4"
        assert answer(weights, video, "--csv", tmp_path / "a.csv") == 0
        said = capsys.readouterr()
        assert (said.out + said.err).count("has no class names: classes are numbered (--class_names FILE)") == 1
        row = rows(tmp_path / "a.csv")[0]
        assert row["top1_class"] == row["top1"]
        assert answer(weights, video, "--class_names", "data/motion/classes.txt", "--csv", tmp_path / "b.csv") == 0
        assert (
            rows(tmp_path / "b.csv")[0]["top1_class"]
            == Path("data/motion/classes.txt").read_text().split()[int(row["top1"])]
        )

    @pytest.mark.parametrize("option", ["--csv", "--json", "--overlay"])
    def test_what_cannot_be_written_is_said_at_once(self, trained: Path, tmp_path: Path, option: str) -> None:
        path = tmp_path / "none" / "a.mp4"
        with pytest.raises(InputError, match=rf"{path}: expected to write a file"):
            answer(trained, "data/motion/videos/val/00000.mp4", option, path)

    @pytest.mark.parametrize("option", ["--csv", "--json"])
    def test_a_full_disk(self, trained: Path, folder: Path, option: str) -> None:
        with pytest.raises(InputError, match=r"^/dev/full: expected to write a file, got No space left on device$"):
            answer(trained, "data/motion/videos/val", option, "/dev/full")

    def test_several_overlays_need_a_folder(self, trained: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="expected --overlay DIR with several videos"):
            answer(trained, "data/motion/videos/val", "--overlay", tmp_path / "a.mp4")
        with pytest.raises(InputError, match=r"expected --overlay FILE\.mp4"):
            answer(trained, "data/motion/videos/val/00000.mp4", "--overlay", tmp_path / "a.avi")

    def test_overlays(self, trained: Path, folder: Path, tmp_path: Path) -> None:
        videos = [f"data/motion/videos/val/0000{i}.mp4" for i in (0, 1)]
        assert answer(trained, *videos, "--overlay", tmp_path / "out") == 0
        for video in videos:
            original, drawn = media.frames_of(Path(video)), media.frames_of(tmp_path / "out" / Path(video).name)
            assert [float(time) for time, _ in drawn] == pytest.approx([float(time) for time, _ in original])
            assert min(drawn[0][1].shape[:2]) == 360  # enlarged: letters need room

    def test_commands_of_the_page(self) -> None:
        for words in commands_with(REPOSITORY / "docs/inference.md", "scripts/predict.py"):
            assert isinstance(parse(predict_parser(), PredictConfig, words[2:]), PredictConfig)

    def test_options_that_need_others(self) -> None:
        for words, message in (
            (("--window", "2"), "expected --every SECONDS with --window"),
            (("--timeline", "a.png"), "expected --every SECONDS with --timeline"),
            (("--every", "1", "--test_crops", "3"), "expected one clip and one crop with --every"),
        ):
            with pytest.raises(InputError, match=message):
                answer("a.pth", "a.mp4", *words)


class TestSources:
    def test_lists_name_videos_with_and_without_labels(self, tmp_path: Path) -> None:
        media.make_video(tmp_path / "a b.mp4", frames=2)
        write_folder(tmp_path / "frames 3", 4)
        (tmp_path / "list.txt").write_text("a b.mp4\na b 7\n\nframes 3 2 0\nframes 3\nhttp://host/x.mp4\nnone.mp4 1\n")
        found = find_sources([str(tmp_path / "list.txt")])
        assert [(Path(s.name).name, s.kind, s.num_frames) for s in found] == [
            ("a b.mp4", "file", None), ("a b.mp4", "file", None), ("frames 3", "frames", 2), ("frames 3", "frames", 4),
            ("x.mp4", "url", None), ("none.mp4", "file", None),
        ]  # fmt: skip

    def test_folders_patterns_and_streams(self, tmp_path: Path) -> None:
        for name in ("b.mp4", "a.AVI", "notes.md", ".hidden.mp4", "deep/c.mkv"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        write_folder(tmp_path / "clip", 3, "img_{:05d}.png", first=0)
        found = find_sources([str(tmp_path), f"{tmp_path}/*.mp4", "rtsp://camera/1", "camera", "camera:2"])
        names = [(str(s.name).removeprefix(f"{tmp_path}/"), s.kind) for s in found]
        assert names == [
            ("a.AVI", "file"), ("b.mp4", "file"), ("clip", "frames"), ("deep/c.mkv", "file"), ("b.mp4", "file"),
            ("rtsp://camera/1", "url"), ("camera", "camera"), ("camera:2", "camera"),
        ]  # fmt: skip
        assert (found[2].num_frames, found[2].template) == (3, "img_{:05d}.png")
        assert found[7].device["file"].endswith("2")

    @pytest.mark.parametrize("template", ["{:05d}.png", "img_{:d}.png", "a{{b}}_{:03d}.png"])
    def test_templates_of_frames(self, tmp_path: Path, template: str) -> None:
        write_folder(tmp_path / "clip", 12, template)
        (source,) = find_sources([str(tmp_path / "clip")])
        assert source.num_frames == 12
        assert source.template.format(7) == template.format(7) and source.template.format(11) == template.format(11)
