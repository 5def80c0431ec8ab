"""Scalars for TensorBoard, and what becomes of a run whose disk is full."""

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboardX.record_writer import RecordWriter

from ops.training.reporting.scalars import ScalarWriter


class TestScalarWriter:
    def test_tensorboard_reads_them_while_they_are_written(self, tmp_path: Path) -> None:
        writer = ScalarWriter(tmp_path)
        for step in (3, 7):
            writer.add({"train/loss": step / 2, "train/lr": 0.25}, step)
            events = EventAccumulator(str(tmp_path)).Reload()
            assert [(e.step, e.value) for e in events.Scalars("train/loss")][-1] == (step, step / 2)
        writer.close()
        assert [e.value for e in EventAccumulator(str(tmp_path)).Reload().Scalars("train/lr")] == [0.25, 0.25]

    def test_a_full_disk_costs_one_warning(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        writer = ScalarWriter(tmp_path)
        monkeypatch.setattr(RecordWriter, "flush", full)
        for step in range(100):
            writer.add({"train/loss": 1.0}, step)
        writer.close()
        (record,) = caplog.records
        assert (
            record.getMessage() == f"{tmp_path}: scalars for TensorBoard are no longer written: No space left on device"
        )

    def test_a_folder_that_cannot_be_written_costs_one_warning(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        writer = ScalarWriter(tmp_path / "nowhere")
        writer.add({"train/loss": 1.0}, 1)
        writer.close()
        assert len(caplog.records) == 1
