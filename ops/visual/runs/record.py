"""What a run's folder of logs says: its settings, its curves, what it has cost."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ops.evaluation import wilson_intervals
from ops.runtime import InputError, declared
from ops.settings import TrainConfig
from ops.training import scalars_in

_VIDEOS_PER_STEP = re.compile(r" steps? an epoch of ([\d,]+) videos? each")
_VALIDATED = re.compile(r" validation: .* \((?:([\d,]+) of )?([\d,]+) videos?\)")
_UNINTERESTING = {"read_from", "suffix", "root_log", "root_model"}  # where a run is, not what


class Best(NamedTuple):
    """Best validation: top-1 in percent after so many epochs, and its 95 % interval, None where videos are unknown."""

    top1: float
    epoch: int
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class RunRecord:
    """A run.

    Args:
        name: of its folder.
        settings: values of config.json by dotted path.
        curves: by name of the scalar, like ``val/top1``: values by step or epoch.
        videos: of a validation.
        clips: seen in training; None where the log does not say how many a step has.
        hours: that its processes ran.
    """

    name: str
    settings: Mapping[str, Any]
    curves: Mapping[str, Mapping[int, float]]
    videos: int | None
    clips: int | None
    hours: float

    def best(self, curve: str = "val/top1") -> Best | None:
        """The first epoch of the highest top-1 of a curve."""
        values = self.curves.get(curve)
        if not values:
            return None
        epoch = max(values, key=lambda each: (values[each], -each))
        return Best(values[epoch], epoch, None if self.videos is None else interval_of(values[epoch], self.videos))


def interval_of(percent: float, count: int) -> tuple[float, float]:
    """95 % interval of an accuracy on ``count`` videos, in percent."""
    low, high = wilson_intervals(np.array([percent * count / 100]), np.array([count]))[0].tolist()
    return low, high


def read_run(folder: Path) -> RunRecord:
    """The run of a folder of logs, or of checkpoints, which says where its logs are.

    Raises:
        InputError: there is no run.
    """
    settings = _settings(folder)
    log = folder / "log.txt"
    if not log.is_file():
        folder = Path(str(settings.get("root_log", "log"))) / folder.name
        log = folder / "log.txt"
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"{log}: expected the log of a run, got {error.strerror}") from None
    series, hours = scalars_in(folder)
    curves = {tag: {step: each.value for step, each in found.items()} for tag, found in series.items()}
    counts = _VALIDATED.findall(text)
    per_step = _VIDEOS_PER_STEP.findall(text)
    steps = max(curves.get("train/loss", {}), default=0)
    return RunRecord(
        folder.name,
        settings,
        curves,
        _number(counts[-1][0] or counts[-1][1]) if counts else None,
        _number(per_step[-1]) * steps if per_step else None,
        hours,
    )


def _number(text: str) -> int:
    return int(text.replace(",", ""))


def _settings(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{folder}: expected the folder of a run with config.json, got {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{path}: expected the settings of a run, got {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected the settings of a run, got {type(content).__name__}")
    return dict(_flat(content))


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def differing(runs: list[RunRecord]) -> dict[str, list[Any]]:
    """Settings that are not the same in all runs, by path: a value for each run, None where it has none."""
    ignored = _UNINTERESTING | {path for path, setting, *_ in declared(TrainConfig) if setting.of_one_start}
    paths = dict.fromkeys(path for run in runs for path in run.settings if path not in ignored)
    rows = {path: [run.settings.get(path) for run in runs] for path in paths}
    return {path: values for path, values in rows.items() if any(value != values[0] for value in values)}
