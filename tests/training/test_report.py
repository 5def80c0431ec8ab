"""Lines and scalars of a run, by hand-made numbers."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ops.runtime.progress import Clock
from ops.settings.command_lines import parse_train
from ops.settings.training import TrainConfig
from ops.training.reporting.report import Report
from ops.training.saving.checkpoint_contents import Position
from tests.log_lines import log_lines

RESULTS = {"loss": 1.25, "top1": 50.0, "top5": 87.5}


@pytest.fixture
def config(motion_folder: Path, tmp_path: Path) -> TrainConfig:
    root = ("--root_path", str(motion_folder / "data/motion"), "--root_log", str(tmp_path))
    config = parse_train(["motion", "RGB", *root, "--arch", "resnet10", "--num_segments", "4", "--epochs", "3"])
    config.log_dir.mkdir()
    return config


def clock() -> Clock:
    """Two steps of half a second, a tenth of which waits for data."""
    clock = Clock()
    clock.steps, clock.total, clock.waiting = 2, 1.0, 0.1
    return clock


class TestReport:
    def test_lines(self, config: TrainConfig) -> None:
        position = Position(1, 2)
        with log_lines() as lines, Report(config, 4, 16) as report, report.progress_bar(position) as bar:
            report.steps(position, {**RESULTS, "lr": 0.01}, clock(), bar)
            report.epoch(position, RESULTS)
            report.epoch(position, {})
        kind = "[training clips, 4 segments, 224 px]"
        assert lines == [
            f"epoch 2/3 step 2/4: loss 1.2500, top-1 50.00 %, top-5 87.50 % {kind}, lr 0.01, 0.500 s per step (0.050 "
            "s waiting for data), 32.0 videos/s, 00:00:03 left",
            f"epoch 2/3 trained: loss 1.2500, top-1 50.00 %, top-5 87.50 % {kind}",
        ]

    def test_scalars(self, config: TrainConfig) -> None:
        position = Position(1, 2)
        with Report(config, 4, 16) as report, report.progress_bar(position) as bar:
            report.steps(position, {**RESULTS, "lr": 0.01}, clock(), bar)
            report.epoch(position, RESULTS)
            report.validation(2, RESULTS)
        events = EventAccumulator(str(config.log_dir)).Reload()
        found = {name: [(e.step, e.value) for e in events.Scalars(name)] for name in events.Tags()["scalars"]}
        at = {"train": 6, "train_epoch": 2, "val": 2}
        expected = {f"{kind}/{name}": [(step, value)] for kind, step in at.items() for name, value in RESULTS.items()}
        assert {name: found[name] for name in expected} == expected
        assert found["train/step_time"] == [(6, 0.5)] and set(found) - set(expected) == {
            "train/lr", "train/step_time", "train/data_time"
        }  # fmt: skip

    def test_without_top5(self, config: TrainConfig) -> None:
        with log_lines() as lines, Report(replace(config), 4, 16) as report:
            report.epoch(Position(), {"loss": 1.0, "top1": 40.0})
        assert re.search(r"loss 1\.0000, top-1 40\.00 % \[", lines[0])
