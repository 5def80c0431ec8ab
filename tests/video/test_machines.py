"""The packet indexes of two machines, here processes with folders of their own: who writes, what must be the same."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from ops.runtime import InputError, exchange
from ops.video.index import known as memory
from ops.video.index.machines import index_beside, require_same_frames
from ops.video.index.packet_index import NAME, PacketIndex
from ops.video.pyav import PyAVReader
from tests import media
from tests.processes.gloo import in_processes


def own_machine(rank: int, machines: int = 2) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(machines), "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}


def video(path: Path, frames: int) -> Path:
    return media.make_video(path, frames, options={"g": "10", "bf": "2"})


def same_video(rank: int, path: Path, frames: int) -> Path:
    """The same bytes for all processes: an encoder's may differ."""
    made = exchange.from_all(video(path, frames).read_bytes() if rank == 0 else b"")[0]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(made)
    return path


def look(index: PacketIndex | None, *paths: Path) -> None:
    assert index is not None and index.writes
    for path in paths:
        memory._known.clear()
        PyAVReader(path, index)
    index.close()


def compare(root: Path, *names: str) -> str:
    """What a comparison of a run of some videos says, the same everywhere."""

    def videos() -> Iterator[Path]:
        return (root / name for name in names)

    said = ""
    try:
        require_same_frames([root / "train.txt", root / "val.txt"], root, videos)
    except InputError as error:
        said = str(error)
    assert set(exchange.from_all(said)) == {said}
    return said


def own_folders(rank: int, folder: str) -> None:
    own_machine(rank)
    root = Path(folder, f"machine{rank}")
    same, other, late = (root / name for name in ("same.mp4", "a/other.mp4", "late.mp4"))
    same_video(rank, same, 30)
    video(other, 20 + 5 * rank)
    video(late, 12)
    files = [str(Path(folder, f"machine{number}", NAME)) for number in (0, 1)]

    assert compare(root, "same.mp4") == ""  # neither has one
    index = index_beside(root / "train.txt", root)
    assert compare(root, "same.mp4") == ""  # they are empty
    look(index, same, *[late] * rank)
    os.utime(same, ns=(0, rank))  # copied at another time, and looked at again
    look(index, same)
    exchange.barrier()
    assert compare(root, "same.mp4", "late.mp4") == ""  # what one alone knows does not matter
    look(index, other)
    exchange.barrier()
    sizes = exchange.from_all(other.stat().st_size)
    said = compare(root, "same.mp4", "a/other.mp4")
    assert said.startswith(f"{files[1]}, rank 1 on ")
    assert f"expected the frames of a/other.mp4 as in {files[0]}, rank 0 on " in said
    assert f"got {sizes[1]} bytes, 25 frames instead of {sizes[0]} bytes, 20 frames (" in said
    assert compare(root, "same.mp4") == ""  # it is not of the run
    stamp = other.stat().st_mtime_ns
    if rank == 1:
        os.utime(other, ns=(0, 5))  # its row does not count any more
    assert compare(root, "a/other.mp4") == ""
    os.utime(other, ns=(0, stamp))
    assert "a/other.mp4" in compare(root, "a/other.mp4")
    kept = other.read_bytes()
    exchange.barrier()
    if rank == 0:
        other.unlink()
    assert compare(root, "a/other.mp4") == ""
    other.write_bytes(kept)
    os.utime(other, ns=(0, stamp))
    assert "a/other.mp4" in compare(root, "a/other.mp4")
    if rank == 0:
        Path(files[0]).write_bytes(b"no index" * 1000)
    assert compare(root, "same.mp4", "a/other.mp4") == ""  # an index that cannot be read is none


def two_lists(rank: int, folder: str) -> None:
    """In folders of their own; one machine's first index still has what its second one knows better."""
    own_machine(rank)
    root = Path(folder, f"machine{rank}")
    path = same_video(rank, root / "v.mp4", 30)
    kept = path.read_bytes()
    lists = [root / name / "list.txt" for name in ("a", "b")]
    for used in lists:
        used.parent.mkdir()
    if rank == 0:
        video(path, 20)
        look(index_beside(lists[0], root), path)
        path.write_bytes(kept)
    else:
        index_beside(lists[0], root)
    look(index_beside(lists[1], root), path)
    exchange.barrier()
    require_same_frames(lists, root, lambda: [path])


