"""main.py on GPUs: as many processes as there are, and a run that is resumed."""

import os
import subprocess
from pathlib import Path

import pytest
import torch

from tests.commands import SMALL_TRAINING, torchrun_command
from tests.gpu.conftest import REHEARSING

pytestmark = pytest.mark.gpu
RUN = "MSN_motion_RGB_resnet10_avg_segment2"


def train(processes: int, folder: Path, *options: str) -> str:
    """Output of a run of main.py in so many processes, which must end well."""
    command = torchrun_command(processes, "main.py", "motion", "RGB", *SMALL_TRAINING, *options)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"} | ({"CUDA_VISIBLE_DEVICES": ""} if REHEARSING else {})
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def weights(folder: Path, suffix: str) -> torch.Tensor:
    """All parameters of a run's last checkpoint, in a row."""
    content = torch.load(
        folder / "checkpoint" / f"{RUN}_{suffix}" / "last.pth.tar", map_location="cpu", weights_only=True
    )
    return torch.cat([value.flatten().double() for value in content["state_dict"].values()])


def test_as_many_processes_as_gpus(device: torch.device, note, motion_folder: Path) -> None:
    processes = 2 if REHEARSING else torch.cuda.device_count()
    said = train(processes, motion_folder, "--epochs", "1", "-b", "2", "--amp", "bf16", "--suffix", "all")
    note("processes", processes)
    assert "running on" in said
    assert weights(motion_folder, "all").isfinite().all()


def test_resumed(device: torch.device, note, motion_folder: Path) -> None:
    """But for the order in which a GPU adds up, as the run that was not interrupted."""
    train(1, motion_folder, "--epochs", "2", "--suffix", "unbroken")
    train(1, motion_folder, "--epochs", "1", "--suffix", "resumed")
    said = train(1, motion_folder, "--epochs", "2", "--suffix", "resumed", "--resume", "auto")
    unbroken, resumed = (weights(motion_folder, suffix) for suffix in ("unbroken", "resumed"))
    difference = float((resumed - unbroken).norm() / unbroken.norm())
    note("difference", difference)
    assert "resum" in said and difference < (1e-12 if REHEARSING else 1e-2)
