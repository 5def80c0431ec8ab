"""The checkpoints of a run's folder: their names, which is the newest whole one, which epochs stay.

``last.pth.tar`` is written first and the others become further names of it, so that after a crash anywhere it is whole
and nothing in the folder is newer.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ops.checkpoints import give_name, read_checkpoint, write_checkpoint
from ops.runtime import InputError, distributed, get_logger, require
from ops.settings import TrainConfig

LAST = "last.pth.tar"
BEST = "best.pth.tar"
_EPOCH = re.compile(r"(\d+)_epoch_ckpt\.pth\.tar")


class Found(NamedTuple):
    """A whole checkpoint, and how many epochs, and steps of the next one, it has done."""

    epoch: int
    step: int
    path: Path


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


def find_checkpoint(config: TrainConfig) -> Path | None:
    """The checkpoint that ``--resume`` means; a fresh run refuses a folder that holds another's.

    What torchrun starts anew goes on from the run's newest, if there is one, whatever the command line says.
    """
    folder = config.model_dir
    if config.resume == "auto" or (distributed.is_restart() and not config.evaluate):
        newest = distributed.on_main(lambda: newest_checkpoint(folder))
        if newest is not None:
            return newest.path
    if config.resume == "auto":
        require(not config.evaluate, f"a checkpoint in {folder} to evaluate", "none that is whole")
        return None
    if config.resume is None and has_checkpoints(folder) and not distributed.is_restart():
        raise InputError(
            f"{folder}: expected no earlier run, got its checkpoints; pass --resume auto to go on with it or --suffix "
            f"NAME for a run of another name"
        )
    return None if config.resume is None else Path(config.resume)


def newest_checkpoint(folder: Path) -> Found | None:
    """The newest checkpoint of a run that can be read to its end; damaged ones are named in warnings.

    Reads no more files than it must: those of epochs that the last one has behind it are left alone.
    """
    newest = _read(folder / LAST) or _read(folder / BEST)
    for epoch, path in epoch_files(folder).items():
        if newest is not None and epoch <= newest.epoch:
            break
        found = _read(path)
        if found is not None:
            return found
    return newest


def _read(path: Path) -> Found | None:
    if not path.exists():
        return None
    try:
        content = read_checkpoint(path)
        return Found(*position_of(content, path), path)
    except InputError as error:
        get_logger().warning("left out: %s", error)
        return None


def position_of(content: Mapping[str, Any], path: Path) -> tuple[int, int]:
    """Epochs and steps that a checkpoint has done.

    Raises:
        InputError: it holds no run that could go on.
    """
    position = content.get("position")
    if not isinstance(position, Mapping) or "optimizer" not in content:
        raise InputError(f"{path}: expected a checkpoint with an optimiser, got weights only; pass it as --tune_from")
    epoch, step = position.get("epoch"), position.get("step")
    if not isinstance(epoch, int) or not isinstance(step, int):
        raise InputError(f"{path}: expected the position of a run in its checkpoint, got {epoch!r}, {step!r}")
    return epoch, step


def refuse_other_run(folder: Path, path: Path, position: tuple[int, int]) -> None:
    """A run that goes on from ``path``, at ``position``, must not mix its checkpoints with those of another course.

    Raises:
        InputError: the run's folder holds checkpoints that do not lead there.
    """
    newest = newest_checkpoint(folder)
    if newest is not None and (newest[:2] > position or path.parent.resolve() != folder.resolve()):
        raise InputError(
            f"{folder}: expected no checkpoints but those that lead to {path}, got {newest.path.name} ({newest.epoch} "
            f"epochs and {newest.step} steps done); pass --resume auto to go on with it or --suffix NAME for a run of "
            f"another name"
        )


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
