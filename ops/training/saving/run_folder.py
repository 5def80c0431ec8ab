"""A run's folders: claimed by one run at a time, with its settings and its log."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from ops.checkpoints import remove_temporaries
from ops.runtime import InputError, get_logger, hold, setup_logger, write_atomically
from ops.settings import TrainConfig, config_dict

LOG = "log.txt"
SETTINGS = "config.json"
EVENTS = "events*"  # of TensorBoard
_EARLIER = "earlier_{}"  # folder of what an earlier run of this name has logged


def claim(config: TrainConfig, same_run: bool) -> BinaryIO:
    """Create the run's folders, its log and its settings file; returns the lock that keeps other runs out.

    Args:
        same_run: the log continues; otherwise what an earlier run of this name has logged is set aside.

    Raises:
        InputError: another run is running there, or nothing can be written.
    """
    for folder in (config.log_dir, config.model_dir):
        _require_writable(folder)
    lock = hold(config.model_dir / ".lock")
    remove_temporaries(config.model_dir)
    if not same_run:
        _set_aside(config.log_dir)
    settings = (json.dumps(config_dict(config), indent=2) + "\n").encode()
    for folder in (config.log_dir, config.model_dir):
        write_atomically(folder / SETTINGS, settings)
    setup_logger(True, config.log_dir / LOG)
    return lock


def _require_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".writable").touch()
        (folder / ".writable").unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: expected a folder to write to, got {error.strerror}") from None


def _set_aside(folder: Path) -> None:
    """Move log, scalars and settings of an earlier run into a folder of their own, which TensorBoard shows apart."""
    found = [*folder.glob(LOG), *folder.glob(EVENTS)]
    if not found:
        return
    earlier = _first_free(lambda number: folder / _EARLIER.format(number))
    try:
        earlier.mkdir()
        for path in (*found, *folder.glob(SETTINGS)):
            path.rename(earlier / path.name)
    except OSError as error:
        raise InputError(f"{earlier}: expected to move an earlier log there, got {error.strerror}") from None
    get_logger().info("a new run: the log of an earlier run of this name is now in %s", earlier)


def _first_free(name: Callable[[int], Path]) -> Path:
    number = 1
    while name(number).exists():
        number += 1
    return name(number)
