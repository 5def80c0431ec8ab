"""Shared by all tests: the real scripts as subprocesses, and a tiny rendered motion set."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parent.parent
SMALL_TRAINING = (
    "--arch", "resnet10", "--num_segments", "2", "--input_size", "32", "--pretrain", "none", "-b", "4", "-j", "1",
    "--lr", "0.01", "--gd", "20", "--npb", "--print-freq", "2", "--eval-freq", "1",
)  # fmt: skip

# No examples are remembered between runs. The nightly target asks for the second profile.
settings.register_profile("few", max_examples=40, derandomize=True, deadline=None, database=None)
settings.register_profile("many", max_examples=1300, deadline=None, database=None, print_blob=True)
settings.load_profile("few")


def environment_of_runs() -> dict[str, str]:
    """One thread, no GPU."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    environment.pop("MSN_REAL_VIDEOS", None)
    return environment


def run(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    """Run a command in ``cwd`` with the repository importable; output as text."""
    env = {**environment_of_runs(), **environment}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=600)


def run_script(script: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    """Run one of the repository's scripts in ``cwd``."""
    return run(sys.executable, str(REPOSITORY / script), *arguments, cwd=cwd)


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


def as_in_a_terminal() -> None:
    """Ctrl-C interrupts: a job in the background ignores it, and all that it starts would, too."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def pytest_sessionstart() -> None:
    as_in_a_terminal()


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Training in the test's own process leaves its handlers behind."""
    yield
    as_in_a_terminal()


@pytest.fixture(scope="session")
def motion_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which ``data/motion`` is a tiny motion set: 16 training and 7 validation videos of 14 frames."""
    folder = tmp_path_factory.mktemp("motion")
    size = ("--train", "16", "--val", "7", "--frames", "14", "--width", "56", "--height", "40")
    succeeded(run_script("scripts/render_motion.py", "--out", "data/motion", *size, "--seed", "3", cwd=folder))
    return folder


@pytest.fixture(scope="session")
def trained_folder(motion_folder: Path) -> Path:
    """``motion_folder`` after two epochs of main.py."""
    succeeded(run_script("main.py", "motion", "RGB", *SMALL_TRAINING, "--epochs", "2", cwd=motion_folder))
    return motion_folder
