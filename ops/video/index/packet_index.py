"""The packet index: what passes over the files of lists have shown, in a file in the lists' folder.

A SQLite database, because several processes read and write it, one may be killed while it writes, and a list may name
millions of files: looking one up reads a few kilobytes. What is in it counts only for files of the same size and time.
Whatever goes wrong with it costs time, never a run: then each process finds out for itself.
"""

import contextlib
import hashlib
import json
import os
import secrets
import sqlite3
import struct
import time
import zlib
from collections.abc import Iterable, Iterator
from multiprocessing.util import Finalize
from pathlib import Path

import numpy as np

from ops.video.frame_index import Places
from ops.video.index.direct import Coding, Colours, Packets
from ops.video.index.known import FileState, Known, state_of

NAME = ".packet_index.sqlite3"
VERSION = 2  # of what a row holds
WAIT = 5.0  # seconds for another process that writes
KEPT_ROWS, KEPT_SECONDS = 32, 2.0  # rows that are not written yet, and since when
TABLE = "CREATE TABLE files (path TEXT PRIMARY KEY, size INTEGER, modified INTEGER, digest INTEGER, known BLOB)"
LIST = "SELECT path, digest FROM files WHERE typeof(path) = 'text' AND typeof(digest) = 'integer' ORDER BY path"
MAKE = (
    "DROP TABLE IF EXISTS files",  # of another version
    TABLE,
    "CREATE INDEX digests ON files (path, digest)",  # so that listing them reads no row
    f"PRAGMA user_version = {VERSION}",
)
FIND = "SELECT known FROM files WHERE path = ? AND size = ? AND modified = ?"
PUT = "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)"


class PacketIndex:
    """The index of the files of lists; can be used by forked processes.

    Args:
        file: of the index.
        root: paths in it are relative to this folder where they lie in it.
        writes: whether this process adds to it.
    """

    def __init__(self, file: Path, root: Path, writes: bool = True) -> None:
        self.file = file
        self.writes = writes
        self._root = os.path.join(os.path.abspath(root), "")
        self._rows: list[tuple[str, int, int, int, bytes]] = []
        self._written = time.monotonic()
        self._connection: sqlite3.Connection | None = None
        self._process = self._saves_in = -1  # that opened the connection, that closes it at its end

    def __getstate__(self) -> dict[str, object]:
        return {**vars(self), "_connection": None, "_process": -1, "_saves_in": -1, "_rows": []}

    def create(self) -> int:
        """Make the file if there is none of this version, and let go of it again: workers are forked later.

        Returns:
            Its number, which no other index has.

        Raises:
            sqlite3.Error: it cannot be made or read.
        """
        connection = self._connect()
        if self._number("user_version") < VERSION:
            connection.execute("BEGIN IMMEDIATE")
            with connection:
                if self._number("user_version") < VERSION:  # no other process was faster
                    for statement in (*MAKE, f"PRAGMA application_id = {secrets.randbits(31)}"):
                        connection.execute(statement)
        if (version := self._number("user_version")) != VERSION:
            raise sqlite3.DatabaseError(f"expected version {VERSION}, got {version}")
        number = self._number("application_id")
        self.close()
        return number

    def _number(self, name: str) -> int:
        """One of the numbers that SQLite keeps for its users."""
        return int(self._connect().execute(f"PRAGMA {name}").fetchone()[0])

    def digests(self) -> Iterator[tuple[str, int]]:
        """The names of all files, sorted, and what tells whether two of them have the same frames.

        Nothing if the file is missing, or of another version.
        """
        with contextlib.suppress(sqlite3.Error):
            if self._number("user_version") == VERSION:
                yield from self._connect().execute(LIST)

    def path(self, name: str) -> Path:
        """The file of a name."""
        return Path(self._root, name)

    def recall(self, state: FileState) -> Known | None:
        """What is in it of a file, if the file has not changed."""
        try:
            row = self._connect().execute(FIND, (self._name(state), state.size, state.modified)).fetchone()
            return None if row is None else unpack(row[0])
        except (sqlite3.Error, ValueError, KeyError, struct.error, zlib.error):
            return None

    def remember(self, state: FileState, known: Known) -> None:
        """Add a file; written together with others, soon."""
        if not self.writes:
            return
        if self._saves_in != os.getpid():  # what is left is written when the process ends
            self._saves_in = os.getpid()
            Finalize(None, self.close, exitpriority=1)
        digest = digest_of(state.size, known)
        self._rows.append((self._name(state), state.size, state.modified, digest, pack(known)))
        if len(self._rows) >= KEPT_ROWS or time.monotonic() > self._written + KEPT_SECONDS:
            self.flush()

    def distrust(self, path: Path, length: int) -> None:
        """Keep that a file is damaged, so that it is decoded from its first frame on: a jump may give other pixels."""
        self.remember(state_of(path), Known(length, None))

    def copy_to(self, other: "PacketIndex", paths: Iterable[Path]) -> None:
        """Add to another index what is in this one of some files."""
        for path in paths:
            with contextlib.suppress(OSError):  # it is not there
                state = state_of(path)
                known = self.recall(state)
                if known is not None:
                    other.remember(state, known)
        other.close()

    def flush(self) -> None:
        """Write what is not written yet."""
        self._written = time.monotonic()
        try:
            with self._connect() as connection:
                connection.executemany(PUT, self._rows)
            self._rows = []
        except sqlite3.Error:  # others write, or the disk is full
            self._rows = self._rows[-4 * KEPT_ROWS :]

    def close(self) -> None:
        """Write everything and let go of the file."""
        if self._rows:
            self.flush()
        if self._connection is not None and self._process == os.getpid():
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None

    def _connect(self) -> sqlite3.Connection:
        """This process's connection: one must not be carried over a fork."""
        if self._connection is None or self._process != os.getpid():
            mode = "rwc" if self.writes else "ro"
            uri = f"{Path(os.path.abspath(self.file)).as_uri()}?mode={mode}"
            self._connection = sqlite3.connect(uri, uri=True, timeout=WAIT, check_same_thread=False)
            self._connection.execute("PRAGMA synchronous = OFF")  # an index can be made again
            self._process = os.getpid()
        return self._connection

    def _name(self, state: FileState) -> str:
        return os.fsencode(state.path.removeprefix(self._root)).decode("utf-8", "backslashreplace")


