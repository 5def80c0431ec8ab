"""Answers in files that grow as they come: JSON and CSV."""

import csv
import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TextIO

from ops.inference.answers import Answer
from ops.runtime import InputError

_TOP = 5  # classes in a row of the CSV file


class AnswerFile:
    """A file of answers; whole after the ``with``, and after each answer all that came before is in it.

    Args:
        path: the file; what was there is replaced.
        write: called for each answer, with the file and the number of answers before it.
        head, tail: of the file.

    Raises:
        InputError: it cannot be written.
    """

    def __init__(self, path: Path, write: Callable[[TextIO, Answer, int], object], head: str, tail: str) -> None:
        self.path = path
        self._write = write
        self._tail = tail
        self._count = 0
        with self._errors():
            self._file = path.open("w", encoding="utf-8", errors="backslashreplace", newline="")
            self._file.write(head)

    def add(self, answer: Answer) -> None:
        with self._errors():
            self._write(self._file, answer, self._count)
            self._file.flush()
        self._count += 1

    def __enter__(self) -> "AnswerFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._errors():
            try:
                self._file.write(self._tail)
            finally:
                self._file.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(f"{self.path}: expected to write a file, got {error.strerror or error}") from None


def json_file(path: Path, has_windows: bool) -> AnswerFile:
    """A list of answers, with the probabilities of all classes."""

    def write(file: TextIO, answer: Answer, count: int) -> None:
        file.write(("," if count else "") + "\n" + json.dumps(answer.to_dict()))

    return AnswerFile(path, write, "[", "\n]\n")


def csv_file(path: Path, has_windows: bool) -> AnswerFile:
    """A row an answer: the video, start and end of its window in seconds, and the five most probable classes."""
    names = [(f"top{i}", f"top{i}_class", f"top{i}_probability") for i in range(1, _TOP + 1)]
    head = ["video", *(("start", "end") if has_windows else ()), *itertools.chain(*names)]

    def write(file: TextIO, answer: Answer, count: int) -> None:
        window = () if answer.start is None else (f"{answer.start:g}", f"{answer.end:g}")
        guesses = [(label, name, f"{probability:.6f}") for label, name, probability in answer.top(_TOP)]
        csv.writer(file, lineterminator="\n").writerow([answer.source, *window, *itertools.chain(*guesses)])

    return AnswerFile(path, write, ",".join(head) + "\n", "")
