"""Lines of the project's log, in a test's own process."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from ops.runtime.logger import NAME


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextmanager
def log_lines() -> Iterator[list[str]]:
    """What is logged meanwhile, a line each."""
    logger, handler = logging.getLogger(NAME), _Lines()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield handler.lines
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
