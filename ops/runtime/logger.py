"""Text log: the only file that adds log handlers. Rank 0 writes; other ranks are silent."""

import logging
import sys
from pathlib import Path

from tqdm import tqdm

from ops.runtime.hosts.variables import variable

NAME = "msn"


class _TerminalHandler(logging.Handler):
    """Prints through tqdm, so that a line does not cut a progress bar in two."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stdout)
        sys.stdout.flush()


class _LogFile(logging.FileHandler):
    """A file whose disk may fill up: that costs its lines and one warning, not the run."""

    _failed = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._failed:
            self._failed = True
            print(
                f"{self.baseFilename}: some log lines could not be written: {error.strerror}",
                file=sys.stderr,
                flush=True,
            )


class _Memory(logging.Handler):
    """Keeps what is said before the log file is open."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def get_logger() -> logging.Logger:
    """The project's logger; silent until ``setup_logger`` has run."""
    return logging.getLogger(NAME)


def setup_logger(is_main: bool, log_file: Path | None = None) -> logging.Logger:
    """Send the log to the terminal and, appending, to ``log_file``; other ranks write nothing.

    What was said since an earlier call without a file goes into the file too.
    """
    logger = get_logger()
    said = [record for handler in logger.handlers if isinstance(handler, _Memory) for record in handler.records]
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.propagate = False
    logger.setLevel(logging.INFO)
    if not is_main:
        logger.addHandler(logging.NullHandler())
        return logger
    handlers: list[logging.Handler] = [_TerminalHandler()]
    handlers.append(_Memory() if log_file is None else _LogFile(log_file, mode="a", encoding="utf-8"))
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
        logger.addHandler(handler)
    for record in said:
        handlers[-1].handle(record)
    return logger


def show_bars() -> bool:
    """Whether progress bars make sense: a terminal, and the first process."""
    return sys.stderr.isatty() and (variable("RANK") or "0") == "0"
