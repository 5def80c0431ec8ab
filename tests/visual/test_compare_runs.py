"""compare_runs.py: a real run read back, runs that were made up compared, and what is refused."""

import csv
import json
import math
import time
from pathlib import Path

import pytest
from PIL import Image
from scipy.stats import binomtest
from tensorboardX import SummaryWriter

from ops.runtime.errors import InputError
from ops.visual.runs.comparison import compare_runs, summary
from ops.visual.runs.record import Best, differing, interval_of, read_run
from tests.commands import run_script


def make_run(folder: Path, top1: list[float], settings: dict, videos: str = "(70 of 1,000 videos)") -> Path:
    """A folder of logs as main.py writes it."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"suffix": folder.name, "seed": 0, **settings}))
    (folder / "log.txt").write_text(
        "2026-01-01 00:00:00 32 training videos, 2 steps an epoch of 1,600 videos each; training accuracies\n"
        f"2026-01-01 00:00:01 validation: loss 1.0, top-1 3.00 %   [8 frames, motion val.txt {videos}, x (epoch 1)]\n"
    )
    with SummaryWriter(str(folder)) as writer:
        for epoch, value in enumerate(top1, 1):
            writer.add_scalar("train/loss", 1 / epoch, 2 * epoch, walltime=time.time() + 1800 * epoch)
            writer.add_scalar("val/top1", value, epoch, walltime=time.time() + 1800 * epoch)
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """One with augmentation and a shorter one without, of other networks."""
    return [
        make_run(tmp_path / "log/a", [10.0, 40.0, 40.0, 30.0], {"augment": "strong", "model": {"network": "msn"}}),
        make_run(tmp_path / "log/b", [20.0, 25.0], {"augment": "none", "model": {"network": "tsm"}}, "(50 videos)"),
    ]


class TestWilson:
    @pytest.mark.parametrize(("hits", "count"), [(0, 10), (3, 10), (35, 70), (70, 70), (5000, 20000)])
    def test_as_scipy(self, hits: int, count: int) -> None:
        expected = binomtest(hits, count).proportion_ci(method="wilson")
        assert interval_of(100 * hits / count, count) == pytest.approx(
            (100 * expected.low, 100 * expected.high), abs=1e-6
        )


class TestRecord:
    def test_of_a_real_run(self, trained_folder: Path) -> None:
        """By its logs and by its checkpoints; the best accuracy is the one that its checkpoint has."""
        (logs,) = (trained_folder / "log").glob("MSN_motion_RGB_*segment2")
        run = read_run(logs)
        assert run.videos == 7 and run.clips == 2 * 16 and 0 < run.hours < 1
        assert set(run.curves["val/top1"]) == set(run.curves["train_epoch/loss"]) == {1, 2}
        best = run.best()
        assert best is not None and best.top1 == max(run.curves["val/top1"].values())
        assert f"top-1 {best.top1:.2f} %" in (logs / "log.txt").read_text()

    def test_of_made_up_runs(self, runs: list[Path]) -> None:
        one, other = map(read_run, runs)
        assert one.videos == 70 and other.videos == 50
        assert one.best() == Best(40.0, 2, interval_of(40.0, 70)) and other.best() == Best(
            25.0, 2, interval_of(25.0, 50)
        )
        assert one.clips == 8 * 1600 and other.clips == 4 * 1600
        assert one.hours == pytest.approx(2, abs=0.01) and other.hours == pytest.approx(1, abs=0.01)
        assert differing([one, other]) == {"augment": ["strong", "none"], "model.network": ["msn", "tsm"]}

    def test_events_that_were_cut_off(self, runs: list[Path]) -> None:
        (events,) = runs[0].glob("events*")
        events.write_bytes(events.read_bytes()[:-10])
        assert len(read_run(runs[0]).curves["val/top1"]) == 3

    def test_a_later_start_counts(self, runs: list[Path]) -> None:
        with SummaryWriter(str(runs[1]), filename_suffix=".second") as writer:
            writer.add_scalar("val/top1", 90.0, 2)
        events = sorted(runs[1].glob("events*"))
        events[-1].rename(runs[1] / "events.zz")
        read = read_run(runs[1]).curves["val/top1"]
        assert len(events) == 2 and set(read) == {1, 2}


class TestComparison:
    def test_text_and_files(self, runs: list[Path], tmp_path: Path) -> None:
        text = compare_runs(runs, tmp_path / "side")
        rows = {line.split("  ")[0]: line for line in text.splitlines()}
        assert "strong" in rows["augment"] and "none" in rows["augment"]
        assert "40.00 [" in rows["best top-1 % [95 % interval]"] and "25.00 [" in rows["best top-1 % [95 % interval]"]
        assert "12,800" in rows["clips seen in training"] and rows["4"].split() == ["4", "30.00", "-"]
        table = list(csv.DictReader((tmp_path / "side.csv").open()))
        assert [row["run"] for row in table] == ["a", "b"] and [row["model.network"] for row in table] == ["msn", "tsm"]
        values = list(csv.DictReader((tmp_path / "side_curves.csv").open()))
        found = [float(v["value"]) for v in values if (v["run"], v["scalar"]) == ("b", "val/top1")]
        assert found == [20.0, 25.0]
        assert Image.open(tmp_path / "side.png").size[0] > 800

    def test_columns_line_up(self, runs: list[Path]) -> None:
        rows = list(summary([read_run(run) for run in runs]))
        assert {len(row) for row in rows} == {3} and math.isfinite(float(rows[-1][1]))


class TestRefused:
    def test_no_run(self, tmp_path: Path, runs: list[Path]) -> None:
        with pytest.raises(InputError, match=r"nowhere: expected the folder of a run with config\.json"):
            compare_runs([tmp_path / "nowhere"], tmp_path / "x")
        (runs[0] / "config.json").write_text("{")
        with pytest.raises(InputError, match=r"config\.json: expected the settings of a run"):
            compare_runs(runs, tmp_path / "x")
        (runs[1] / "log.txt").unlink()
        with pytest.raises(InputError, match=r"log\.txt: expected the log of a run"):
            compare_runs(runs[1:], tmp_path / "x")
        with pytest.raises(InputError, match="expected --out in an existing folder"):
            compare_runs(runs, tmp_path / "x" / "y")

    def test_command(self, tmp_path: Path) -> None:
        ended = run_script("scripts/compare_runs.py", "nowhere", cwd=tmp_path)
        assert ended.returncode == 2 and ended.stderr.count("\n") == 1 and not list(tmp_path.iterdir())
