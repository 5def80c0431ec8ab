"""An output folder that one run at a time fills, resumes, or starts over."""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from ops.evaluation.score_files.score_journal import ScoreJournal
from ops.runtime import InputError, distributed, exchange, hold, release


def claim(journal: ScoreJournal, overwrite: bool, resume: bool, check: Callable[[], None]) -> BinaryIO | None:
    """Create the folder of a journal; every process calls it, and the first gets the lock that keeps other runs out.

    Args:
        overwrite: remove partial results; those of these settings stay where ``resume`` is asked for.
        resume: whether partial results may be there.
        check: raises InputError where something else is in the way; the first process calls it.

    Raises:
        InputError: it cannot be written, another run fills it, or it holds what is not to be replaced.
    """
    lock = exchange.on_main_only(lambda: _claim(journal, overwrite, resume, check))
    if distributed.is_first_of_another_machine():  # whose folder may be another
        _make(journal.folder)
        _check_journal(journal, overwrite, resume)
    exchange.barrier()
    return lock


def _claim(journal: ScoreJournal, overwrite: bool, resume: bool, check: Callable[[], None]) -> BinaryIO:
    _make(journal.folder)
    lock = hold(journal.folder / f".{journal.name}.lock")
    try:
        _check_journal(journal, overwrite, resume)
        check()
    except InputError:
        release(lock)
        raise
    return lock


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: expected a folder to write to, got {error.strerror}") from None


def _check_journal(journal: ScoreJournal, overwrite: bool, resume: bool) -> None:
    kept = journal.kept
    if overwrite:
        if not resume:
            journal.remove()
        journal.remove_others()
    elif journal.paths() and not resume:
        raise InputError(
            f"{journal.paths()[0]}: expected no interrupted {kept.run}, got its partial {kept.what}; pass "
            f"{kept.resume} to resume it or --overwrite to start over"
        )
