"""Runs that are killed, stopped, restarted and continued, in processes of their own; verdicts do not depend on time."""

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import pytest
import torch

from tests.commands import (
    REPOSITORY,
    SMALL_TRAINING,
    environment_of_runs,
    run,
    run_ranks,
    torchrun,
    torchrun_command,
)
from tests.processes.at_call import Runs

RUN = "MSN_motion_RGB_resnet10_avg_segment2"
MAIN = str(REPOSITORY / "main.py")
TRAIN = ("motion", "RGB", *SMALL_TRAINING, "-j", "2")
NEVER = ("nothing.nothing:1", "SIGKILL")
AT_CALL = "tests/processes/at_call.py"
STOPPED = 75


class Suffixed:
    """Runs of main.py in one folder, and what they leave, by the run's suffix."""

    def __init__(self, folder: Path, runs: Runs) -> None:
        self.folder = folder
        self.runs = runs

    def until(self, when: str, what: str, suffix: str, *options: str) -> tuple[int, str]:
        """Exit status and output of a run to which something happens at a call (tests/processes/at_call.py)."""
        return self.runs.run(when, what, *TRAIN, "--suffix", suffix, *options)

    def whole(self, suffix: str, *options: str) -> str:
        """Output of a run that ends well."""
        status, output = self.until(*NEVER, suffix, *options)
        assert status == 0, output
        return output

    def models(self, suffix: str) -> Path:
        return self.folder / "checkpoint" / f"{RUN}_{suffix}"

    def last(self, suffix: str) -> Path:
        return self.models(suffix) / "last.pth.tar"

    def log(self, suffix: str) -> str:
        return (self.folder / "log" / f"{RUN}_{suffix}" / "log.txt").read_text()


def state_of(path: Path) -> dict[str, object]:
    """Everything in a checkpoint but its settings, by flat names."""
    content = torch.load(path, weights_only=True)
    names = ("state_dict", "optimizer", "scaler", "position", "best_prec1", "about")
    return flat({name: content[name] for name in names})


def flat(value: object, name: str = "") -> dict[str, object]:
    if isinstance(value, Mapping):
        return {k: v for key, part in value.items() for k, v in flat(part, f"{name}/{key}").items()}
    return {name: value}


def differing(a: Path, b: Path) -> list[str]:
    """Names of what is not bit-identical in two checkpoints."""
    first, second = state_of(a), state_of(b)
    assert first.keys() == second.keys()
    return [
        name
        for name, value in first.items()
        if not (torch.equal(value, second[name]) if isinstance(value, torch.Tensor) else value == second[name])
    ]


def names_in(folder: Path) -> set[str]:
    """All checkpoints of a folder, hidden ones too."""
    return {path.name for path in folder.iterdir()} - {".lock", "config.json"}


@pytest.fixture(scope="module")
def runs(motion_folder: Path) -> Iterator[Suffixed]:
    server = Runs(motion_folder, environment_of_runs())
    yield Suffixed(motion_folder, server)
    server.close()


@pytest.fixture(scope="module")
def whole(runs: Suffixed) -> Path:
    """The last checkpoint of three epochs without an interruption."""
    runs.whole("whole", "--epochs", "3")
    return runs.last("whole")


