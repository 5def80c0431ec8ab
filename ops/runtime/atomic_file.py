"""Files that are whole whenever they exist: written under a hidden name, forced to the disk, renamed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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


@contextmanager
def replacing(path: Path, kind: str = "file") -> Iterator[Path]:
    """A hidden name to write under: ``path`` is what it was or all that was written, even after a crash.

    Args:
        kind: what messages call the file.

    Raises:
        InputError: it cannot be written.
    """
    temporary = temporary_path(path)
    try:
        # Left by a crash, it may be another name of a whole file: removed, never written into.
        temporary.unlink(missing_ok=True)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        move_into_place(temporary, path)
    except BaseException as error:
        with suppress(OSError):  # of a read-only file system, even if there is nothing
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise InputError(f"{path}: expected to write a {kind}, got {error.strerror or error}") from None
        raise


def write_atomically(path: Path, content: bytes) -> None:
    """Write all of a file, or leave what was there.

    Raises:
        InputError: it cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(content)


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
