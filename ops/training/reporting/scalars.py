"""Scalars for TensorBoard, written at once by the process that has them.

tensorboardX's own SummaryWriter hands events to a thread, and waits for ever once a full disk has ended that thread.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.summary import scalar

from ops.runtime import get_logger


class ScalarWriter:
    """An event file. What cannot be written costs the scalars and one warning, not the run.

    Args:
        folder: where the file is made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file: EventsWriter | None = None
        self._do(self._open)

    def add(self, scalars: Mapping[str, float], at: int) -> None:
        """Write some scalars, by name, of one step."""
        self._do(lambda: self._add(scalars, at))

    def close(self) -> None:
        if self._file is not None:
            self._do(self._file.close)

    def _open(self) -> None:
        self._file = EventsWriter(str(self.folder / "events"))

    def _add(self, scalars: Mapping[str, float], at: int) -> None:
        if self._file is not None:
            for name, value in scalars.items():
                self._file.write_event(Event(wall_time=time.time(), step=at, summary=scalar(name, value)))
            self._file.flush()

    def _do(self, work: Callable[[], object]) -> None:
        try:
            work()
        except OSError as error:
            self._file = None
            get_logger().warning(
                "%s: scalars for TensorBoard are no longer written: %s", self.folder, error.strerror or error
            )