class TestKilled:
    def test_in_an_epoch_a_save_and_a_validation(self, runs: Suffixed, whole: Path) -> None:
        """Four times killed, each time resumed: weights, momentum and best score are those of an uninterrupted run."""
        kills = (
            ("epoch.train_step:3", "SIGKILL"),  # in the first epoch
            ("posix.fsync:7", "SIGKILL"),  # the second save is written (each file syncs itself and its folder)
            ("file.give_name:2", "SIGKILL"),  # after the first epoch, between the names of its checkpoint
            ("metrics.score_sums:6", "SIGKILL"),  # in the second validation
        )
        options = ("--epochs", "3", "--resume", "auto", "--save_every", "1", "--keep", "2")
        models = runs.models("killed")
        left = []
        for kill in kills:
            status, output = runs.until(*kill, "killed", *options)
            assert status == -signal.SIGKILL, output
            left.append(names_in(models))
        assert left[0] == {"last.pth.tar"}
        assert ".last.pth.tar.tmp" in left[1]
        assert "best.pth.tar" not in left[2] and "1_epoch_ckpt.pth.tar" in left[2]
        assert "best.pth.tar" in left[3]  # completed at the next start
        assert "after 1 epoch and 4 steps" in runs.whole("killed", *options)  # only its validation was lost
        assert differing(models / "last.pth.tar", whole) == []
        assert differing(models / "best.pth.tar", whole.with_name("best.pth.tar")) == []
        assert names_in(models) == {"2_epoch_ckpt.pth.tar", "3_epoch_ckpt.pth.tar", "best.pth.tar", "last.pth.tar"}
        starts = re.findall(r"resuming from .*last.pth.tar after (\d) epochs?(?: and (\d) steps?)?", runs.log("killed"))
        assert starts == sorted(starts) and len(starts) == len(kills)

    @pytest.mark.slow
    def test_at_thirty_random_instants(self, runs: Suffixed) -> None:
        """Thirty kills spread over the run, each a random number of calls, and a little time, after the one before."""
        options = ("--epochs", "8", "--save_every", "1", "-j", "2")
        counted = runs.until("any:1", "SIGCONT", "counted", *options)[1]
        calls = int(counted.rpartition("calls: ")[2])
        generator = random.Random(5)
        instants = sorted(generator.uniform(0, 0.9 * calls) for _ in range(30))
        inside = Counter()
        for before, instant in zip([0.0, *instants], instants, strict=False):
            when = f"any:{1 + int(instant - before)}"
            what = f"SIGKILL+{generator.uniform(0.0005, 0.02):.4f}"
            status, output = runs.until(when, what, "random", *options, "--resume", "auto")
            assert status == -signal.SIGKILL, output
            assert "Traceback" not in output
            calls = output.rpartition("\nat ")[2].split()
            phases = ("epoch.train_step", "validation.run", "checkpoint_files.write_run")
            inside[next((phase for phase in phases if phase in calls), "between")] += 1
        print("killed inside", dict(inside))
        runs.whole("random", *options, "--resume", "auto")
        assert differing(runs.last("random"), runs.last("counted")) == []
        assert differing(runs.models("random") / "best.pth.tar", runs.models("counted") / "best.pth.tar") == []
        assert names_in(runs.models("random")) == names_in(runs.models("counted"))


