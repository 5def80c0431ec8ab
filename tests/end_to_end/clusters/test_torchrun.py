"""torchrun on two hosts: what it restarts, and what it says."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from tests.commands import REPOSITORY
from tests.processes.host_runs import ELSEWHERE, TRAIN, WAIT, last, refused, same, take_port, train, until
from tests.processes.hosts import Hosts, ends

SOON = ("--dist_timeout", str(WAIT))


@pytest.mark.slow
class TestRestarts:
    def static(self, hosts: Hosts, number: int, *options: str) -> subprocess.Popen:
        """A fixed number of machines: torchrun of the first one waits for the others."""
        place = (f"--node-rank={number}", f"--master-addr={hosts.first.address}", "--master-port=29500")
        return self.start(hosts, number, ("--nnodes=2", *place), *options)

    def elastic(self, hosts: Hosts, number: int, *options: str, **environment: str) -> subprocess.Popen:
        """One machine or two."""
        rendezvous = ("--rdzv-backend=c10d", f"--rdzv-endpoint={hosts.first.address}:29400", "--rdzv-id=run")
        keeps = f"--rdzv-conf=is_host={number == 0},last_call_timeout=5"  # known by name on other networks
        return self.start(hosts, number, ("--nnodes=1:2", *rendezvous, keeps), *options, **environment)

    def start(
        self, hosts: Hosts, number: int, launcher: Sequence[str], *more: str, **environment: str
    ) -> subprocess.Popen:
        launcher = (*launcher, "--nproc-per-node=1", "--max-restarts=3")
        options = ("--epochs", "2", "--save_every", "1", "-p", "1", "--resume", "auto", *ELSEWHERE[number], *more)
        return hosts.torchrun_on(number, launcher, *TRAIN, *options, **environment)

    def test_a_host_comes_back(self, hosts: Hosts, uninterrupted: Path) -> None:
        first = self.static(hosts, 0)
        self.static(hosts, 1)
        until(first, "step 2/4")
        hosts.all[1].kill()
        again = self.static(hosts, 1)
        statuses, outputs, errors = ends([first, again])
        assert statuses == [0, 0], errors
        assert "resuming from checkpoint" in outputs[0]
        same(last(hosts), uninterrupted)

    def test_a_host_loses_power_and_comes_back(self, hosts: Hosts, uninterrupted: Path) -> None:
        first = self.static(hosts, 0, *SOON)
        self.static(hosts, 1, *SOON)
        until(first, "step 2/4")
        hosts.power_off()
        until(first, "another process of this run has ended or cannot be reached", stderr=True)
        hosts.power_on()
        again = self.static(hosts, 1, *SOON)
        statuses, outputs, errors = ends([first, again])
        assert statuses == [0, 0], errors
        assert "resuming from checkpoint" in outputs[0]
        same(last(hosts), uninterrupted)

    def test_a_host_loses_power_and_stays_away(self, hosts: Hosts) -> None:
        first = self.elastic(hosts, 0, *SOON)
        self.elastic(hosts, 1, *SOON)
        until(first, "step 2/4")
        hosts.power_off()
        statuses, outputs, errors = ends([first])
        assert statuses == [0], errors
        assert "--accumulate 2 instead of 1 keeps steps of 4 videos" in outputs[0], outputs

    def test_what_is_left_continues_with_accumulated_batches(self, hosts: Hosts) -> None:
        first = self.elastic(hosts, 0)
        self.elastic(hosts, 1)
        until(first, "step 2/4")
        hosts.all[1].kill()
        statuses, outputs, errors = ends([first])
        assert statuses == [0], errors
        assert "--accumulate 2 instead of 1 keeps steps of 4 videos" in outputs[0], outputs
        content = torch.load(last(hosts), weights_only=True)
        assert (content["position"]["epoch"], content["position"]["global_batch_size"]) == (2, 4)

    def test_a_host_leaves_and_comes_back(self, hosts: Hosts) -> None:
        """Which torchrun can only if it keeps no store for its processes; then the checkpoint knows the step."""
        long = ("--epochs", "1000")
        new_store = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
        first = self.elastic(hosts, 0, *long, **new_store)
        self.elastic(hosts, 1, *long, **new_store)
        until(first, "step 2/4")
        hosts.all[1].kill()
        until(first, "--accumulate 2 instead of 1 keeps steps of 4 videos")
        until(first, "resuming from checkpoint")
        self.elastic(hosts, 1, *long, **new_store)
        until(first, "x 2 processes")
        until(first, "resuming from checkpoint")
        until(first, "step 2/4")

    def test_another_machine_has_the_checkpoints(self, hosts: Hosts) -> None:
        train(hosts, "--epochs", "1")
        shutil.move(hosts.first.folder / "checkpoint", hosts.all[1].folder / "checkpoint")
        statuses, _, errors = ends(hosts.start(*TRAIN, "--epochs", "2", "--resume", "auto", own=ELSEWHERE))
        assert statuses == [2, 2] and "got them on that of rank 1 on hostB" in errors[0], errors


@pytest.mark.slow
class TestLauncher:
    """scripts/shared/launch.sh starts torchrun, and says in one line what goes wrong there."""

    def start(self, hosts: Hosts, number: int, *options: str, torchrun: str = "", **more: str) -> subprocess.Popen:
        place = {"NUM_NODES": "2", "NODE_RANK": str(number), "MASTER_ADDR": hosts.first.address, "NUM_GPUS": "1"}
        host = hosts.all[number]
        script = str(REPOSITORY / "scripts/shared/launch.sh")
        command = ("bash", script, *TRAIN, *ELSEWHERE[number], *options)
        return host.start(*command, **{**place, **more}, PYTHON=sys.executable, TORCHRUN=torchrun)

    def test_trains(self, hosts: Hosts) -> None:
        statuses, outputs, errors = ends([self.start(hosts, number, "--epochs", "1") for number in (0, 1)])
        assert statuses == [0, 0] and "x 2 processes" in outputs[0], errors
        assert not "".join(errors), errors

    def test_processes_disagree(self, hosts: Hosts) -> None:
        refused([self.start(hosts, 0), self.start(hosts, 1, "--wd", "0.1")], *["rank 1 on hostB: .*got 0.1"] * 2)

    def test_other_numbers_of_machines(self, hosts: Hosts) -> None:
        """torchrun starts two processes all the same, and would wait five minutes at their end."""
        processes = [self.start(hosts, 0), self.start(hosts, 1, NUM_NODES="3")]
        refused(processes, *["rank 1 on hostB: expected 2 machines as rank 0 on hostA, got 3"] * 2)

    def test_a_host_that_never_comes(self, hosts: Hosts) -> None:
        words = "error: expected torchrun to meet torchrun on the other machines, got (too few in time|Timed out)"
        refused([self.start(hosts, 0, torchrun="--rdzv-conf=timeout=5")], words)

    def test_the_first_host_loses_power(self, hosts: Hosts) -> None:
        """Which keeps torchrun's store: the other one's waits for no answer that it cannot get."""
        statuses, _, errors = ends([self.left(hosts, "timeout=10")])
        assert statuses == [2] and len(said := errors[0].splitlines()) == 2, errors
        assert "another process of this run has ended or cannot be reached" in said[0]
        assert said[1].endswith(f"got {hosts.first.address}:29500: no answer any more for 10 seconds")

    def test_interrupted_after_the_first_host_lost_power(self, hosts: Hosts) -> None:
        left = self.left(hosts, "timeout=600")
        until(left, "another process of this run has ended or cannot be reached", stderr=True)
        while any(path.read_text() for path in Path(f"/proc/{left.pid}/task").glob("*/children")):
            time.sleep(0.1)
        time.sleep(3)  # until torchrun waits for the first one to start scripts again
        left.send_signal(signal.SIGINT)
        assert ends([left])[0] == [128 + signal.SIGINT]

    def left(self, hosts: Hosts, patience: str) -> subprocess.Popen:
        """The second host's processes, after the first one has lost power."""
        options, torchrun = ("--epochs", "2", "-p", "1", *SOON), f"--rdzv-conf={patience} --max-restarts=3"
        first, second = (self.start(hosts, number, *options, torchrun=torchrun) for number in (0, 1))
        until(first, "step 2/4")
        hosts.cut()
        hosts.first.kill()
        return second

    @pytest.mark.parametrize("says", ["", "SSH-2.0-OpenSSH_9.2\r\n"])
    def test_a_port_in_use(self, hosts: Hosts, says: str) -> None:
        """By a program that never answers, or by one that greets first."""
        take_port(hosts.first, says)
        words = f"error: expected torchrun to meet torchrun .*{hosts.first.address}:29500: "
        used, silent = f"{words}a port that another program", f"{words}a connection, but no answer"
        refused([self.start(hosts, number, torchrun="--rdzv-conf=timeout=5") for number in (0, 1)], used, silent)

    def test_another_host_has_a_program_there(self, hosts: Hosts) -> None:
        """The address of the first host is that of the second, by mistake: also the first one waits for an answer."""
        take_port(hosts.all[1])
        wrong = {"MASTER_ADDR": hosts.all[1].address}
        started = [self.start(hosts, number, torchrun="--rdzv-conf=timeout=5", **wrong) for number in (0, 1)]
        refused(started, *[f"{hosts.all[1].address}:29500: a connection, but no answer"] * 2)
