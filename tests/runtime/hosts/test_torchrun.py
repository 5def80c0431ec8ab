"""PyTorch's torchrun as scripts/shared/torchrun.py starts it: what it refuses, and where it meets other machines.

How it ends on two machines is in tests/end_to_end/clusters/test_torchrun.py.
"""

import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from ops.runtime import InputError
from ops.runtime.hosts.torchrun import _first_machine, _options
from tests.commands import REPOSITORY, free_port


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--nonsense", "main.py"], r"torchrun: unrecognized arguments: --nonsense \(see --help\)$"),
        ([], "torchrun: the following arguments are required: training_script"),
        (["--nnodes=some", "main.py"], "torchrun: .*'some'"),
        (["--nnodes=2:1", "main.py"], "torchrun: .*nodes"),
        (["--nnodes=1:2:3", "main.py"], "torchrun: nnodes=1:2:3 is not in"),
        (["--nproc_per_node=many", "main.py"], "torchrun: Unsupported nproc_per_node value: many"),
        (["--rdzv-conf=timeout=soon", "--nnodes=2", "main.py"], "torchrun: .*'soon'"),
        (["--rdzv-conf=timeout", "main.py"], "torchrun: .*'timeout' must have a value"),
        (["--master-port=abc", "main.py"], "torchrun: argument --master.port.*: invalid int value: 'abc'"),
    ],
)
def test_refuses_in_one_line(arguments: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words) as raised:
        _first_machine(_options(arguments))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (["--nproc_per_node=2"], None),
        (["--standalone", "--nproc_per_node=2"], None),
        (["--nnodes=2", "--master-addr=gpu01"], ("gpu01", 29500, 900.0)),
        (["--nnodes=2", "--master-addr=gpu01", "--master-port=7", "--rdzv-conf=timeout=5"], ("gpu01", 7, 5.0)),
        (["--nnodes=1:2", "--rdzv-backend=c10d", "--rdzv-endpoint=gpu01"], ("gpu01", 29400, 60.0)),
        (["--nnodes=2", "--rdzv-backend=c10d", "--rdzv-endpoint=x:9", "--rdzv-conf=read_timeout=8"], ("x", 9, 8.0)),
    ],
)
def test_where_machines_meet(arguments: list[str], place: tuple[str, int, float] | None) -> None:
    assert _first_machine(_options([*arguments, "main.py"])) == place


def run_here(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(REPOSITORY / "scripts/shared/torchrun.py"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_ends_as_the_script_ends(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import os, sys; print(sys.argv[1], os.environ['WORLD_SIZE']); sys.exit(int(sys.argv[2]))")
    done = run_here(tmp_path, "--nproc_per_node=1", str(script), "--said", "0")
    assert (done.returncode, done.stdout, done.stderr) == (0, "--said 1\n", "")
    done = run_here(tmp_path, "--nproc_per_node=1", str(script), "--said", "75")
    assert (done.returncode, done.stderr) == (75, "")


@pytest.mark.parametrize(
    "arguments", [["--nproc_per_node=0"], ["--rdzv-backend=none"], ["--max-restarts=-1"], ["--no-python"]]
)
def test_refuses_what_torchrun_finds_out_later(tmp_path: Path, arguments: list[str]) -> None:
    done = run_here(tmp_path, *arguments, "main.py")
    assert done.returncode == 2 and done.stderr.startswith("error: torchrun: ") and done.stderr.count("\n") == 1


def test_interrupted_while_it_waits_for_another_machine() -> None:
    port = free_port()
    options = ["--nnodes=2", "--node-rank=0", "--master-addr=127.0.0.1", f"--master-port={port}"]
    command = [sys.executable, str(REPOSITORY / "scripts/shared/torchrun.py"), *options, "main.py"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as waiting:
        while waiting.poll() is None:  # until it listens
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
        waiting.send_signal(signal.SIGINT)
        assert waiting.communicate() == ("", "") and waiting.returncode == -signal.SIGINT