class TestSignals:
    def test_stop_after_the_step_and_go_on(self, runs: Suffixed, whole: Path) -> None:
        """SIGTERM; Ctrl-C in a terminal, while validating; a scheduler's SIGTERM to all processes of a job."""
        options = ("--epochs", "3", "--resume", "auto")
        signals = (
            ("epoch.train_step:2", "SIGTERM", "stopped by SIGTERM and saved", "after 0 epochs and 2 steps;"),
            ("metrics.score_sums:3", "group:SIGINT", "stopped by SIGINT and saved", "after 0 epochs and 4 steps;"),
            ("epoch.train_step:3", "group:SIGTERM", "stopped by SIGTERM and saved", "after 1 epoch and 3 steps;"),
            ("epoch.train_step:2", "group:SIGHUP", "stopped by SIGHUP and saved", "after 2 epochs and 1 step;"),
        )
        for when, what, line, progress in signals:
            status, output = runs.until(when, what, "stopped", *options)
            assert status == STOPPED, output
            assert (
                output.count("stopped by") == 1 and line in output and f"{progress} resume with --resume auto" in output
            )
            assert "Traceback" not in output and "error:" not in output.lower(), output
            assert line in runs.log("stopped")
        runs.whole("stopped", *options)
        assert differing(runs.last("stopped"), whole) == []
        assert differing(runs.models("stopped") / "best.pth.tar", whole.with_name("best.pth.tar")) == []

    @pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
    def test_a_second_signal_ends_at_once(self, runs: Suffixed, name: str) -> None:
        status, output = runs.until("epoch.train_step:2", f"{name},{name}", f"second_{name}", "--epochs", "3")
        assert status == -signal.Signals[name], output
        assert "Traceback" not in output and "stopped by" not in output
        assert names_in(runs.models(f"second_{name}")) == set()

    def test_under_nohup_a_closed_terminal_stops_nothing(self, runs: Suffixed) -> None:
        options = (*TRAIN, "--suffix", "nohup", "--epochs", "1")
        killed = (sys.executable, str(REPOSITORY / AT_CALL), "epoch.train_step:2", "SIGHUP", MAIN, *options)
        result = run("nohup", *killed, cwd=runs.folder)
        assert result.returncode == 0 and "step 4/4" in result.stdout, result.stdout + result.stderr

    def test_closed_ssh_under_nohup_and_torchrun(self, runs: Suffixed) -> None:
        """torchrun hears SIGHUP in spite of nohup, and passes it on."""
        options = (*TRAIN, "-b", "2", "--epochs", "100000", "--suffix", "ssh")
        command = ("nohup", *torchrun_command(2, "main.py", *options))
        output = self._stopped(runs, command, signal.SIGHUP)
        assert output.count("stopped by SIGHUP") == 1, output
        assert self._saved_as_said(runs.last("ssh"), output)

    def test_ctrl_c_under_torchrun(self, runs: Suffixed) -> None:
        """The terminal's signal reaches all processes, and torchrun sends each another one: saved all the same."""
        options = (*TRAIN, "-b", "2", "--epochs", "100000", "--suffix", "ctrl_c")
        output = self._stopped(runs, torchrun_command(2, "main.py", *options), signal.SIGINT)
        assert output.count("stopped by SIGINT") == 1, output
        assert self._saved_as_said(runs.last("ctrl_c"), output)

    def _stopped(self, runs: Suffixed, command: Sequence[str], number: signal.Signals) -> str:
        """Output of a run whose whole process group gets a signal in its first epoch."""
        process = subprocess.Popen(
            command, cwd=runs.folder, env=environment_of_runs(), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            lines = list(iter_until(process.stdout, "step 2/4"))
            signal_group(process, number)
            output = "".join(lines) + process.communicate(timeout=300)[0]
        finally:
            signal_group(process, signal.SIGKILL)
        assert process.returncode not in (0, None)
        return output

    def _saved_as_said(self, path: Path, output: str) -> bool:
        stopped = re.search(r"after (\d+) epochs?(?: and (\d+) steps?)?; resume", output)
        position = torch.load(path, weights_only=True)["position"]
        assert stopped is not None, output
        return (position["epoch"], position["step"]) == tuple(int(number or 0) for number in stopped.groups())


def iter_until(lines: IO[str], text: str) -> Iterator[str]:
    """Lines up to the first that has a text in it, which must come."""
    for line in lines:
        yield line
        if text in line:
            return
    pytest.fail(f"{text} was never said")


def signal_group(process: subprocess.Popen, number: int) -> None:
    """To all that is left of a process and its children."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


class TestRestarts:
    def test_torchrun_restarts_a_killed_worker_and_the_run_goes_on(self, runs: Suffixed) -> None:
        """A fresh run of two processes, one of which is killed in the second epoch: equal to one that was not."""
        options = (*TRAIN, "-b", "2", "--epochs", "2", "--save_every", "1", "-j", "1")
        killed = (AT_CALL, "epoch.train_step:7", "SIGKILL", MAIN, *options, "--suffix", "restarted")
        result = torchrun(2, *killed, cwd=runs.folder, max_restarts=1)
        assert result.returncode == 0, result.stdout + result.stderr
        assert result.stdout.count("resuming ") == 1 and "after 1 epoch and 2 steps\n" in result.stdout
        undisturbed = run_ranks(2, "main.py", *options, "--suffix", "undisturbed", cwd=runs.folder)
        assert undisturbed.returncode == 0, undisturbed.stdout + undisturbed.stderr
        assert differing(runs.last("restarted"), runs.last("undisturbed")) == []

    def test_changed_settings_take_effect_and_are_said(self, runs: Suffixed, whole: Path) -> None:
        shutil.copytree(whole.parent, runs.models("changed"))
        changes = ("--epochs", "4", "--lr", "0.02", "--lr_steps", "2", "--wd", "0", "--keep", "1")
        output = runs.whole("changed", "--resume", "auto", *changes)
        said = "epochs 3 -> 4, keep None -> 1, lr 0.01 -> 0.02, lr_steps 30 45 55 -> 2, suffix whole -> changed, "
        assert f"settings changed since then: {said}weight_decay 0.0005 -> 0\n" in output
        assert said in runs.log("changed")
        assert "epoch 4/4 step 4/4" in output and "lr 0.002," in output
        groups = torch.load(runs.last("changed"), weights_only=True)["optimizer"]["param_groups"]
        assert [group["weight_decay"] for group in groups] == [0]
        assert {name for name in names_in(runs.models("changed")) if "epoch" in name} == {"4_epoch_ckpt.pth.tar"}

    def test_inside_an_epoch_the_order_must_stay(self, runs: Suffixed) -> None:
        runs.until("epoch.train_step:3", "SIGKILL", "order", "--epochs", "2", "--save_every", "1")
        for change, said in ((("--seed", "1"), "--seed 0"), (("-b", "2"), "pass --accumulate 2")):
            status, output = runs.until(*NEVER, "order", "--epochs", "2", "--resume", "auto", *change)
            assert status == 2 and said in output and "within an epoch" in output
        halves = ("-b", "2", "--accumulate", "2")
        assert "epoch 1/2 step 4/4" in runs.whole("order", "--epochs", "2", "--resume", "auto", *halves)

    def test_where_only_the_validation_is_left_the_batch_may_change(self, runs: Suffixed) -> None:
        status, output = runs.until("metrics.score_sums:5", "SIGUSR1", "validating", "--epochs", "2")
        assert status == STOPPED and "after 0 epochs and 4 steps;" in output, output
        output = runs.whole("validating", "--epochs", "2", "--resume", "auto", "-b", "2")
        assert "after 0 epochs and 8 steps\n" in output and "epoch 1/2 step" not in output
        assert output.count("validation: ") == 2 and "epoch 2/2 step 8/8" in output

    def test_already_trained(self, runs: Suffixed, whole: Path) -> None:
        shutil.copytree(whole.parent, runs.models("enough"))
        output = runs.whole("enough", "--epochs", "1", "--resume", "auto")
        assert "already trained for 3 epochs; --epochs is 1\n" in output and output.count("validation: ") == 1

    def test_an_earlier_checkpoint_does_not_mix_two_courses(self, runs: Suffixed, whole: Path) -> None:
        earlier = str(whole.with_name("2_epoch_ckpt.pth.tar"))
        status, output = runs.until(*NEVER, "whole", "--epochs", "3", "--resume", earlier)
        assert status == 2 and "--suffix" in output and "last.pth.tar (after 3 epochs)" in output
        assert "resuming" in runs.whole("branch", "--epochs", "3", "--resume", earlier)
        own_best = {"/position/best_top1", "/position/best_epoch", "/best_prec1"}  # the first validation there
        assert set(differing(runs.last("branch"), whole)) <= own_best
        best = torch.load(runs.models("branch") / "best.pth.tar", weights_only=True)["position"]
        assert best["epoch"] == best["best_epoch"] == 3
        status, output = runs.until(*NEVER, "branch", "--epochs", "3", "--resume", earlier)
        assert status == 2 and "--resume auto" in output


class TestFullDisk:
    def _fails(self, runs: Suffixed, suffix: str, *command: str) -> str:
        """Output of a run that cannot write its next checkpoint."""
        options = (*TRAIN, "--suffix", suffix, "--epochs", "3", "--resume", "auto", "-j", "0")
        result = run(*command, sys.executable, MAIN, *options, cwd=runs.folder)
        assert result.returncode == 2, result.stdout + result.stderr
        assert result.stderr.count("\n") == 1 and "last.pth.tar: expected to write a checkpoint, got" in result.stderr
        return result.stderr

    def test_a_limit_on_the_size_of_files(self, runs: Suffixed) -> None:
        runs.whole("limited", "--epochs", "1")
        models = runs.models("limited")
        before = {path.name: path.read_bytes() for path in models.glob("*.tar")}
        limit = ("bash", "-c", 'ulimit -f 20000 && exec "$@"', "bash")  # KiB, of 55 MB
        assert "File too large" in self._fails(runs, "limited", *limit)
        assert {path.name: path.read_bytes() for path in models.glob("*.tar")} == before
        runs.whole("limited", "--epochs", "2", "--resume", "auto")

    def test_a_full_disk(self, runs: Suffixed) -> None:
        """A file system with room for one checkpoint and a half."""
        runs.whole("full", "--epochs", "1")
        models = runs.models("full")
        room = 1.5 * runs.last("full").stat().st_size
        kept = models.with_name("kept")
        models.rename(kept)
        models.mkdir()
        mounted = run("mount", "-t", "tmpfs", "-o", f"size={int(room)}", "tmpfs", str(models), cwd=runs.folder)
        if mounted.returncode != 0:
            pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
        try:
            shutil.copy(kept / "last.pth.tar", models)
            assert "No space left on device" in self._fails(runs, "full")
            assert names_in(models) == {"last.pth.tar", "1_epoch_ckpt.pth.tar", "best.pth.tar"}
            assert (models / "last.pth.tar").read_bytes() == (kept / "last.pth.tar").read_bytes()
        finally:
            run("umount", str(models), cwd=runs.folder)

    def test_a_full_disk_under_the_log(self, runs: Suffixed) -> None:
        """Three pages: settings, log and scalars, one each. What does not fit is missing, and the run ends well."""
        logs = runs.models("logless").parents[1] / "log" / runs.models("logless").name
        logs.mkdir(parents=True)
        mounted = run("mount", "-t", "tmpfs", "-o", "size=12k", "tmpfs", str(logs), cwd=runs.folder)
        if mounted.returncode != 0:
            pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
        try:
            status, output = runs.until(*NEVER, "logless", "--epochs", "6", "-j", "0")
            assert status == 0 and "Traceback" not in output, output
            assert output.count("log.txt: some log lines could not be written: No space left on device") == 1
            assert output.count("scalars for TensorBoard are no longer written: No space left on device") == 1
            assert "epoch 6/6 step 4/4" in output
        finally:
            run("umount", str(logs), cwd=runs.folder)
        assert "6_epoch_ckpt.pth.tar" in names_in(runs.models("logless"))


class TestNonFinite:
    def test_stops_with_the_videos_and_the_last_good_checkpoint(self, runs: Suffixed) -> None:
        """A learning rate that makes the second step's loss NaN."""
        bad = ("--epochs", "1", "--lr", "1e38", "--save_every", "1")
        status, output = runs.until(*NEVER, "bad", *bad)
        named = re.search(r"error: epoch 1 step 2: expected a finite loss, got nan for the videos (.*?);", output)
        assert status == 2 and named is not None and named[1].count(", ") == 3
        listed = (runs.folder / "data/motion/train_videos.txt").read_text()
        assert all(video in listed for video in named[1].split(", "))
        assert torch.load(runs.last("bad"), weights_only=True)["position"]["step"] == 1
        status, output = runs.until(*NEVER, "bad", *bad, "--resume", "auto", "--skip_nonfinite", "2")
        assert status == 2
        assert "skipped epoch 1 step 2: expected a finite loss" in output and "(2 of the 2 that" in output
        assert "error: epoch 1 step 4" in output
