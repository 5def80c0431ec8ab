"""The real scripts, run as subprocesses."""

import atexit
import contextlib
import functools
import os
import secrets
import socket
import subprocess
import sys
from pathlib import Path

from tests.processes.forked import Server

REPOSITORY = Path(__file__).resolve().parent.parent
SMALL_TRAINING = (
    "--arch", "resnet10", "--num_segments", "2", "--input_size", "32", "--pretrain", "none", "-b", "4", "-j", "1",
    "--lr", "0.01", "--gd", "20", "--npb", "--print-freq", "2", "--eval-freq", "1",
)  # fmt: skip


def environment_of_runs() -> dict[str, str]:
    """One thread, no GPU."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    environment.pop("MSN_REAL_VIDEOS", None)
    return environment


def run(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    """Run a command in ``cwd`` with the repository importable; output as text."""
    env = {**environment_of_runs(), **environment}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=600)


@functools.cache
def server() -> Server:
    """One for all tests of this process."""
    made = Server(environment_of_runs())
    atexit.register(made.close)
    return made


def run_script(script: str, *arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    """Run one of the repository's scripts in ``cwd``, in a forked process (tests/processes/forked.py)."""
    environments = [{**environment_of_runs(), **environment}]
    return server().run([str(REPOSITORY / script), *arguments], cwd, environments, timeout=600)


def free_port() -> int:
    """Of those that systems do not give away by themselves: nothing takes it before it is used."""
    while True:
        port = secrets.choice(range(10_000, 30_000))
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def run_ranks(processes: int, script: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    """Like ``run_script``, in several processes of one run, as a launcher without torchrun's restarts starts them."""
    place = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    environments = [environment_of_runs() | place | {"RANK": str(rank)} for rank in range(processes)]
    return server().run([str(REPOSITORY / script), *arguments], cwd, environments, timeout=600)


def torchrun_command(processes: int, script: str, *arguments: str, max_restarts: int = 0) -> list[str]:
    """Runs a script under torchrun on this machine, on a free port."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    return [*launcher, f"--max-restarts={max_restarts}", str(REPOSITORY / script), *arguments]


def torchrun(
    processes: int, script: str, *arguments: str, cwd: Path, max_restarts: int = 0
) -> subprocess.CompletedProcess:
    """Run a script under torchrun."""
    return run(*torchrun_command(processes, script, *arguments, max_restarts=max_restarts), cwd=cwd)


def succeeded(result: subprocess.CompletedProcess) -> str:
    """The output of a run that must have ended well."""
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout
