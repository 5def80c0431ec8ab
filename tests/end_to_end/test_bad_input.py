"""What a user can get wrong: one clear line on stderr, exit status 2, no traceback, nothing overwritten."""

import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

import main as main_script
import pkl_to_results
import test_models_center_crop as centre_script
from ops.models.build import build_model
from ops.runtime.errors import run_script

TRAIN = ("--arch", "resnet10", "--num_segments", "2", "--input_size", "32", "--pretrain", "none", "-j", "0", "-b", "1")
TEST = ("--archs", "resnet10", "--test_segments", "2", "--input_size", "32", "-j", "0", "--weights", "weights.pth")


@pytest.fixture
def frames_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: two videos of 6 images, lists and a TOML file that names them ``mine``; random weights."""
    for video in ("a", "b"):
        (tmp_path / "frames" / video).mkdir(parents=True)
        for i in range(1, 7):
            Image.new("RGB", (40, 36), (i * 20, 0, 99)).save(tmp_path / "frames" / video / f"{i:05d}.jpg")
    (tmp_path / "list.txt").write_text("a 6 0\nb 6 1\n")
    (tmp_path / "mine.toml").write_text(
        'storage = "frames"\nroot = "frames"\ntrain_list = "list.txt"\nval_list = "list.txt"\nnum_classes = 2\n'
    )
    torch.manual_seed(0)
    torch.save(build_model("resnet10", 2, 2).state_dict(), tmp_path / "weights.pth")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(script, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    """The line with which a script refuses its arguments."""
    monkeypatch.setattr(sys, "argv", [script.__name__ + ".py", *arguments])
    with pytest.raises(SystemExit) as stop:
        run_script(script.main)
    error = capsys.readouterr().err
    assert stop.value.code == 2, error
    assert error.startswith("error: ") and error.count("\n") == 1, error
    return error


class TestMain:
    @pytest.fixture
    def refuse(self, frames_folder, capsys, monkeypatch):
        def call(*arguments: str) -> str:
            error = refusal(main_script, capsys, monkeypatch, *arguments)
            assert not (frames_folder / "checkpoint").exists(), "training had begun"
            return error

        return call

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("nothing", "RGB"), ("'nothing' is not built in", "--dataset_config")),
            (("mine", "Flow"), ("expected modality RGB, got Flow",)),
            (("mine", "RGB", "--arch", "resnet11"), ("resnet11", "resnet50")),
            (("mine", "RGB", "--motion", "stpme,magic"), ("'magic'", "stpme,dsme,shift")),
            (("mine", "RGB", "--num_segments", "1"), ("num_segments", "at least 2", "got 1")),
            (("mine", "RGB", "--train_list", "none.txt"), ("none.txt", "expected a list", "No such file")),
            (("mine", "RGB", "--root_path", "nowhere"), ("nowhere", "root folder")),
            (("mine", "RGB", "--class_names", "none.txt"), ("none.txt", "class names")),
            (("mine", "RGB", "--num_class", "1"), ("list.txt, line 2", "0..0", "got 1")),
            (("mine", "RGB", "--resume", "none.pth"), ("none.pth", "expected a checkpoint")),
            (("mine", "RGB", "--tune_from", "none.pth"), ("none.pth", "expected a checkpoint")),
            (("mine", "RGB", "--resume", "weights.pth"), ("weights.pth", "weights only", "--tune_from")),
            (("mine", "RGB", "--resume", "list.txt"), ("list.txt", "expected a checkpoint")),
            (("mine", "RGB", "--tune_from", "weights.pth", "--motion", "none"), ("weights.pth", "--motion", "dsme")),
            (("mine", "RGB", "--pretrain", "imagenet"), ("resnet10", "--pretrain none")),
            (("mine", "RGB", "-e"), ("--resume CHECKPOINT with --evaluate",)),
            (("mine", "RGB", "-b", "5"), ("at least one global batch", "got 2 videos")),
            (("mine", "RGB", "--image_tmpl", "img.jpg"), ("img.jpg", "no number")),
            (("mine", "RGB", "--image_tmpl", "img_{:05d}.jpg"), ("expected images like img_00001.jpg", "none in")),
            (("mine", "RGB", "--storage", "videos"), ("list.txt, line 1", "'<file> <label>'", "num_frames")),
            (("mine", "RGB", "--nonsense"), ("--nonsense", "--help")),
            (("mine", "RGB", "--lr", "fast"), ("--lr", "fast")),
        ],
    )  # fmt: skip
    def test_is_refused_before_training(self, refuse, arguments, words):
        name, modality, *rest = arguments
        error = refuse(name, modality, *TRAIN, "--dataset_config", "mine.toml", *rest) if name == "mine" else refuse(
            name, modality, *TRAIN, *rest
        )  # fmt: skip
        assert all(word in error for word in words), error

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("", ("empty list",)),
            ("\n \n", ("empty list",)),
            ("a 6 0\nb six 1\n", ("line 2", "<num_frames>")),
            ("a 6 0\nb 6 -1\n", ("line 2", "got -1")),
            ("a.mp4 0\n", ("line 1", "<num_frames>")),
            ("missing 6 0\n", ("missing", "expected a folder of images")),
        ],
    )
    def test_list_is_refused(self, refuse, frames_folder, content, words):
        (frames_folder / "list.txt").write_text(content)
        error = refuse("mine", "RGB", *TRAIN, "--dataset_config", "mine.toml")
        assert all(word in error for word in words), error

    def test_folder_without_images(self, refuse, frames_folder):
        for image in (frames_folder / "frames" / "a").iterdir():
            image.unlink()
        error = refuse("mine", "RGB", *TRAIN, "--dataset_config", "mine.toml")
        assert "frames/a: expected images like 00001.jpg, got none" in error

    def test_output_folder_that_is_a_file(self, refuse, frames_folder):
        (frames_folder / "log").write_text("in the way")
        error = refuse("mine", "RGB", *TRAIN, "--dataset_config", "mine.toml")
        assert "log/MSN_mine_RGB_resnet10_avg_segment2: expected a folder to write to" in error
        assert (frames_folder / "log").read_text() == "in the way"

    def test_image_missing_in_the_middle_is_named(self, frames_folder, capsys, monkeypatch):
        """Known only when it is read: training stops, and says which."""
        (frames_folder / "frames" / "b" / "00004.jpg").unlink()
        (frames_folder / "frames" / "b" / "00003.jpg").write_bytes(b"no image")
        error = refusal(
            main_script, capsys, monkeypatch, "mine", "RGB", *TRAIN, "--dataset_config", "mine.toml", "-j", "1"
        )
        assert "frames/b/0000" in error and "expected an image" in error


class TestTestScript:
    @pytest.fixture
    def refuse(self, frames_folder, capsys, monkeypatch):
        def call(*arguments: str) -> str:
            common = ("mine", "--dataset_config", "mine.toml", *TEST, "--output_dir", "out")
            return refusal(centre_script, capsys, monkeypatch, *common, *arguments)

        return call

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("--weights", "none.pth"), ("none.pth", "expected a checkpoint")),
            (("--archs", "resnet18"), ("weights.pth", "--arch resnet18", "got those of resnet10")),
            (("--archs", "resnet19"), ("--archs", "'resnet19'")),
            (("--num_class", "3"), ("weights.pth", "resnet10, 3 classes", "resnet10, 2 classes")),
            (("--test_segments", "1"), ("at least 2",)),
            (("--test_segments", "8,16"), ("--test_segments", "expected 1 values")),
            (("--clip_index", "1"), ("--clip_index", "--num_clips 1", "got 1")),
            (("--test_crops", "3"), ("--test_crops",)),
            (("--test_list", "none.txt"), ("none.txt", "expected a list")),
            (("--output_dir", "list.txt"), ("list.txt", "expected a folder to write to")),
        ],
    )  # fmt: skip
    def test_is_refused(self, refuse, arguments, words):
        error = refuse(*arguments)
        assert all(word in error for word in words), error

    def test_broken_image_is_named(self, refuse, frames_folder):
        (frames_folder / "frames" / "b" / "00002.jpg").write_bytes(b"no image")
        (frames_folder / "frames" / "b" / "00001.jpg").write_bytes(b"no image")
        assert "frames/b/0000" in refuse()


class TestResultsScript:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("--output_dir", "nowhere"), ("nowhere", "folder of score pickles")),
            (("--output_dir", "."), ("0_crop0.pkl", "1 of 1 are missing")),
            (("--output_dir", ".", "--multi_segments"), ("--output_dir1",)),
            ((), ("--output_dir",)),
        ],
    )  # fmt: skip
    def test_is_refused(self, frames_folder, capsys, monkeypatch, arguments, words):
        error = refusal(pkl_to_results, capsys, monkeypatch, *arguments)
        assert all(word in error for word in words), error
