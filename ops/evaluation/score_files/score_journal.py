"""Scores as they are made, on disk: what an interrupted test has done is not lost."""

import io
import json
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ops.runtime import InputError, write_atomically

PIECE = 2**24  # bytes of records that are sent at a time, at least


class ScoreJournal:
    """Scores as they are made, on disk.

    Each process appends to a file of its own; a record is the video's place in the list, its scores of every view
    (views, classes) and a checksum. Files that another setting wrote are refused.

    Args:
        folder: of the score files.
        name: of this journal, among others in the folder.
        key: everything that the scores depend on, JSON-able.
        shape: (views, classes) of a record.
    """

    def __init__(self, folder: Path, name: str, key: dict[str, Any], shape: tuple[int, int]) -> None:
        self.folder = folder
        self.name = name
        self.header = (json.dumps({"key": key, "shape": list(shape)}, sort_keys=True) + "\n").encode()
        self.shape = shape
        self._record = 8 + 4 * shape[0] * shape[1] + 4
        self._file: io.BufferedWriter | None = None

    def paths(self) -> list[Path]:
        return sorted(self.folder.glob(f".{self.name}_rank*.scores"))

    def open(self, rank: int) -> None:
        """Start appending after the last complete record of an earlier run."""
        path = self.folder / f".{self.name}_rank{rank}.scores"
        whole = self.header + b"".join(record for _, record in self._records(path)) if path.is_file() else self.header
        write_atomically(path, whole)
        self._file = path.open("ab")

    def append(self, video: int, scores: np.ndarray) -> None:
        """Add one video's scores (views, classes)."""
        body = np.int64(video).tobytes() + np.ascontiguousarray(scores, dtype=np.float32).tobytes()
        self._write(body + np.uint32(zlib.crc32(body)).tobytes())

    def _write(self, records: bytes) -> None:
        assert self._file is not None
        try:
            self._file.write(records)
            self._file.flush()
        except OSError as error:
            raise InputError(f"{self.folder}: expected to write scores, got {error.strerror}") from None

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def read(self) -> dict[int, np.ndarray]:
        """Scores (views, classes) by place in the list, from every process's file."""
        found = {}
        for path in self.paths():
            for video, record in self._records(path):
                found[video] = np.frombuffer(record, np.float32, offset=8, count=self.shape[0] * self.shape[1])
        return {video: scores.reshape(self.shape) for video, scores in found.items()}

    def pieces(self, wanted: Collection[int]) -> Iterator[bytes]:
        """The records of these videos, as far as they are here, several at a time, for ``append_piece`` elsewhere."""
        piece, left = bytearray(), set(wanted)
        for path in self.paths():
            for video, record in self._records(path):
                if video in left:
                    left.remove(video)
                    piece += record
                    if len(piece) >= PIECE:
                        yield bytes(piece)
                        piece.clear()
        if piece:
            yield bytes(piece)

    def append_piece(self, piece: bytes) -> None:
        """Add records that another process has made."""
        self._write(piece)

    def _records(self, path: Path) -> Iterator[tuple[int, bytes]]:
        """Whole records of a file; an incomplete last record is skipped."""
        content = path.read_bytes()
        if not content.startswith(self.header):
            raise InputError(
                f"{path}: expected partial scores of a test with these settings, got those of other settings; finish "
                f"that test, or start over with --overwrite"
            )
        for start in range(len(self.header), len(content) - self._record + 1, self._record):
            record = content[start : start + self._record]
            if zlib.crc32(record[:-4]) != int.from_bytes(record[-4:], "little"):
                return
            yield int.from_bytes(record[:8], "little"), record

    def remove_others(self) -> None:
        """Remove what other settings have left."""
        for path in self.paths():
            if not path.read_bytes().startswith(self.header):
                path.unlink(missing_ok=True)

    def remove(self) -> None:
        for path in self.paths():
            path.unlink(missing_ok=True)
