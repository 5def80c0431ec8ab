"""Training, epoch by epoch: train, validate, save."""

from collections.abc import Callable

from torch import nn

from ops.evaluation import Checkpoint
from ops.runtime import Stopped, StopRequest, exchange, get_logger
from ops.settings import TrainConfig
from ops.training.clips import TrainingClips
from ops.training.ema import WeightAverage
from ops.training.epoch import train_one_epoch
from ops.training.lr_scheduler import LRSchedule
from ops.training.nonfinite import FiniteUpdates
from ops.training.reporting.report import Report
from ops.training.saving.about import accuracy_of
from ops.training.saving.checkpoint_contents import Position
from ops.training.saving.checkpoint_names import LAST, epoch_name
from ops.training.validation import Validator


def fit(
    network: nn.Module,
    updates: FiniteUpdates,
    clips: TrainingClips,
    validator: Validator,
    schedule: LRSchedule,
    position: Position,
    config: TrainConfig,
    save: Callable[[], tuple[str, ...]],
    report: Report,
) -> None:
    """Train from the position to the last epoch.

    Args:
        network: the model, wrapped where there are several processes.
        updates: of the model's weights.
        save: writes the run's state and returns its names; every process calls it.

    Raises:
        Stopped: a signal asked for it; the run's state is saved.
    """
    log, stop = get_logger(), StopRequest()
    stop.listen()
    try:
        while position.epoch < config.epochs:
            trained = train_one_epoch(
                network, updates, clips, schedule, position, config, save, report, stop
            )  # fmt: skip
            report.epoch(position, trained)
            exchange.sync_buffers(updates.model)
            epoch = position.epoch + 1
            if epoch % config.eval_freq == 0 or epoch == config.epochs:
                if updates.average is not None:
                    _validate_average(updates.average, validator, epoch, report, stop)
                results = validator.run(Checkpoint(epoch_name(epoch), epoch), stop)
                report.validation(epoch, results)
                position.note_validation(epoch, results["top1"])
                assert validator.measurement is not None
                position.accuracy = accuracy_of(epoch, results, validator.measurement)
            position.epoch, position.step = epoch, 0
            log.info("saved %s in %s", ", ".join(save()), config.model_dir)
    except Stopped as signal:
        save()
        log.warning(
            "stopped by %s and saved %s after %s; resume with --resume auto", signal, config.model_dir / LAST, position
        )
        raise


def _validate_average(
    average: WeightAverage, validator: Validator, epoch: int, report: Report, stop: StopRequest
) -> None:
    """Measure the averaged weights after ``epoch`` epochs."""
    exchange.sync_buffers(average.model)
    results = validator.run(Checkpoint(epoch_name(epoch), epoch, weights="ema"), stop, average.model)
    report.validation(epoch, results, averaged=True)
    assert validator.measurement is not None
    average.accuracy = accuracy_of(epoch, results, validator.measurement)
