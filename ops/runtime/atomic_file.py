"""Files that are whole whenever they exist: written under a hidden name, forced to the disk, renamed."""

import os
from pathlib import Path

from ops.runtime.errors import InputError


def temporary_path(path: Path) -> Path:
    """The hidden name beside ``path`` for what is not whole yet."""
    return path.with_name(f".{path.name}.tmp")


def move_into_place(temporary: Path, path: Path) -> None:
    """Replace ``path``, and put the folder's new entry on the disk too."""
    os.replace(temporary, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that ``path`` holds either what it held or all of ``content``, even after a crash.

    Raises:
        InputError: it cannot be written.
    """
    temporary = temporary_path(path)
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        move_into_place(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError(f"{path}: expected to write a file, got {error.strerror or error}") from None


def check_writable(path: Path) -> None:
    """Find out before long work whether a file can be written after it.

    Raises:
        InputError: it cannot.
    """
    if path.is_dir():
        raise InputError(f"{path}: expected a file to write, got a folder")
    trial = path.with_name(f".{path.name}.trial")
    try:
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise InputError(f"{path}: expected to write a file, got {error.strerror or error}") from None
