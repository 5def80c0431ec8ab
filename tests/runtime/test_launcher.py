"""What a launcher says in the environment: wrong or missing values are one line."""

import socket
from pathlib import Path

import pytest

from ops.runtime import launcher
from ops.runtime.errors import InputError
from tests.commands import SMALL_TRAINING, run_script

NAMES = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


class TestNumbers:
    def test_alone(self, environment: pytest.MonkeyPatch) -> None:
        assert (launcher.world_size(), launcher.rank(), launcher.local_rank(), launcher.local_world_size()) == (
            1,
            0,
            0,
            1,
        )

    def test_launched(self, environment: pytest.MonkeyPatch) -> None:
        for name, value in zip(NAMES, ("8", "5", "1", "4", "host", "29500"), strict=True):
            environment.setenv(name, value)
        assert (launcher.world_size(), launcher.rank(), launcher.local_rank(), launcher.local_world_size()) == (
            8,
            5,
            1,
            4,
        )
        assert launcher.address() == ("host", 29500)

    @pytest.mark.parametrize(
        ("values", "read", "words"),
        [
            ({"WORLD_SIZE": ""}, "world_size", "WORLD_SIZE in the environment to be a whole number from 1, got ''"),
            ({"WORLD_SIZE": "0"}, "world_size", "from 1, got '0'"),
            ({"WORLD_SIZE": "2"}, "rank", "RANK in the environment to be a whole number from 0, got none"),
            ({"WORLD_SIZE": "2", "RANK": "-1"}, "rank", "got '-1'"),
            ({"WORLD_SIZE": "2", "RANK": "2"}, "rank", "RANK below WORLD_SIZE (2) in the environment, got 2"),
            ({"LOCAL_RANK": "x"}, "local_rank", "LOCAL_RANK in the environment to be a whole number from 0, got 'x'"),
            ({}, "address", "MASTER_PORT"),
            ({"MASTER_PORT": "1"}, "address", "MASTER_ADDR"),
            ({"MASTER_ADDR": "host", "MASTER_PORT": "65536"}, "address", "65536"),
        ],
    )  # fmt: skip
    def test_refused(self, environment: pytest.MonkeyPatch, values: dict[str, str], read: str, words: str) -> None:
        for name, value in values.items():
            environment.setenv(name, value)
        with pytest.raises(InputError) as caught:
            getattr(launcher, read)()
        assert words in str(caught.value)


class TestMain:
    """The whole command: one line, status 2."""

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ({"WORLD_SIZE": ""}, "WORLD_SIZE"),
            ({"WORLD_SIZE": "2"}, "RANK"),
            ({"LOCAL_RANK": "x"}, "LOCAL_RANK"),
            ({"WORLD_SIZE": "2", "RANK": "0"}, "MASTER_PORT"),
        ],
    )
    def test_refused(self, motion_folder: Path, values: dict[str, str], words: str) -> None:
        result = run_script("main.py", "motion", "RGB", *SMALL_TRAINING, cwd=motion_folder, **values)
        assert result.returncode == 2 and result.stderr.count("\n") == 1, result.stderr
        assert result.stderr.startswith("error") and words in result.stderr

    def test_a_port_in_use(self, motion_folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = str(server.getsockname()[1])
            place = {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            result = run_script("main.py", "motion", "RGB", *SMALL_TRAINING, cwd=motion_folder, **place)
        assert result.returncode == 2, result.stderr
        errors = [line for line in result.stderr.splitlines() if line.startswith("error (rank 0 on ")]
        assert len(errors) == 1 and f"127.0.0.1:{port}" in errors[0] and "Traceback" not in result.stderr
