"""The index of packets: what is in it, who may use it at once, and what happens where it cannot be kept."""

import multiprocessing
import os
import signal
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from ops.video.index import known as memory
from ops.video.index import packet_index
from ops.video.index.known import Known, state_of
from ops.video.index.machines import index_beside
from ops.video.index.packet_index import NAME, PacketIndex, pack, unpack
from ops.video.pyav import PyAVReader
from tests import media


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known, and however slow the machine is, rows are written 32 at a time."""
    memory._known.clear()
    monkeypatch.setattr(packet_index, "KEPT_SECONDS", 1000.0)
    monkeypatch.setattr(packet_index, "WAIT", 300.0)


def video(folder: Path, name: str = "v.mp4", frames: int = 30) -> Path:
    return media.make_video(folder / name, frames, options={"g": "10", "bf": "2"})


def opened(path: Path, index: PacketIndex) -> bool:
    """Whether a reader that starts from the index alone has to open the container."""
    memory._known.clear()
    return PyAVReader(path, index)._container is not None


def test_what_is_known_comes_back(tmp_path: Path) -> None:
    index = index_beside(tmp_path / "train.txt", tmp_path)
    path = video(tmp_path / "a b")
    reader = PyAVReader(path, index)
    stored = Known(reader._length, reader._places, reader._packets)
    again = unpack(pack(stored))
    assert (again.length, again.packets.coding) == (30, stored.packets.coding)
    for one, other in zip(
        (stored.places.times, stored.places.starts, stored.places.shown, *stored.packets[1:]),
        (again.places.times, again.places.starts, again.places.shown, *again.packets[1:]),
        strict=True,
    ):
        assert np.array_equal(one, other)
    assert unpack(pack(Known(7, None))) == Known(7, None)
    assert opened(path, index)  # not written yet
    index.close()
    assert not opened(path, index)
    names = [row[0] for row in sqlite3.connect(tmp_path / NAME).execute("SELECT path FROM files")]
    assert names == ["a b/v.mp4"]  # relative to the root, which may be elsewhere on another machine


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    index = index_beside(tmp_path / "train.txt", tmp_path)
    path = video(tmp_path)
    assert opened(path, index)
    index.close()
    assert not opened(path, index)
    os.utime(path, ns=(0, state_of(path).modified + 1))
    assert opened(path, index)
    index.close()
    assert not opened(path, index)
    video(tmp_path, frames=12)
    memory._known.clear()
    reader = PyAVReader(path, index)
    assert len(reader) == 12 and media.numbers(reader.get_frames(np.arange(12))) == list(range(12))


def fill(index: PacketIndex, state: memory.FileState, worker: int, stop: bool) -> None:
    for number in range(300):
        index.remember(state._replace(path=f"{state.path}.{worker}.{number}"), Known(number, None))
        if stop and number == 200:
            os.kill(os.getpid(), signal.SIGKILL)
    index.close()


def test_several_processes_write_and_one_is_killed(tmp_path: Path) -> None:
    index = index_beside(tmp_path / "train.txt", tmp_path)
    state = state_of(video(tmp_path))
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=fill, args=(index, state, w, w == 2)) for w in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(300)
    assert [worker.exitcode for worker in workers] == [0, 0, -signal.SIGKILL]
    found = [[index.recall(state._replace(path=f"{state.path}.{w}.{n}")) for n in range(300)] for w in range(3)]
    assert found[0] == found[1] == [Known(number, None) for number in range(300)]
    assert [each for each in found[2] if each] == [Known(number, None) for number in range(192)]  # six full writes


@pytest.mark.parametrize("wrong", ["text", "another version", "a folder", "nowhere"])
def test_one_line_where_it_cannot_be_kept(tmp_path: Path, wrong: str, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / NAME
    if wrong == "text":
        file.write_text("This is no database. " * 100)
    elif wrong == "another version":
        sqlite3.connect(file).execute("PRAGMA user_version = 99").close()
    elif wrong == "a folder":
        file.mkdir()
    video_list = tmp_path / ("no such folder" if wrong == "nowhere" else ".") / "train.txt"
    assert index_beside(video_list, tmp_path) is None
    (record,) = caplog.records
    assert NAME in record.getMessage() and "no index of packets is kept" in record.getMessage()
    assert len(PyAVReader(video(tmp_path), None)) == 30


def test_damage_that_comes_later_costs_time_alone(tmp_path: Path) -> None:
    index = index_beside(tmp_path / "train.txt", tmp_path)
    path = video(tmp_path)
    assert opened(path, index)
    index.close()
    connection = sqlite3.connect(tmp_path / NAME)
    with connection:
        connection.execute("UPDATE files SET known = zeroblob(50)")
    connection.close()
    assert opened(path, index)
    index.close()
    assert not opened(path, index)  # found out again
    index.close()
    (tmp_path / NAME).write_bytes(b"no database at all" * 1000)
    memory._known.clear()
    reader = PyAVReader(path, index)
    index.flush()
    assert media.numbers(reader.get_frames(np.arange(3))) == [0, 1, 2]