def digest_of(size: int, known: Known) -> int:
    """Eight bytes that follow from a file's size in bytes, and from which frames it has."""
    digest = hashlib.blake2b(struct.pack("<qq", size, known.length), digest_size=8)
    if known.places is not None:
        for column in known.places.times, known.places.starts, known.places.shown:
            digest.update(np.int64(len(column)).tobytes() + column.astype(np.int64).tobytes())
    return int.from_bytes(digest.digest(), "little", signed=True)


def pack(known: Known) -> bytes:
    """What is known as bytes: a header, then differences of the columns, compressed."""
    header: dict[str, object] = {"length": known.length}
    columns: list[np.ndarray] = []
    places, packets = known.places, known.packets
    if places is not None:
        header |= {"pictures": len(places.times), "starts": len(places.starts), "can_skip": places.can_skip}
        columns += [np.diff(places.times, prepend=0), np.diff(places.starts, prepend=0), places.shown]
    if packets is not None:
        codec, extradata, colours = packets.coding
        header |= {"codec": codec, "extradata": extradata.hex(), "colours": colours}
        columns += [np.diff(packets.offsets, prepend=0), packets.sizes]
    text = json.dumps(header).encode()
    content = b"".join(column.astype(np.int64).tobytes() for column in columns)
    return zlib.compress(struct.pack("<I", len(text)) + text + content, 1)


def unpack(blob: bytes) -> Known:
    """The inverse of ``pack``.

    Raises:
        ValueError, KeyError, struct.error, zlib.error: it is none of these.
    """
    content = zlib.decompress(blob)
    (end,) = struct.unpack_from("<I", content)
    header = json.loads(content[4 : 4 + end])
    if "pictures" not in header:
        return Known(header["length"], None)
    pictures, starts = header["pictures"], header["starts"]
    sizes = [pictures, starts, pictures, *([pictures] * 2 if "codec" in header else [])]
    values = np.frombuffer(content, np.int64, sum(sizes), 4 + end)
    columns = np.split(values, np.cumsum(sizes)[:-1])
    places = Places(columns[0].cumsum(), columns[2].astype(bool), columns[1].cumsum(), header["can_skip"])
    if "codec" not in header:
        return Known(header["length"], places)
    coding = Coding(header["codec"], bytes.fromhex(header["extradata"]), Colours(*header["colours"]))
    return Known(header["length"], places, Packets(coding, columns[3].cumsum(), columns[4]))
