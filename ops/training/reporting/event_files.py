"""Scalars of runs, read back from TensorBoard's event files.

A file is a row of records: length (8 bytes), its checksum (4), an Event of Protocol Buffers, its checksum (4).
"""

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from google.protobuf.message import DecodeError
from tensorboardX.proto.event_pb2 import Event

from ops.runtime import InputError

Points = tuple[np.ndarray, np.ndarray]  # steps (M,) in increasing order, values (M,)


class Scalar(NamedTuple):
    """A value, and when it was written, in seconds."""

    time: float
    value: float


Series = dict[str, dict[int, Scalar]]  # by tag and step, the last that was written of each


@dataclass(frozen=True)
class RunScalars:
    """The scalars of a run.

    Args:
        folder: of its event files.
        scalars: by tag, ``train/loss`` and the like.
        steps_per_epoch: of training; None where no epoch was finished.
        hours: that its starts have written events for, together.
    """

    folder: Path
    scalars: dict[str, Points]
    steps_per_epoch: int | None
    hours: float


def find_runs(folders: Sequence[Path]) -> list[Path]:
    """The folders with event files, in and below some folders.

    Raises:
        InputError: one of them is no folder, or has none.
    """
    found: list[Path] = []
    for folder in folders:
        if not folder.is_dir():
            raise InputError(
                f"{folder}: expected the log folder of a run, got {'a file' if folder.exists() else 'nothing there'}"
            )
        below = [Path(path) for path, _, names in os.walk(folder) if any("tfevents" in name for name in names)]
        if not below:
            raise InputError(f"{folder}: expected TensorBoard event files of a run (events.*), got none")
        found += sorted(below)
    return list(dict.fromkeys(found))


def read_scalars(folder: Path) -> RunScalars:
    """Read all event files of a run; where a resumed run has repeated steps, the later values count.

    Raises:
        InputError: they hold no scalars.
    """
    series, hours = scalars_in(folder)
    if not series:
        raise InputError(f"{folder}: expected event files with scalars, got none in them")
    return RunScalars(
        folder=folder,
        scalars={tag: (np.array(list(found)), np.array([each.value for each in found.values()]))
                 for tag, found in series.items()},
        steps_per_epoch=_steps_per_epoch(series),
        hours=hours,
    )  # fmt: skip


def scalars_in(folder: Path) -> tuple[Series, float]:
    """All scalars of a folder's event files, and the hours that these span, together.

    Raises:
        InputError: a file cannot be read.
    """
    series: Series = {}
    seconds = 0.0
    for path in sorted(folder.glob("*tfevents*")):  # named for the time of their start
        times = []
        for event in events_of(path):
            times.append(event.wall_time)
            for value in event.summary.value:
                series.setdefault(value.tag, {})[event.step] = Scalar(event.wall_time, value.simple_value)
        seconds += max(times) - min(times) if times else 0
    return {tag: dict(sorted(found.items())) for tag, found in series.items()}, seconds / 3600


def events_of(path: Path) -> Iterator[Event]:
    """The whole events of a file, up to where it is cut off or damaged.

    Raises:
        InputError: it cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: expected an event file, got {error.strerror}") from None
    place = 0
    while place + 12 <= len(data):
        (length,) = struct.unpack_from("<Q", data, place)
        if place + 16 + length > len(data):
            return  # cut off in a crash
        event = Event()
        try:
            event.ParseFromString(data[place + 12 : place + 12 + length])
        except DecodeError:
            return
        yield event
        place += 16 + length


def _steps_per_epoch(series: Series) -> int | None:
    """The last step of an epoch is always reported, just before the epoch itself."""
    for epoch, trained in series.get("train_epoch/loss", {}).items():
        before = [step for step, scalar in series.get("train/loss", {}).items() if scalar.time <= trained.time]
        if before and before[-1] % epoch == 0:
            return int(before[-1] // epoch)
    return None
