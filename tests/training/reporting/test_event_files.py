"""Scalars that are read back: those that were written, of whole, resumed and damaged runs."""

from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ops.runtime.errors import InputError
from ops.training.reporting import scalars
from ops.training.reporting.event_files import find_runs, read_scalars
from ops.training.reporting.scalars import ScalarWriter

STEPS = 6  # of an epoch


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of the next event, in seconds; it advances by one with each."""
    now = [1000.0]

    def tick() -> float:
        now[0] += 1
        return now[0]

    monkeypatch.setattr(scalars.time, "time", tick)
    return now


def write_epochs(folder: Path, epochs: range, value: float = 1.0, until: int = STEPS) -> None:
    """As training writes them: every second step, then the epoch, then its validation."""
    folder.mkdir(parents=True, exist_ok=True)
    writer = ScalarWriter(folder)
    for epoch in epochs:
        for step in range(2, until + 1, 2):
            writer.add({"train/loss": value / (epoch * STEPS + step), "train/lr": 0.5}, epoch * STEPS + step)
        if until == STEPS:
            writer.add({"train_epoch/loss": value}, epoch + 1)
            writer.add({"val/top1": 10.0 * epoch}, epoch + 1)
    writer.close()


class TestReading:
    def test_a_run(self, tmp_path: Path, clock: list[float]) -> None:
        write_epochs(tmp_path, range(3))
        run = read_scalars(tmp_path)
        assert run.steps_per_epoch == STEPS and run.hours == pytest.approx(
            3 * 8 / 3600
        )  # from the one that begins the file
        steps, values = run.scalars["train/loss"]
        assert steps.tolist() == list(range(2, 19, 2)) and np.allclose(values, 1 / steps)
        assert [part.tolist() for part in run.scalars["val/top1"]] == [[1, 2, 3], [0.0, 10.0, 20.0]]

    def test_resumed(self, tmp_path: Path, clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
        """Steps that were done twice are as the second time left them; the pause is no training time."""
        write_epochs(tmp_path, range(2), until=4)
        clock[0] += 50_000
        (first,) = tmp_path.iterdir()
        first.rename(first.with_name("events.out.tfevents.1"))
        write_epochs(tmp_path, range(1, 3), value=5.0)
        run = read_scalars(tmp_path)
        steps, values = run.scalars["train/loss"]
        assert steps.tolist() == [2, 4, 8, 10, 12, 14, 16, 18]
        assert np.allclose(values[:2], [1 / 2, 1 / 4]) and np.allclose(values[2:], 5 / steps[2:])
        assert run.steps_per_epoch == STEPS and run.hours < 50 / 3600

    def test_first_epoch_is_not_finished(self, tmp_path: Path) -> None:
        write_epochs(tmp_path, range(1), until=4)
        assert read_scalars(tmp_path).steps_per_epoch is None

    def test_cut_off_in_the_middle(self, tmp_path: Path) -> None:
        write_epochs(tmp_path, range(3))
        (file,) = tmp_path.iterdir()
        file.write_bytes(file.read_bytes()[:-300])
        assert read_scalars(tmp_path).scalars["train/loss"][0].tolist()[:6] == [2, 4, 6, 8, 10, 12]

    @pytest.mark.parametrize("content", [b"", b"nothing of the kind" * 20])
    def test_nothing_in_it(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "events.out.tfevents.1").write_bytes(content)
        with pytest.raises(InputError, match="expected event files with scalars, got none in them"):
            read_scalars(tmp_path)

    def test_tensorboard_reads_the_same(self, tmp_path: Path) -> None:
        write_epochs(tmp_path, range(3))
        events = EventAccumulator(str(tmp_path)).Reload()
        found = read_scalars(tmp_path).scalars
        assert sorted(events.Tags()["scalars"]) == sorted(found)
        for tag, points in found.items():
            expected = [(event.step, event.value) for event in events.Scalars(tag)]
            assert list(zip(*(part.tolist() for part in points), strict=True)) == expected


class TestFinding:
    def test_below_a_folder_and_each_once(self, tmp_path: Path) -> None:
        for name in ("b", "a", "deep/c"):
            write_epochs(tmp_path / name, range(1))
        folders = [tmp_path / name for name in ("a", "b", "deep/c")]
        assert find_runs([tmp_path]) == folders
        assert find_runs([tmp_path / "b", tmp_path]) == [folders[1], folders[0], folders[2]]

    def test_nothing_to_read(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"expected TensorBoard event files of a run \(events\.\*\), got none"):
            find_runs([tmp_path])
        with pytest.raises(InputError, match="nowhere: expected the log folder of a run, got nothing there"):
            find_runs([tmp_path / "nowhere"])
