"""The recipes for SLURM, with an srun and an scontrol that do here what SLURM's do, as far as they are used."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.commands import REPOSITORY, SMALL_TRAINING, environment_of_runs

# Starts its command in each task of a step, with SLURM's variables, and passes SIGUSR1 on.
SRUN = f"""#!{sys.executable}
import os, signal, subprocess, sys
words = sys.argv[1:]
while words[0].startswith("-"):
    words.pop(0)
tasks = int(os.environ["TASKS"])
step = {{"SLURM_STEP_NUM_TASKS": str(tasks), "SLURM_STEP_ID": "0", "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NODEID": "0", "SLURM_STEP_TASKS_PER_NODE": str(tasks)}}
running = []
signal.signal(signal.SIGUSR1, lambda number, frame: [task.send_signal(number) for task in running])
for task in range(tasks):
    place = {{**os.environ, **step, "SLURM_PROCID": str(task), "SLURM_LOCALID": str(task)}}
    running.append(subprocess.Popen(words, env=place))
sys.exit(max(task.wait() for task in running))
"""
SCONTROL = '#!/bin/sh\necho "$@" >> "$REQUEUED"\n'
RUN = "MSN_motion_RGB_resnet10_avg_segment2"


class Cluster:
    """A folder with the commands of SLURM, and jobs in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.requeued = folder / "requeued"
        commands = folder / "bin"
        commands.mkdir()
        for name, text in (("srun", SRUN), ("scontrol", SCONTROL)):
            (commands / name).write_text(text)
            (commands / name).chmod(0o755)
        self.environment = {
            **environment_of_runs(), "PATH": f"{commands}:{os.environ['PATH']}", "PYTHON": sys.executable, "TASKS": "2",
            "REQUEUED": str(self.requeued), "REPOSITORY": str(REPOSITORY), "SLURM_SUBMIT_DIR": str(folder),
            "SLURM_JOB_ID": str(os.getpid()),
        }  # fmt: skip

    def start(self, recipe: str, *words: str, **environment: str) -> subprocess.Popen:
        return subprocess.Popen(
            ["bash", str(REPOSITORY / "scripts/slurm" / recipe), *words], cwd=self.folder, text=True,
            env={**self.environment, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


def training(motion_folder: Path, folder: Path, epochs: int) -> tuple[str, ...]:
    """Options of main.py; the recipe runs it in the repository, so its places are told."""
    return (
        "motion", "RGB", *SMALL_TRAINING, "-b", "2", "-j", "0", "--epochs", str(epochs), "--root_path",
        str(motion_folder / "data/motion"), "--root_log", str(folder / "log"), "--root_model",
        str(folder / "checkpoint"),
    )  # fmt: skip


class TestTrain:
    def test_time_is_up_then_queued_again(self, cluster: Cluster, motion_folder: Path) -> None:
        """SIGUSR1 to the batch script alone, as --signal=B: sends it; two processes that only srun has started."""
        job = cluster.start("train.sbatch", *training(motion_folder, cluster.folder, 1000))
        assert job.stdout is not None
        said = []
        for line in job.stdout:
            said.append(line)
            if "step 2/4" in line:
                job.send_signal(signal.SIGUSR1)
                break
        rest, errors = job.communicate(timeout=300)
        assert job.returncode == 0, errors
        assert "x 2 processes" in said[0] and "stopped by SIGUSR1 and saved" in rest and "queued again" in rest
        assert cluster.requeued.read_text().split() == ["requeue", cluster.environment["SLURM_JOB_ID"]]
        last = cluster.folder / f"checkpoint/{RUN}/last.pth.tar"
        saved = torch.load(last, weights_only=True)["position"]
        job = cluster.start("train.sbatch", *training(motion_folder, cluster.folder, saved["epoch"] + 1))
        output, errors = job.communicate(timeout=300)
        assert job.returncode == 0, errors
        assert f"resuming from {last}" in output
        assert torch.load(last, weights_only=True)["position"]["epoch"] == saved["epoch"] + 1
        assert len(cluster.requeued.read_text().splitlines()) == 1

    def test_bad_input_is_not_queued_again(self, cluster: Cluster) -> None:
        job = cluster.start("train.sbatch", "motion", "RGB", "--epochs", "0")
        _, errors = job.communicate(timeout=300)
        assert job.returncode == 2 and "--epochs" in errors and not cluster.requeued.exists()


@pytest.mark.slow
def test_scores_of_a_test(cluster: Cluster, trained_folder: Path) -> None:
    weights = trained_folder / "checkpoint" / RUN / "best.pth.tar"
    options = ("--weights", str(weights), "--root_path", str(trained_folder / "data/motion"), "-j", "0")
    scores = cluster.folder / "scores"
    job = cluster.start("test.sbatch", "center_crop", "motion", *options, "--output_dir", str(scores))
    output, errors = job.communicate(timeout=300)
    assert job.returncode == 0, errors
    assert "x 2 processes" in output and (scores / "0_crop0.pkl").exists()


@pytest.mark.slow
def test_a_job_array_prepares(cluster: Cluster, motion_folder: Path) -> None:
    videos, out = motion_folder / "data/motion/videos", cluster.folder / "frames"
    for task in ("0", "1"):
        array = {"ID": task, "MIN": "0", "MAX": "1", "COUNT": "2"}
        place = {f"SLURM_ARRAY_TASK_{name}": value for name, value in array.items()}
        job = cluster.start("prepare.sbatch", "extract_frames", str(videos), str(out), **place)
        output, errors = job.communicate(timeout=300)
        assert job.returncode == 0 and f"part {int(task) + 1} of 2" in output, errors
    made = {path.parent.relative_to(out) for path in out.rglob("*.jpg")}
    assert made == {path.relative_to(videos).with_suffix("") for path in videos.rglob("*.mp4")}


@pytest.mark.parametrize("recipe", ["train", "test", "prepare"])
def test_is_clean(recipe: str) -> None:
    path = REPOSITORY / f"scripts/slurm/{recipe}.sbatch"
    assert len(path.read_text().splitlines()) < 60
    subprocess.run(["bash", "-n", str(path)], check=True)
