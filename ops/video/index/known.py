"""What a process knows of files: how many frames they have, and where; forgotten when a file changes."""

import os
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

from ops.video.frame_index import Places
from ops.video.index.direct import Packets

REMEMBERED_FRAMES = 2**17  # of all files that a process remembers: 7 MB


class Known(NamedTuple):
    """What a pass over a file has shown.

    Args:
        length: number of its frames.
        places: of the frames, if these are certain.
        packets: where their bytes are, if the frames can be decoded from these alone.
    """

    length: int
    places: Places | None
    packets: Packets | None = None


class FileState(NamedTuple):
    """A file as it was: its path, its size in bytes, when it was written."""

    path: str
    size: int
    modified: int


def state_of(path: Path) -> FileState:
    """
    Raises:
        OSError: it is not there.
    """
    status = os.stat(path)
    return FileState(os.path.abspath(path), status.st_size, status.st_mtime_ns)


_known: OrderedDict[FileState, Known] = OrderedDict()


def recall(state: FileState) -> Known | None:
    """What this process knows of a file, if the file has not changed."""
    return _known.get(state)


def remember(state: FileState, known: Known) -> None:
    """Keep what was found out, in place of what was found out longest ago."""
    _known[state] = known
    while sum(known.length for known in _known.values()) > REMEMBERED_FRAMES:
        _known.popitem(last=False)
