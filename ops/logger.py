"""Text log: the only file that adds log handlers. Rank 0 writes; other ranks keep still."""

import logging
import os
import sys
from pathlib import Path

from tqdm import tqdm

NAME = "msn"


class _TerminalHandler(logging.Handler):
    """Prints through tqdm, so that a line does not cut a progress bar in two."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stdout)
        sys.stdout.flush()


def get_logger() -> logging.Logger:
    """The project's logger; silent until ``setup_logger`` has run."""
    return logging.getLogger(NAME)


def setup_logger(is_main: bool, log_file: Path | None = None) -> logging.Logger:
    """Send the log to the terminal and, appending, to ``log_file``; on other ranks only to nowhere."""
    logger = get_logger()
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.propagate = False
    logger.setLevel(logging.INFO)
    if not is_main:
        logger.addHandler(logging.NullHandler())
        return logger
    handlers: list[logging.Handler] = [_TerminalHandler()]
    if log_file is not None:
        handlers.append(logging.FileHandler(log_file, mode="a", encoding="utf-8"))
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
        logger.addHandler(handler)
    return logger


def show_bars() -> bool:
    """Whether progress bars make sense: a terminal, and the first process."""
    return sys.stderr.isatty() and os.environ.get("RANK", "0") == "0"
