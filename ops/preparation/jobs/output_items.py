"""Items of the scripts that turn files into other files: an output that exists is complete.

Work writes under a hidden temporary name beside the output, which is renamed at the end.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ops.runtime import temporary_path


@dataclass(frozen=True)
class Item:
    """A file and what it becomes; a task of worker_pool.py.

    Args:
        name: what messages call it.
        source: the file that is read.
        output: the file or folder that exists when the item is finished.
    """

    name: str
    source: Path
    output: Path

    @property
    def temporary(self) -> Path:
        """Hidden name beside the output, for what is not complete yet."""
        return temporary_path(self.output)

    def clean_up(self) -> None:
        discard(self.temporary)


class Written(NamedTuple):
    """What came of an item: frames written, and what a user should know of it, or nothing."""

    frames: int
    remark: str = ""


# Reads a source and writes an output under a temporary name, with some threads; returns frames written and a remark.
WriteOutput = Callable[[Path, Path, int], tuple[int, str]]


@dataclass(frozen=True)
class FinishItem:
    """Does an item: the output appears under its name only when it is complete.

    Args:
        write: makes the output.
    """

    write: WriteOutput

    def __call__(self, item: Item, threads: int) -> Written:
        item.output.parent.mkdir(parents=True, exist_ok=True)
        item.clean_up()
        written = Written(*self.write(item.source, item.temporary, threads))
        item.temporary.rename(item.output)
        return written


def discard(path: Path) -> None:
    """Removes a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
