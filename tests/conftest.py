"""Shared by all tests: signals as in a terminal, and a tiny rendered motion set."""

import logging
import os
import random
import signal
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from packaging.version import Version

from ops.runtime.logger import get_logger
from tests.commands import SMALL_TRAINING, run_script, succeeded


def at_least(package: str, wanted: str) -> bool:
    """Whether it is installed, in this version or a newer one."""
    try:
        return Version(version(package)) >= Version(wanted)
    except PackageNotFoundError:
        return False


# Triton's kernels run in its interpreter, which needs no GPU, unless `make test-gpu` says 0. It is read at import.
# That of Triton 3.6 (torch 2.11) does not work with NumPy 2.4.
os.environ.setdefault("TRITON_INTERPRET", "1" if at_least("triton", "3.7") or not at_least("numpy", "2.4") else "0")

# No examples are remembered between runs. The nightly target asks for the second profile.
settings.register_profile("few", max_examples=40, derandomize=True, deadline=None, database=None)
settings.register_profile("many", max_examples=1300, deadline=None, database=None, print_blob=True)
settings.load_profile("few")


def as_in_a_terminal() -> None:
    """Ctrl-C and a closed terminal interrupt: a job in the background ignores them, and what it starts would, too."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_DFL)


def pytest_sessionstart() -> None:
    as_in_a_terminal()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Whatever ran before in this process: the same random numbers for a test without seeds, and one thread.

    Scripts that tests start have one, too; several threads add up in another order, which gives other bits.
    """
    torch.set_num_threads(1)
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Training in the test's own process leaves its handlers behind."""
    yield
    as_in_a_terminal()


@pytest.fixture(autouse=True)
def log() -> None:
    """As before any run: what earlier tests ran in this process has sent the log elsewhere. ``caplog`` sees it once."""
    logger = get_logger()
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.propagate = True
    logger.setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def motion_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which ``data/motion`` is a tiny motion set: 16 training and 7 validation videos of 14 frames."""
    folder = tmp_path_factory.mktemp("motion")
    size = ("--train", "16", "--val", "7", "--frames", "14", "--width", "56", "--height", "40")
    succeeded(
        run_script("scripts/preparation/render_motion.py", "--out", "data/motion", *size, "--seed", "3", cwd=folder)
    )
    return folder


@pytest.fixture(scope="session")
def trained_folder(motion_folder: Path) -> Path:
    """``motion_folder`` after two epochs of main.py."""
    succeeded(run_script("main.py", "motion", "RGB", *SMALL_TRAINING, "--epochs", "2", cwd=motion_folder))
    return motion_folder
