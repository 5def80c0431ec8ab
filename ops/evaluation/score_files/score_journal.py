"""What a pass over a list makes of each video, on disk as it is made: what an interrupted run has done is not lost."""

import io
import json
import math
import os
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ops.runtime import InputError, distributed, exchange, write_atomically

PIECE = 2**24  # bytes of records that are sent at a time, at least


class Kept(NamedTuple):
    """What is kept of videos, what has become of these, what makes it, and the option that resumes that, in words."""

    what: str = "scores"
    done: str = "scored"
    run: str = "test"
    resume: str = "--resume_scores"


SCORES = Kept()


class Place(NamedTuple):
    """Where a record's numbers are."""

    path: Path
    offset: int


class ScoreJournal:
    """Scores, or other numbers, as they are made, on disk.

    Each process appends to a file of its own; a record is the video's place in the list, its numbers, like the scores
    of every view (views, classes), and a checksum. Files that another setting wrote are refused.

    Args:
        folder: of the score files.
        name: of this journal, among others in the folder.
        key: everything that the numbers depend on, JSON-able.
        shape: of a record, like (views, classes).
        kept: what it is.
    """

    def __init__(
        self, folder: Path, name: str, key: dict[str, Any], shape: tuple[int, ...], kept: Kept = SCORES
    ) -> None:
        self.folder = folder
        self.name = name
        self.header = (json.dumps({"key": key, "shape": list(shape)}, sort_keys=True) + "\n").encode()
        self.shape = shape
        self.kept = kept
        self._record = 8 + 4 * math.prod(shape) + 4
        self._file: io.BufferedWriter | None = None

    def paths(self) -> list[Path]:
        return sorted(self.folder.glob(f".{self.name}_rank*.{self.kept.what}"))

    def open(self, rank: int) -> None:
        """Start appending after the last complete record of an earlier run."""
        path = self.folder / f".{self.name}_rank{rank}.{self.kept.what}"
        if path.is_file():
            os.truncate(path, len(self.header) + self._record * sum(1 for _ in self._records(path)))
        else:
            write_atomically(path, self.header)
        self._file = path.open("ab")

    def append(self, video: int, numbers: np.ndarray) -> None:
        """Add what was made of one video."""
        body = np.int64(video).tobytes() + np.ascontiguousarray(numbers, dtype=np.float32).tobytes()
        self._write(body + np.uint32(zlib.crc32(body)).tobytes())

    def _write(self, records: bytes) -> None:
        assert self._file is not None
        try:
            self._file.write(records)
            self._file.flush()
        except OSError as error:
            raise InputError(f"{self.folder}: expected to write {self.kept.what}, got {error.strerror}") from None

    def close(self) -> None:
        if self._file is not None:
            with suppress(OSError):  # each record was written at once; one that could not be is still in the buffer
                self._file.close()
            self._file = None

    def places(self) -> dict[int, Place]:
        """Where the numbers of each video are, by its place in the list, in every process's file."""
        return {video: place for path in self.paths() for video, place in self._records(path)}

    def take(self, places: Sequence[Place]) -> np.ndarray:
        """The numbers (N, ...) float32 at some places."""
        found = np.empty((len(places), *self.shape), np.float32)
        by_file = sorted(range(len(places)), key=lambda number: places[number])
        file: io.BufferedReader | None = None
        for number in by_file:
            path, offset = places[number]
            if file is None or file.name != str(path):
                if file is not None:
                    file.close()
                file = open(path, "rb")  # noqa: SIM115 (closed below)
            file.seek(offset)
            found[number] = np.frombuffer(file.read(found[number].nbytes), np.float32).reshape(self.shape)
        if file is not None:
            file.close()
        return found

    def read(self) -> dict[int, np.ndarray]:
        """All numbers, by place in the list."""
        places = self.places()
        return dict(zip(places, self.take(list(places.values())), strict=True))

    def gather(self, videos: Collection[int]) -> None:
        """Take over, on the first process, what machines have made of these videos whose folder it does not see.

        Every process calls it.
        """
        wanted: set[int] = exchange.from_main(set(videos) - self.places().keys() if distributed.is_main() else None)
        if not wanted:
            return
        pieces = iter(()) if distributed.is_main() else self._pieces(wanted)
        try:
            for number, piece in enumerate(exchange.to_main(pieces)):
                if number == 0:
                    self.open(distributed.rank())
                self._write(piece)
        finally:
            self.close()

    def _pieces(self, wanted: Collection[int]) -> Iterator[bytes]:
        """The records of these videos, as far as they are here, several at a time."""
        piece, left = bytearray(), set(wanted)
        for path in self.paths():
            with path.open("rb") as file:
                for video, place in self._records(path):
                    if video in left:
                        left.remove(video)
                        file.seek(place.offset - 8)
                        piece += file.read(self._record)
                        if len(piece) >= PIECE:
                            yield bytes(piece)
                            piece.clear()
        if piece:
            yield bytes(piece)

    def _records(self, path: Path) -> Iterator[tuple[int, Place]]:
        """Whole records of a file; an incomplete last record is skipped."""
        with path.open("rb") as file:
            if file.read(len(self.header)) != self.header:
                kept = self.kept
                raise InputError(
                    f"{path}: expected partial {kept.what} of a {kept.run} with these settings, got those of other "
                    f"settings; finish that {kept.run}, or start over with --overwrite"
                )
            start = len(self.header)
            while len(record := file.read(self._record)) == self._record:
                if zlib.crc32(record[:-4]) != int.from_bytes(record[-4:], "little"):
                    return
                yield int.from_bytes(record[:8], "little"), Place(path, start + 8)
                start += self._record

    def remove_others(self) -> None:
        """Remove what other settings have left."""
        for path in self.paths():
            with path.open("rb") as file:
                ours = file.read(len(self.header)) == self.header
            if not ours:
                path.unlink(missing_ok=True)

    def remove(self) -> None:
        for path in self.paths():
            path.unlink(missing_ok=True)
