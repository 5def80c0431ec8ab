"""What training_curves.py draws of event files: every point, epochs as its axis, and what it says of bad input."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest

from ops.runtime.errors import InputError
from ops.settings.command_lines import curves_parser, parse
from ops.settings.results import CurvesConfig
from ops.training.reporting.event_files import RunScalars, read_scalars
from ops.training.reporting.scalars import ScalarWriter
from ops.visual.report.curves import MOST_POINTS, in_epochs, run_names, summarise, write_curves
from tests.commands import run_script


def write_run(folder: Path, epochs: int = 2, steps: int = 4) -> Path:
    folder.mkdir(parents=True)
    writer = ScalarWriter(folder)
    for epoch in range(epochs):
        for step in range(1, steps + 1):
            at = epoch * steps + step
            writer.add({"train/loss": 4 / at, "train/lr": 0.1, "train/step_time": 0.5, "train/data_time": 0.1}, at)
        writer.add({"train_epoch/loss": 3 / (epoch + 1)}, epoch + 1)
        writer.add({"val/top1": (30.0, 50.0, 40.0)[epoch]}, epoch + 1)
    writer.close()
    return folder


def draw(*words: str | Path) -> int:
    return write_curves(parse(curves_parser(), CurvesConfig, [*map(str, words)]))


def run_of(steps: np.ndarray, values: np.ndarray, steps_per_epoch: int | None = 10) -> RunScalars:
    return RunScalars(Path("run"), {"train/loss": (steps, values)}, steps_per_epoch, 0.5)


class TestPage:
    def test_every_point(self, tmp_path: Path) -> None:
        assert draw(write_run(tmp_path / "run")) == 0
        text = (tmp_path / "run" / "training_curves.html").read_text()
        (found,) = re.findall(r'id="data">(.*?)</script>', text, re.DOTALL)
        data = json.loads(found)
        assert data["runs"] == ["run"]
        drawn = {
            (chart["title"], line["name"]): [np.frombuffer(base64.b64decode(line[axis]), "<f4") for axis in "xy"]
            for chart in data["charts"]
            for line in chart["lines"]
        }
        steps = np.arange(1, 9)
        for key, (x, y) in {
            ("Loss", "training, some steps"): (steps / 4, 4 / steps),
            ("Loss", "training, whole epoch"): ([1, 2], [3, 1.5]),
            ("Top-1 accuracy", "validation"): ([1, 2], [30, 50]),
            ("Learning rate", "learning rate"): (steps / 4, [0.1] * 8),
            ("Time per step", "a step"): (steps / 4, [0.5] * 8),
            ("Time per step", "of it, waiting for data"): (steps / 4, [0.1] * 8),
        }.items():
            assert np.allclose(drawn.pop(key), [x, y])
        assert drawn == {}

    def test_runs_below_a_folder_and_one_that_is_broken(self, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
        for name in ("a", "b"):
            write_run(tmp_path / "log" / name)
        (tmp_path / "log" / "c").mkdir()
        (tmp_path / "log" / "c" / "events.out.tfevents.1").write_bytes(b"")
        assert draw(tmp_path / "log", "--out", tmp_path / "page.html") == 2
        printed = capsys.readouterr()
        assert printed.out.startswith(f"{tmp_path / 'page.html'}: 2 runs, ")
        (line,) = printed.err.splitlines()
        assert line.startswith("error: ") and "log/c: expected event files with scalars" in line

    def test_bad_input(self, tmp_path: Path) -> None:
        run = write_run(tmp_path / "run")
        for words, said in (
            ((tmp_path / "nowhere",), "expected the log folder of a run, got nothing there"),
            ((run, "--out", tmp_path / "none" / "page.html"), "expected to write a file, got No such"),
        ):
            with pytest.raises(InputError, match=said):
                draw(*words)

    def test_command(self, tmp_path: Path) -> None:
        write_run(tmp_path / "run")
        done = run_script("scripts/training_curves.py", "run", cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("run/training_curves.html: 1 run, ")
        done = run_script("scripts/training_curves.py", "run/none", cwd=tmp_path)
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and done.stderr.startswith("error: run/none: ")


class TestNumbers:
    def test_very_many_points_are_averaged_in_groups(self) -> None:
        steps = np.arange(1, 2 * MOST_POINTS + 4)
        values = np.random.default_rng(0).random(len(steps))
        x, y = in_epochs(run_of(steps, values), "train/loss")
        groups = [range(i, min(i + 3, len(steps))) for i in range(0, len(steps), 3)]
        assert np.allclose(x, [np.mean([steps[i] / 10 for i in group]) for group in groups])
        assert np.allclose(y, [np.mean([values[i] for i in group]) for group in groups])

    def test_what_is_not_finite_is_not_drawn(self) -> None:
        x, y = in_epochs(run_of(np.array([10, 20, 30]), np.array([1.0, np.nan, np.inf])), "train/loss")
        assert (x.tolist(), y.tolist()) == ([1.0], [1.0])

    def test_an_unfinished_epoch_is_one(self) -> None:
        x, _ = in_epochs(run_of(np.array([10, 20, 40]), np.ones(3), None), "train/loss")
        assert x.tolist() == [0.25, 0.5, 1.0]

    def test_summary(self, tmp_path: Path) -> None:
        found = summarise(read_scalars(write_run(tmp_path / "run", epochs=3)), "run")
        assert (found.epochs, found.best_top1, found.best_epoch, found.last_loss) == (3.0, 50.0, 2, 1.0)
        assert found.step_time == pytest.approx(0.5) and found.data_share == pytest.approx(20)
        empty = summarise(run_of(np.array([5]), np.array([2.0]), None), "run")
        assert empty[1:5] == (0.0, None, None, None) and empty.data_share is None

    def test_names(self) -> None:
        assert run_names([Path("/a/log/x"), Path("/a/log/y/z")]) == ["x", "y/z"]
        assert run_names([Path("/a/log/x")]) == ["x"]
