"""One run at a time in a folder: held against other processes, given back when the holder ends."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ops.runtime.errors import InputError
from ops.runtime.folder_lock import hold

HOLDER = (
    "import os, signal, sys; from pathlib import Path; from ops.runtime.folder_lock import hold\n"
    "lock = hold(Path(sys.argv[1]))\n"
    "child = os.fork() if sys.argv[2] == 'fork' else 0\n"
    "print('held', child, flush=True) if child or sys.argv[2] != 'fork' else None\n"
    "signal.pause()\n"
)


class TestHold:
    @pytest.mark.parametrize("kind", ["alone", "fork"])
    def test_until_the_holder_ends_whatever_its_workers_do(self, tmp_path: Path, kind: str) -> None:
        path = tmp_path / ".lock"
        process = subprocess.Popen([sys.executable, "-c", HOLDER, str(path), kind], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        child = int(process.stdout.readline().split()[1])
        try:
            with pytest.raises(InputError, match="expected no other run in this folder") as caught:
                hold(path)
            assert str(tmp_path) in str(caught.value)
            process.kill()
            process.wait()
            hold(path).close()
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            if child:
                os.kill(child, signal.SIGKILL)

    def test_once_more_in_the_same_process(self, tmp_path: Path) -> None:
        first, second = hold(tmp_path / ".lock"), hold(tmp_path / ".lock")
        first.close()
        second.close()

    def test_a_file_system_without_locks(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(fcntl, "lockf", refuse)
        hold(tmp_path / ".lock").close()

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="nowhere: expected a folder to write to"):
            hold(tmp_path / "nowhere" / ".lock")
