"""One run at a time in a folder.

A POSIX record lock ends with its process, however that ends, and data workers do not inherit it.
"""

import errno
import fcntl
from pathlib import Path
from typing import IO, BinaryIO

from ops.runtime.errors import InputError


def hold(path: Path) -> BinaryIO:
    """Lock the file ``path``, made if need be, for this process, until it ends or closes what is returned.

    Raises:
        InputError: another process holds it, or it cannot be made.
    """
    try:
        file = path.open("ab")
    except OSError as error:
        raise InputError(f"{path.parent}: expected a folder to write to, got {error.strerror}") from None
    if not try_lock(file):
        file.close()
        raise InputError(f"{path.parent}: expected no other run in this folder, got one that is running")
    return file


def try_lock(file: IO, first: int = 0, places: int = 0) -> bool:
    """Lock a file that is open for writing, for this process, until it closes the file; whether no other holds it.

    Places from ``first`` on, or all if ``places`` is 0, are locked; they need not lie within the file. On a file system
    without locks nobody ever holds one: one run at a time is up to the user there.
    """
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, places, first)
    except OSError as error:
        return error.errno not in (errno.EACCES, errno.EAGAIN)
    return True


def release(lock: BinaryIO) -> None:
    """Give a lock back and remove its file."""
    Path(lock.name).unlink(missing_ok=True)
    lock.close()
