"""The checkpoints of a run's folder: their names, which is the newest whole one, which epochs stay.

``last.pth.tar`` is written first and the others become further names of it, so that after a crash anywhere it is whole
and nothing in the folder is newer.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ops.checkpoints import give_name, read_checkpoint, write_checkpoint
from ops.runtime import InputError, get_logger
from ops.training.saving.checkpoint_contents import SampleOrder, saved_position

LAST = "last.pth.tar"
BEST = "best.pth.tar"
_EPOCH = re.compile(r"(\d+)_epoch_ckpt\.pth\.tar")


class Found(NamedTuple):
    """A whole checkpoint of a run.

    Args:
        epoch: epochs done.
        step: steps done of the next epoch.
        path: the file.
        best_epoch: after which epoch the best validation was, if there was one.
        order: what decided the order of its samples, as far as the checkpoint says.
    """

    epoch: int
    step: int
    path: Path
    best_epoch: int | None = None
    order: SampleOrder = SampleOrder()


def epoch_name(epoch: int) -> str:
    """The checkpoint after ``epoch`` epochs."""
    return f"{epoch}_epoch_ckpt.pth.tar"


def epoch_files(folder: Path) -> dict[int, Path]:
    """Checkpoints after whole epochs, the newest first."""
    files = folder.iterdir() if folder.is_dir() else ()
    found = {int(match[1]): path for path in files if (match := _EPOCH.fullmatch(path.name))}
    return dict(sorted(found.items(), reverse=True))


def has_checkpoints(folder: Path) -> bool:
    """Whether a folder holds a run, whole or not."""
    return any((folder / name).exists() for name in (LAST, BEST)) or bool(epoch_files(folder))


def newest_checkpoint(folder: Path) -> Found | None:
    """The newest checkpoint of a run that can be read to its end; damaged ones are named in warnings.

    Reads no more files than it must: epochs that the last checkpoint has behind it are not read.
    """
    newest = _read_if_whole(folder / LAST) or _read_if_whole(folder / BEST)
    for epoch, path in epoch_files(folder).items():
        if newest is not None and epoch <= newest.epoch:
            break
        found = _read_if_whole(path)
        if found is not None:
            return found
    return newest


def _read_if_whole(path: Path) -> Found | None:
    if not path.exists():
        return None
    try:
        return find(path)
    except InputError as error:
        get_logger().warning("skipping a checkpoint: %s", error)
        return None


def find(path: Path) -> Found:
    """What run a checkpoint is of, and how far that is.

    Raises:
        InputError: it cannot be read to its end, or holds no run that could be resumed.
    """
    content = read_checkpoint(path)
    position = saved_position(content, path)
    return Found(position.epoch, position.step, path, position.best_epoch, SampleOrder.saved_in(content))


def write_run(folder: Path, content: Mapping[str, Any], others: tuple[str, ...]) -> None:
    """Write ``last.pth.tar``, once, and give it its other names."""
    write_checkpoint(content, folder / LAST)
    name_again(folder / LAST, others)


def name_again(path: Path, others: tuple[str, ...]) -> None:
    """Give a checkpoint the names that it lacks, in its folder."""
    for other in others:
        give_name(path, path.with_name(other))


def drop_epochs(folder: Path, keep: int) -> None:
    """Remove the checkpoints of all epochs but the newest ``keep``."""
    for path in list(epoch_files(folder).values())[keep:]:
        path.unlink(missing_ok=True)
