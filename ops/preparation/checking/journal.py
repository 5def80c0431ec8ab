"""What an interrupted check had found, so that the next one continues there."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any

from ops.preparation.checking.facts import Facts, ListedVideo, Problem
from ops.runtime import InputError, try_lock

Known = dict[str, tuple[list[int], Facts]]  # by name: the stamp of what was checked, and what was found


def facts_in(text: str, settings: dict[str, Any]) -> Known | None:
    """What a journal's text holds; None where it is of other settings."""
    first, *lines = text.split("\n")
    known: Known = {}
    try:
        if first != json.dumps(settings) or not lines:
            return None
        for line in lines[:-1]:
            name, stamp, (frames, size, problems, stood_in) = json.loads(line)
            known[name] = (stamp, Facts(frames, size, tuple(Problem(*problem) for problem in problems), stood_in))
    except (ValueError, TypeError):
        return None
    return known


class Journal:
    """A file of facts, one per line; one run at a time holds it, and a run that completes removes it.

    A fact is valid while its file or folder keeps its size and modification time.

    Args:
        path: of the file.
        settings: of the run; a journal of other settings is discarded.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.file = path.open("a+", encoding="utf-8")
        except OSError as error:
            raise InputError(f"{path.parent}: expected a folder to write to, got {error.strerror} (--report)") from None
        if not try_lock(self.file):
            self.file.close()
            raise InputError(f"{path.parent}: expected no other check in this folder, got one (--report)")
        self.file.seek(0)
        text = self.file.read()
        found = facts_in(text, settings)
        if found is None:
            self.file.truncate(0)
            self._write(settings)
        else:  # without a line that was not finished; all is ASCII
            self.file.truncate(len(text) - len(text.rpartition("\n")[2]))
        self.known = found or {}

    def _write(self, content: Any) -> None:
        try:
            self.file.write(json.dumps(content) + "\n")
            self.file.flush()
        except OSError as error:
            raise InputError(f"{self.path}: expected to write this file, got {error.strerror}") from None

    def recall(self, video: ListedVideo) -> Facts | None:
        """What an earlier run found, if the video has not changed."""
        stamp, facts = self.known.get(video.name, (None, None))
        return facts if facts is not None and stamp == stamp_of(video) else None

    def add(self, video: ListedVideo, facts: Facts) -> None:
        self._write([video.name, stamp_of(video), facts])

    def finish(self) -> None:
        """Remove the file: its content is in the reports."""
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()


def stamp_of(video: ListedVideo) -> list[int]:
    """Size and modification time of a file or a folder; empty where there is none."""
    try:
        status = video.path.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]
