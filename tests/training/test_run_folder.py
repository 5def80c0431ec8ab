"""A run's folders: a log of its own for each run."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ops.runtime.errors import InputError
from ops.runtime.logger import get_logger, setup_logger
from ops.settings.command_lines import parse_train
from ops.settings.training import TrainConfig
from ops.training.reporting.scalars import ScalarWriter
from ops.training.saving.run_folder import claim


@pytest.fixture
def config(motion_folder: Path, tmp_path: Path) -> TrainConfig:
    """Of a run in an empty folder."""
    root = ("--root_path", str(motion_folder / "data/motion"))
    folders = ("--root_log", str(tmp_path / "log"), "--root_model", str(tmp_path / "checkpoint"))
    return parse_train(["motion", "RGB", "--arch", "resnet10", *root, *folders])


def run(config: TrainConfig, same_run: bool, *lines: str) -> None:
    """Claims the folders, says something, and ends."""
    setup_logger(True)
    get_logger().info(lines[0])
    with claim(config, same_run):
        for line in lines[1:]:
            get_logger().info(line)
        writer = ScalarWriter(config.log_dir)
        writer.add({"train/loss": 1.0}, 1)
        writer.close()


def said(path: Path) -> list[str]:
    return [line.split(" ", 2)[2] for line in path.read_text().splitlines()]


class TestClaim:
    def test_settings_beside_log_and_checkpoints(self, config: TrainConfig) -> None:
        run(config, False, "first")
        for folder in (config.log_dir, config.model_dir):
            assert json.loads((folder / "config.json").read_text())["model"]["arch"] == "resnet10"
        assert not list(config.log_dir.glob(".*")) and {p.name for p in config.model_dir.iterdir()} == {
            ".lock", "config.json"
        }  # fmt: skip

    def test_a_run_that_resumes_appends(self, config: TrainConfig) -> None:
        run(config, False, "first", "second")
        run(config, True, "third", "fourth")
        assert said(config.log_dir / "log.txt") == ["first", "second", "third", "fourth"]
        assert not (config.log_dir / "earlier_1").exists()

    def test_a_new_run_sets_the_log_of_a_dead_one_aside(self, config: TrainConfig) -> None:
        run(config, False, "of the first")
        run(replace(config, lr=0.5), False, "of the second")
        run(config, False, "of the third")
        logs = config.log_dir
        assert said(logs / "log.txt")[0] == "of the third"
        assert said(logs / "earlier_1/log.txt")[0] == "of the first"
        assert said(logs / "earlier_2/log.txt")[0] == "of the second"
        assert json.loads((logs / "earlier_2/config.json").read_text())["lr"] == 0.5
        for folder in (logs, logs / "earlier_1", logs / "earlier_2"):
            assert len(list(folder.glob("events*"))) == 1
        assert said(logs / "log.txt")[1] == (
            f"a new run: the log of an earlier run of this name is now in {logs / 'earlier_2'}"
        )

    def test_a_folder_that_is_a_file(self, config: TrainConfig) -> None:
        config.log_dir.parent.mkdir()
        config.log_dir.write_text("in the way")
        with pytest.raises(InputError, match="expected a folder to write to"):
            claim(config, False)
