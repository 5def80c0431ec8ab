"""An output folder that one run at a time fills, resumes, or starts over."""

from collections.abc import Callable
from typing import BinaryIO

from ops.evaluation.score_files.score_journal import ScoreJournal
from ops.runtime import InputError, hold, release


def claim(journal: ScoreJournal, overwrite: bool, resume: bool, check: Callable[[], None]) -> BinaryIO:
    """Create the folder of a journal; returns the lock that keeps other runs out.

    Args:
        overwrite: remove partial results; those of these settings stay where ``resume`` is asked for.
        resume: whether partial results may be there.
        check: raises InputError where something else is in the way.

    Raises:
        InputError: it cannot be written, another run fills it, or it holds what is not to be replaced.
    """
    folder, kept = journal.folder, journal.kept
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: expected a folder to write to, got {error.strerror}") from None
    lock = hold(folder / f".{journal.name}.lock")
    try:
        if overwrite:
            if not resume:
                journal.remove()
            journal.remove_others()
        elif journal.paths() and not resume:
            raise InputError(
                f"{journal.paths()[0]}: expected no interrupted {kept.run}, got its partial {kept.what}; pass "
                f"{kept.resume} to resume it or --overwrite to start over"
            )
        check()
    except InputError:
        release(lock)
        raise
    return lock