def damage(rank: int, folder: str) -> None:
    """One machine has found a video to be damaged, which changes how its frames are decoded; here it is the first."""
    own_machine(rank)
    root = Path(folder, f"machine{rank}")
    path = video(root / "v.mp4", 30)
    index = index_beside(root / "train.txt", root)
    look(index, path)
    if rank == 0:
        index.distrust(path, 30)
        index.close()
    exchange.barrier()
    assert (
        "30 frames instead of " in (said := compare(root, "v.mp4"))
        and "30 frames, damaged or without usable times (" in said
    )


def one_folder(rank: int, folder: str) -> None:
    own_machine(rank)
    root = Path(folder, "shared")
    root.mkdir(exist_ok=True)
    exchange.barrier()
    index = index_beside(root / "train.txt", root)
    assert index is not None and index.writes == (rank == 0)
    path = root / "v.mp4"
    if rank == 0:
        video(path, 30)
        look(index, path)
    exchange.barrier()
    memory._known.clear()
    assert PyAVReader(path, index)._container is None  # it reads what the other has written
    assert compare(root, "v.mp4") == ""
    copied = Path(folder, f"copy{rank}")
    shutil.copytree(root, copied)
    index = index_beside(copied / "train.txt", copied)
    assert index is not None and index.writes == (rank == 0)  # nothing tells a copy from the file itself


def processes_of_one_machine(rank: int, folder: str) -> None:
    own_machine(rank)
    os.environ |= {"LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": "2"}
    for _ in range(2):
        index = index_beside(Path(folder, "train.txt"), Path(folder))
        assert index is not None and index.writes


def nowhere(rank: int, folder: str) -> None:
    """The second machine cannot keep one; the first one's is as ever."""
    own_machine(rank)
    root = Path(folder, f"machine{rank}")
    if rank == 0:
        root.mkdir()
    with patch("ops.video.index.machines.get_logger") as logger:
        index = index_beside(root / "train.txt", root)
    assert (index is None) == (rank == 1)
    said = [str(call.args) for call in logger().warning.call_args_list]
    assert len(said) == (rank == 0) and all(f"{folder}/machine1/{NAME}, rank 1 on " in line for line in said)
    assert compare(root) == ""


def third_machine(rank: int, folder: str) -> None:
    """The first machine has read nothing so far: the others are compared with each other."""
    own_machine(rank, 3)
    root = Path(folder, f"machine{rank}")
    path = video(root / "v.mp4", 20 + rank)
    index = index_beside(root / "train.txt", root)
    if rank > 0:
        look(index, path)
    exchange.barrier()
    assert "rank 2 on " in (said := compare(root, "v.mp4")) and "22 frames instead of " in said


def test_three_machines(tmp_path: Path) -> None:
    in_processes(3, third_machine, str(tmp_path))


@pytest.mark.parametrize("what", [own_folders, two_lists, damage, one_folder, processes_of_one_machine, nowhere])
def test_two_machines(tmp_path: Path, what: object) -> None:
    in_processes(2, what, str(tmp_path))


def test_an_index_of_an_earlier_version_is_made_anew(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / NAME)
    connection.execute("CREATE TABLE files (path TEXT PRIMARY KEY, size INTEGER, modified INTEGER, known BLOB)")
    connection.execute("INSERT INTO files VALUES ('v.mp4', 1, 2, x'00')")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    assert list(PacketIndex(tmp_path / NAME, tmp_path, writes=False).digests()) == []
    index = index_beside(tmp_path / "train.txt", tmp_path)
    assert list(index.digests()) == []
    look(index, video(tmp_path / "v.mp4", 30))
    ((name, _),) = index.digests()
    assert name == "v.mp4" and index.path(name) == tmp_path / name
