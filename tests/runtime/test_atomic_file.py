"""Files that are whole whenever they exist."""

import os
from pathlib import Path
from typing import Any

import pytest

from ops.runtime.atomic_file import write_atomically
from ops.runtime.errors import InputError


class TestWriteAtomically:
    def test_writes_and_replaces(self, tmp_path: Path) -> None:
        for content in (b"one", b"", b"three" * 1000):
            write_atomically(tmp_path / "file", content)
            assert (tmp_path / "file").read_bytes() == content
        assert [p.name for p in tmp_path.iterdir()] == ["file"]

    @pytest.mark.parametrize("failing", ["replace", "fsync"])
    def test_a_failure_leaves_what_was_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
    ) -> None:
        write_atomically(tmp_path / "file", b"old")

        def fail(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, failing, fail)
        with pytest.raises(InputError, match="file: expected to write a file, got No space left on device"):
            write_atomically(tmp_path / "file", b"new")
        assert (tmp_path / "file").read_bytes() == b"old"
        assert [p.name for p in tmp_path.iterdir()] == ["file"]

    def test_killed_in_between_leaves_what_was_there(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_atomically(tmp_path / "file", b"old")
        monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            write_atomically(tmp_path / "file", b"new")
        assert (tmp_path / "file").read_bytes() == b"old"

    def test_a_read_only_file_system(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where not even what is not there can be removed."""

        def refuse(*_: Any, **__: Any) -> None:
            raise OSError(30, "Read-only file system")

        monkeypatch.setattr(Path, "unlink", refuse)
        with pytest.raises(InputError, match="file: expected to write a file, got Read-only file system"):
            write_atomically(tmp_path / "file", b"new")

    def test_no_such_folder(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="nowhere"):
            write_atomically(tmp_path / "nowhere" / "file", b"")
