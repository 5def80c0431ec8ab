"""Which checkpoint of a run's folder is the newest whole one, names given and dropped, and what a crash leaves."""

import os
from pathlib import Path

import pytest
import torch

from ops.checkpoints.file import give_name, read_checkpoint, remove_temporaries, write_checkpoint
from ops.training.saving.checkpoint_contents import SampleOrder
from ops.training.saving.checkpoint_names import (
    Found,
    drop_epochs,
    epoch_name,
    find,
    has_checkpoints,
    newest_checkpoint,
    write_run,
)


def content(epoch: int, step: int = 0) -> dict[str, object]:
    weights = torch.full((5000,), float(epoch), dtype=torch.float64)
    return {"state_dict": {"w": weights}, "optimizer": {}, "position": {"epoch": epoch, "step": step}}


def save(path: Path, epoch: int, step: int = 0) -> Path:
    write_checkpoint(content(epoch, step), path)
    return path


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip_a_bit(path: Path) -> None:
    """In the middle of a tensor, where the file's structure stays."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


class TestNewestCheckpoint:
    def test_none(self, tmp_path: Path) -> None:
        assert newest_checkpoint(tmp_path) is None
        assert newest_checkpoint(tmp_path / "none") is None
        assert not has_checkpoints(tmp_path) and not has_checkpoints(tmp_path / "none")

    def test_by_position_not_by_name_or_time(self, tmp_path: Path) -> None:
        save(tmp_path / epoch_name(10), 10)
        save(tmp_path / epoch_name(9), 9)
        save(tmp_path / "best.pth.tar", 8)
        assert newest_checkpoint(tmp_path) == Found(10, 0, tmp_path / epoch_name(10))
        last = save(tmp_path / "last.pth.tar", 9, 7)
        assert newest_checkpoint(tmp_path) == Found(10, 0, tmp_path / epoch_name(10))
        save(last, 10, 1)
        assert newest_checkpoint(tmp_path) == Found(10, 1, last)

    @pytest.mark.parametrize("damage", [cut, empty, flip_a_bit])
    def test_damaged_ones_are_named_and_skipped(self, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage) -> None:
        last, ninth = save(tmp_path / "last.pth.tar", 9, 4), save(tmp_path / epoch_name(9), 9)
        eighth, best = save(tmp_path / epoch_name(8), 8), save(tmp_path / "best.pth.tar", 7)
        expected = (Found(9, 4, last), Found(9, 0, ninth), Found(8, 0, eighth), Found(7, 0, best), None)
        for number, found in enumerate(expected):
            caplog.clear()
            assert newest_checkpoint(tmp_path) == found
            damaged = [last, ninth, eighth, best][:number]
            assert sorted(str(p) for p in damaged) == sorted(m.split(": ")[1] for m in caplog.messages)
            if found is not None:
                damage(found.path)

    def test_weights_alone_are_no_run(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        torch.save({"state_dict": {}}, tmp_path / "last.pth.tar")
        assert newest_checkpoint(tmp_path) is None
        assert "last.pth.tar" in caplog.text and has_checkpoints(tmp_path)

    def test_reads_no_older_epochs(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        save(tmp_path / "last.pth.tar", 3)
        for name in (epoch_name(1), epoch_name(3), "best.pth.tar"):
            (tmp_path / name).write_bytes(b"damaged")
        assert newest_checkpoint(tmp_path) == Found(3, 0, tmp_path / "last.pth.tar")
        assert caplog.messages == []


class TestFind:
    def test_position_best_and_order(self, tmp_path: Path) -> None:
        whole = content(3, 2)
        whole["position"] |= {"best_top1": 50.0, "best_epoch": 1, "global_batch_size": 8, "seed": 4, "num_videos": 26}
        write_checkpoint(whole, tmp_path / "a.pth.tar")
        assert find(tmp_path / "a.pth.tar") == Found(3, 2, tmp_path / "a.pth.tar", 1, SampleOrder(8, 4, 26))


class TestNames:
    def test_one_write_several_names(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        writes = []
        monkeypatch.setattr(torch, "save", lambda *a, save=torch.save: (writes.append(1), save(*a)))
        write_run(tmp_path, content(1), (epoch_name(1), "best.pth.tar"))
        assert len(writes) == 1
        assert {p.name for p in tmp_path.iterdir()} == {"last.pth.tar", epoch_name(1), "best.pth.tar"}
        write_run(tmp_path, content(2), (epoch_name(2),))
        epochs = {p.name: read_checkpoint(p)["position"]["epoch"] for p in tmp_path.iterdir()}
        assert epochs == {"last.pth.tar": 2, epoch_name(2): 2, epoch_name(1): 1, "best.pth.tar": 1}

    def test_without_hard_links(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refused(*_: object) -> None:
            raise PermissionError("no links here")

        monkeypatch.setattr(os, "link", refused)
        write_run(tmp_path, content(1), (epoch_name(1),))
        assert not (tmp_path / "last.pth.tar").samefile(tmp_path / epoch_name(1))
        assert (tmp_path / "last.pth.tar").read_bytes() == (tmp_path / epoch_name(1)).read_bytes()
        assert len(list(tmp_path.iterdir())) == 2

    def test_what_a_crash_left_is_never_written_into(self, tmp_path: Path) -> None:
        """A temporary name may be a second name of a whole checkpoint."""
        first = save(tmp_path / epoch_name(1), 1)
        os.link(first, tmp_path / ".last.pth.tar.tmp")
        os.link(first, tmp_path / ".best.pth.tar.tmp")
        last = save(tmp_path / "last.pth.tar", 2)
        give_name(last, tmp_path / "best.pth.tar")
        assert read_checkpoint(first)["position"]["epoch"] == 1
        assert read_checkpoint(tmp_path / "best.pth.tar")["position"]["epoch"] == 2
        assert {p.name for p in tmp_path.iterdir()} == {epoch_name(1), "last.pth.tar", "best.pth.tar"}

    def test_a_name_given_twice(self, tmp_path: Path) -> None:
        last = save(tmp_path / "last.pth.tar", 1)
        for _ in range(2):
            give_name(last, tmp_path / epoch_name(1))
        assert {p.name for p in tmp_path.iterdir()} == {"last.pth.tar", epoch_name(1)}

    def test_leftovers_are_removed(self, tmp_path: Path) -> None:
        last = save(tmp_path / "last.pth.tar", 1)
        (tmp_path / ".last.pth.tar.tmp").write_bytes(b"half")
        remove_temporaries(tmp_path)
        assert list(tmp_path.iterdir()) == [last]

    def test_drop_epochs(self, tmp_path: Path) -> None:
        for epoch in (8, 9, 10, 11):
            save(tmp_path / epoch_name(epoch), epoch)
        for other in ("last.pth.tar", "my_9_epoch_ckpt.pth.tar", "9_epoch_ckpt.pth.tar.bak"):
            (tmp_path / other).touch()
        drop_epochs(tmp_path, 2)
        assert {p.name for p in tmp_path.iterdir()} == {
            epoch_name(10), epoch_name(11), "last.pth.tar", "my_9_epoch_ckpt.pth.tar", "9_epoch_ckpt.pth.tar.bak",
        }  # fmt: skip
        drop_epochs(tmp_path, 5)
        assert (tmp_path / epoch_name(10)).exists()
