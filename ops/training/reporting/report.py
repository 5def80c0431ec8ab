"""What a run says while it trains: lines of the log, scalars for TensorBoard, a progress bar on a terminal."""

from collections.abc import Mapping
from types import TracebackType

from tqdm import tqdm

from ops.evaluation import accuracies
from ops.runtime import Clock, distributed, duration, get_logger, show_bars
from ops.settings import TrainConfig
from ops.training.reporting.advice import Headspace
from ops.training.reporting.scalars import ScalarWriter
from ops.training.saving.checkpoint_contents import Position


class Report:
    """Reports the progress of a run; a context that closes the file of scalars.

    Args:
        config: settings of main.py.
        steps_per_epoch: steps of an epoch.
        global_batch_size: videos a step, over all processes.
    """

    def __init__(self, config: TrainConfig, steps_per_epoch: int, global_batch_size: int) -> None:
        self.config = config
        self.steps_per_epoch = steps_per_epoch
        self.global_batch_size = global_batch_size
        self._writer = ScalarWriter(config.log_dir) if distributed.is_main() else None
        self._headspace = Headspace(config)
        mixed = "mixed " if config.mixes else ""
        self._clips = f"[{mixed}training clips, {config.model.num_segments} segments, {config.input_size} px]"

    def __enter__(self) -> "Report":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if self._writer is not None:
            self._writer.close()

    def progress_bar(self, position: Position) -> tqdm:
        """Of the steps of an epoch."""
        return tqdm(
            total=self.steps_per_epoch, initial=position.step, desc=f"epoch {position.epoch + 1}/{self.config.epochs}",
            unit="step", disable=not show_bars(), dynamic_ncols=True, leave=False,
        )  # fmt: skip

    def timed(self, clock: Clock) -> None:
        """One more step, the last of the clock."""
        self._headspace.step(clock)

    def steps(self, position: Position, results: Mapping[str, float], clock: Clock, bar: tqdm) -> None:
        """The steps since the last line: means of their results, and how long one took."""
        epochs, steps = self.config.epochs, self.steps_per_epoch
        step_time, data_time = clock.total / clock.steps, clock.waiting / clock.steps
        left = (epochs - position.epoch) * steps - position.step
        bar.set_postfix_str(f"loss {results['loss']:.4f}, top-1 {results['top1']:.1f} %", refresh=False)
        get_logger().info(
            "epoch %d/%d step %d/%d: loss %.4f, %s %s, lr %.3g, %.3f s per step (%.3f s waiting for data), %.1f "
            "videos/s, %s left",
            position.epoch + 1, epochs, position.step, steps, results["loss"],
            accuracies(results["top1"], results.get("top5")), self._clips, results["lr"],
            step_time, data_time, self.global_batch_size / step_time, duration(left * step_time),
        )  # fmt: skip
        scalars = {**self._named(results), "step_time": step_time, "data_time": data_time}
        self._write("train", scalars, position.epoch * steps + position.step)

    def epoch(self, position: Position, results: Mapping[str, float]) -> None:
        """All steps of an epoch; nothing where there were none."""
        if results:
            get_logger().info(
                "epoch %d/%d trained: loss %.4f, %s %s",
                position.epoch + 1, self.config.epochs, results["loss"],
                accuracies(results["top1"], results.get("top5")), self._clips,
            )  # fmt: skip
            self._write("train_epoch", self._named(results), position.epoch + 1)

    def validation(self, epoch: int, results: Mapping[str, float], averaged: bool = False) -> None:
        """What the validation after ``epoch`` epochs has measured, of the weights or of their average."""
        self._write("val_ema" if averaged else "val", results, epoch)

    def _named(self, results: Mapping[str, float]) -> dict[str, float]:
        """Results of training, where accuracies of mixed clips are named as such."""
        return {f"{name}_mixed" if self.config.mixes and name.startswith("top") else name: value
                for name, value in results.items()}  # fmt: skip

    def _write(self, prefix: str, scalars: Mapping[str, float], at: int) -> None:
        if self._writer is not None:
            self._writer.add({f"{prefix}/{name}": value for name, value in scalars.items()}, at)
