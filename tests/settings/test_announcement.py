"""The first lines of a log: what a script was asked to do, and the files of options that it read."""

from pathlib import Path

import pytest

import test_models_three_crops as three_script
from ops.settings.announcement import announce
from ops.settings.command_lines import parse_test, parse_train
from ops.settings.training import TrainConfig

SMALL = ("motion", "RGB", "--arch", "resnet10", "--num_segments", "4")


def config_of(*options: str) -> TrainConfig:
    return parse_train([*SMALL, *options])


class TestHeadline:
    def test_network_data_epochs_rate_batch(self) -> None:
        config = config_of("--epochs", "1", "-b", "4", "--lr_scheduler", "cosine", "--accumulate", "3")
        assert config.headline(2) == (
            "training MSN_motion_RGB_resnet10_avg_segment4: resnet10, 4 segments, 224 px, on motion (8 classes), "
            "1 epoch, learning rate 0.01 (cosine), batches of 4 videos x 2 processes x 3 accumulated"
        )

    def test_evaluation(self) -> None:
        line = config_of("-e", "--resume", "x").headline(1)
        assert line == "evaluating the network of x, on motion (8 classes)"  # which it is, the checkpoint says

    def test_testing(self) -> None:
        words = ["motion", "--weights", "a.pth,b.pth", "--output_dir", "out", "--num_clips", "4", "--clip_index", "0,2"]
        assert parse_test(three_script.SCRIPT, words).headline(1) == (
            "testing a.pth, b.pth on motion (data/motion/val_videos.txt): 3 crops x 2 of 4 clips, batches of 16 "
            "views x 1 process"
        )


class TestAnnounce:
    @pytest.fixture(autouse=True)
    def in_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        Path("a.args").write_text("motion RGB  # synthetic\n@b.args\n")
        Path("b.args").write_text("--lr 0.5\n")

    def test_files_of_options(self, capsys: pytest.CaptureFixture) -> None:
        announce(parse_train(["@a.args"]))
        first, *others = capsys.readouterr().out.splitlines()
        assert "training MSN_motion_RGB_resnet50_avg_segment8" in first and "learning rate 0.5" in first
        assert [line.split(" ", 2)[2] for line in others] == [
            "options read from a.args: motion RGB @b.args", "options read from b.args: --lr 0.5",
        ]  # fmt: skip

    def test_other_processes_keep_still(self, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RANK", "1")
        monkeypatch.setenv("WORLD_SIZE", "2")
        announce(parse_train(["@a.args"]))
        assert capsys.readouterr().out == ""
