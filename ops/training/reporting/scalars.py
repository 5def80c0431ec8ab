"""Scalars for TensorBoard, written at once by the process that has them.

tensorboardX's own SummaryWriter hands events to a thread, and waits for ever once a full disk has ended that thread.
"""

import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import RecordWriter
from tensorboardX.summary import scalar

from ops.runtime import get_logger


class ScalarWriter:
    """An event file. What cannot be written costs the scalars and one warning, not the run.

    Args:
        folder: where the file is made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file: RecordWriter | None = None
        self._do(self._open)

    def add(self, scalars: Mapping[str, float], at: int) -> None:
        """Write some scalars, by name, of one step."""
        self._do(lambda: self._add(scalars, at))

    def close(self) -> None:
        if self._file is not None:
            self._do(self._file.close)

    def _open(self) -> None:
        self._file = RecordWriter(str(self.folder / f"events.out.tfevents.{time.time():.0f}.{socket.gethostname()}"))
        self._file.write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())

    def _add(self, scalars: Mapping[str, float], at: int) -> None:
        if self._file is not None:
            for name, value in scalars.items():
                event = Event(wall_time=time.time(), step=at, summary=scalar(name, value))
                self._file.write(event.SerializeToString())
            self._file.flush()

    def _do(self, work: Callable[[], object]) -> None:
        try:
            work()
        except OSError as error:
            if self._file is not None:
                with suppress(OSError):  # what could not be written is still in its buffer
                    self._file.close()
            self._file = None
            get_logger().warning(
                "%s: scalars for TensorBoard are no longer written: %s", self.folder, error.strerror or error
            )
