"""Several processes: what ends one ends all, in one line; signals save. main.py is started without torchrun."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from ops.models.build import build_model
from tests.commands import REPOSITORY, SMALL_TRAINING, environment_of_runs, free_port, torchrun

RUN = "MSN_motion_RGB_resnet10_avg_segment2"
PATIENCE = 300  # seconds, of which a busy machine needs some


@contextmanager
def two_processes(folder: Path, *options: str) -> Iterator[list[subprocess.Popen]]:
    """Ranks 0 and 1 of a run of main.py, each with its output in a pipe; killed at the end."""
    command = [sys.executable, str(REPOSITORY / "main.py"), "motion", "RGB", *SMALL_TRAINING, "-b", "2", *options]
    port, processes = str(free_port()), []
    try:
        for rank in range(2):
            place = {"WORLD_SIZE": "2", "RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            processes.append(
                subprocess.Popen(
                    command, cwd=folder, env=environment_of_runs() | place, text=True, stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE, start_new_session=True,
                )
            )  # fmt: skip
        yield processes
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def until(process: subprocess.Popen, text: str) -> str:
    """Output of a process up to a line with a text in it, which must come."""
    seen = []
    assert process.stdout is not None
    for line in process.stdout:
        seen.append(line)
        if text in line:
            return "".join(seen)
    raise AssertionError(f"{text} was never said: {''.join(seen)} {process.stderr and process.stderr.read()}")


def ends(processes: list[subprocess.Popen]) -> tuple[list[int], list[str]]:
    """Exit statuses and what was said on stderr."""
    errors = [process.communicate(timeout=PATIENCE)[1] for process in processes]
    return [process.returncode for process in processes], errors


@pytest.fixture
def folder(motion_folder: Path, tmp_path: Path) -> Path:
    """With a motion set of its own."""
    shutil.copytree(motion_folder / "data", tmp_path / "data")
    return tmp_path


class TestAnError:
    @pytest.mark.parametrize("workers", [pytest.param("0", marks=pytest.mark.slow), "1"])
    def test_of_one_process_ends_all_in_one_line(self, folder: Path, workers: str) -> None:
        """One video of sixteen is broken: the process that draws it says so, the other one ends without a word."""
        (folder / "data/motion/videos/train/00005.mp4").write_bytes(b"no video")
        with two_processes(folder, "-j", workers, "--epochs", "50") as processes:
            statuses, errors = ends(processes)
        said = [line for text in errors for line in text.splitlines()]
        assert statuses == [2, 2], errors
        assert len(said) == 1 and re.match(r"error \(rank [01] on \S+\): .*00005\.mp4", said[0]), said

    def test_of_all_is_said_once(self, folder: Path) -> None:
        """A list that is not there once they have met."""
        (folder / "data/motion/train_videos.txt").write_text("nothing.mp4 0\n" * 8)
        with two_processes(folder) as processes:
            statuses, errors = ends(processes)
        said = [line for text in errors for line in text.splitlines()]
        assert statuses == [2, 2] and len(said) == 1 and "nothing.mp4" in said[0], said

    def test_of_the_first_alone(self, folder: Path) -> None:
        """The log folder cannot be written: only the first process tries."""
        (folder / "log").write_text("in the way")
        with two_processes(folder) as processes:
            statuses, errors = ends(processes)
        said = [line for text in errors for line in text.splitlines()]
        assert statuses == [2, 2] and len(said) == 1, said
        assert said[0].startswith("error (rank 0 on ") and "expected a folder to write to" in said[0]

    def test_a_killed_process_ends_the_other_in_one_line(self, folder: Path) -> None:
        with two_processes(folder, "--epochs", "1000", "-j", "0") as processes:
            until(processes[0], "step 2/4")
            processes[1].kill()
            statuses, errors = ends(processes)
        assert statuses == [2, -signal.SIGKILL]
        assert errors[0].count("\n") == 1 and "another process of this run has ended" in errors[0], errors[0]

    def test_of_one_process_of_a_test_under_torchrun(self, folder: Path) -> None:
        """torchrun adds a page of its own."""
        videos = (folder / "data/motion/val_videos.txt").read_text().splitlines()
        broken = folder / "data/motion" / videos[3].split()[0]
        broken.write_bytes(b"no video")
        weights = folder / "TSN_motion_RGB_resnet10_segment2.pth"
        torch.save(build_model("resnet10", 8, 2, model="tsn").state_dict(), weights)
        options = ("--weights", weights.name, "--input_size", "32", "--batch_size", "1", "-j", "0")
        result = torchrun(2, "test_models_center_crop.py", *options, cwd=folder)
        said = [line for line in result.stderr.splitlines() if "error (rank" in line]
        assert result.returncode == 1 and len(said) == 1, result.stderr
        assert re.match(rf"error \(rank [01] on \S+\): .*{broken.name}", said[0]), said
        assert result.stderr.count("Traceback") <= 1, result.stderr  # torchrun's


class TestSignals:
    @pytest.mark.parametrize("name", [pytest.param("SIGHUP", marks=pytest.mark.slow), "SIGUSR1"])
    def test_to_one_process_saves_and_stops_all(self, folder: Path, name: str) -> None:
        with two_processes(folder, "--epochs", "1000") as processes:
            output = until(processes[0], "step 2/4")
            os.killpg(processes[1].pid, signal.Signals[name])  # its data-loading workers too
            output += processes[0].communicate(timeout=PATIENCE)[0]
            statuses = [process.wait(PATIENCE) for process in processes]
        assert statuses == [75, 75]
        stopped = re.search(rf"stopped by {name} and saved .*after (\d+) epochs?(?: and (\d+) steps?)?;", output)
        assert stopped is not None, output
        position = torch.load(folder / f"checkpoint/{RUN}/last.pth.tar", weights_only=True)["position"]
        assert (position["epoch"], position["step"]) == tuple(int(n or 0) for n in stopped.groups())
