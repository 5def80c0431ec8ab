"""Two hosts with names, addresses and folders of their own: nothing is shared but the cable between them.

The second host has its data elsewhere. Where network namespaces cannot be made, these tests are skipped and say why.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.commands import REPOSITORY, SMALL_TRAINING
from tests.processes.hosts import Hosts, ends, two_hosts, why_not

RUN = "MSN_motion_RGB_resnet10_avg_segment2"
TRAIN = ("main.py", "motion", "RGB", *SMALL_TRAINING, "-b", "2", "-j", "0")
ELSEWHERE = ((), ("--root_path", "elsewhere"))  # of each host
WAIT = 20  # seconds that a process waits for others, where a test wants it to be over soon


@pytest.fixture(scope="module")
def made(motion_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with two_hosts(tmp_path_factory.mktemp("hosts")) as hosts:
        data = motion_folder / "data/motion"
        for host, place in zip(hosts.all, ("data/motion", "elsewhere"), strict=True):
            shutil.copytree(data, host.folder / place)
        yield hosts


@pytest.fixture
def hosts(made: Hosts) -> Iterator[Hosts]:
    """With a cable that is whole, and without what an earlier test has trained."""
    yield made
    made.quiet()
    for host in made.all:
        for folder in ("checkpoint", "log", "scores"):
            shutil.rmtree(host.folder / folder, ignore_errors=True)


def last(hosts: Hosts) -> Path:
    return hosts.first.folder / "checkpoint" / RUN / "last.pth.tar"


def until(process: subprocess.Popen, text: str) -> None:
    """Read the output of a process up to a line with a text in it, which must come."""
    seen = []
    assert process.stdout is not None
    for line in process.stdout:
        seen.append(line)
        if text in line:
            return
    raise AssertionError(f"{text} was never said: {''.join(seen)} {process.communicate()[1]}")


def train(hosts: Hosts, *options: str) -> str:
    """A run that must end well; what the first host said."""
    statuses, outputs, errors = ends(hosts.start(*TRAIN, *options, own=ELSEWHERE))
    assert statuses == [0, 0], (outputs, errors)
    return outputs[0]


def same(one: Path, other: Path) -> None:
    """Weights, momentum and position, bit by bit."""
    contents = [torch.load(path, weights_only=True) for path in (one, other)]
    for key in ("state_dict", "optimizer", "position"):
        _same(*(content[key] for content in contents))


def _same(one: object, other: object) -> None:
    if isinstance(one, dict) and isinstance(other, dict):
        assert one.keys() == other.keys()
        for key in one:
            _same(one[key], other[key])
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple):
        for pair in zip(one, other, strict=True):
            _same(*pair)
    elif isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("error")]


@pytest.fixture(scope="module")
def uninterrupted(made: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last checkpoint of a run of two epochs that nothing happened to."""
    train(made, "--epochs", "2", "--suffix", "whole")
    path = made.first.folder / "checkpoint" / f"{RUN}_whole" / "last.pth.tar"
    return Path(shutil.copy(path, tmp_path_factory.mktemp("whole")))


def test_nothing_is_shared_but_the_network(hosts: Hosts) -> None:
    """Train one epoch; then resume, from checkpoints that only the first host has."""
    train(hosts, "--epochs", "1")
    assert not list(hosts.all[1].folder.rglob("*.pth.tar"))
    output = train(hosts, "--epochs", "2", "--resume", "auto")
    assert "resuming from checkpoint" in output and "after 1 epoch" in output
    assert torch.load(last(hosts), weights_only=True)["position"]["epoch"] == 2


@pytest.mark.slow
class TestAccident:
    def test_the_cable_is_cut(self, hosts: Hosts, uninterrupted: Path) -> None:
        """In mid-epoch: each host says one line within --dist_timeout, and resuming gives the same bits."""
        processes = hosts.start(*TRAIN, "--epochs", "2", "--save_every", "1", "-p", "1", own=ELSEWHERE, seconds=WAIT)
        until(processes[0], "step 2/4")
        hosts.cut()
        begun = time.monotonic()
        statuses, _, errors = ends(processes)
        took = time.monotonic() - begun
        assert statuses == [2, 2] and took < 3 * WAIT, (took, errors)
        for text in errors:
            assert len(lines(text)) == 1 and "cannot be reached" in text and "Traceback" not in text, text
        hosts.plug()
        train(hosts, "--epochs", "2", "--resume", "auto")
        same(last(hosts), uninterrupted)

    def test_a_host_is_lost(self, hosts: Hosts, uninterrupted: Path) -> None:
        processes = hosts.start(*TRAIN, "--epochs", "2", "--save_every", "1", "-p", "1", own=ELSEWHERE)
        until(processes[0], "step 2/4")
        hosts.all[1].kill()
        begun = time.monotonic()
        statuses, _, errors = ends(processes[:1])
        assert statuses == [2] and len(lines(errors[0])) == 1 and "Traceback" not in errors[0], errors
        assert "another process of this run has ended" in errors[0] and time.monotonic() - begun < 60
        train(hosts, "--epochs", "2", "--resume", "auto")
        same(last(hosts), uninterrupted)

    def test_an_error_of_one_is_said_there_and_pointed_to(self, hosts: Hosts) -> None:
        video = hosts.all[1].folder / "elsewhere/videos/train/00005.mp4"
        content = video.read_bytes()
        try:
            video.write_bytes(b"no video")
            statuses, _, errors = ends(hosts.start(*TRAIN, "--epochs", "50", own=ELSEWHERE))
        finally:
            video.write_bytes(content)
        assert statuses == [2, 2], errors
        said = [lines(text) for text in errors]
        assert [len(each) for each in said] == [1, 1] and "Traceback" not in "".join(errors), errors
        assert said[1][0].startswith("error (rank 1 on hostB): ") and "00005.mp4" in said[1][0]
        assert "rank 1 on hostB has ended the run: " in said[0][0] and "00005.mp4" in said[0][0]


@pytest.mark.slow
class TestRestarts:
    def start(self, hosts: Hosts, nodes: str, number: int) -> subprocess.Popen:
        rendezvous = ("--rdzv-backend=c10d", f"--rdzv-endpoint={hosts.first.address}:29400", "--rdzv-id=run")
        keeps = f"--rdzv-conf=is_host={number == 0},last_call_timeout=5"  # known by name on other networks
        launcher = (f"--nnodes={nodes}", "--nproc-per-node=1", "--max-restarts=3", *rendezvous, keeps)
        options = ("--epochs", "2", "--save_every", "1", "-p", "1", "--resume", "auto", *ELSEWHERE[number])
        return hosts.torchrun_on(number, launcher, *TRAIN, *options)

    @pytest.mark.xfail(reason="torchrun sometimes ends on both hosts (docs/clusters.md)", strict=False)
    def test_a_host_comes_back(self, hosts: Hosts, uninterrupted: Path) -> None:
        first = self.start(hosts, "2", 0)
        self.start(hosts, "2", 1)
        until(first, "step 2/4")
        hosts.all[1].kill()
        again = self.start(hosts, "2", 1)
        statuses, outputs, errors = ends([first, again])
        assert statuses == [0, 0], errors
        assert "resuming from checkpoint" in outputs[0]
        same(last(hosts), uninterrupted)

    def test_what_is_left_continues_with_accumulated_batches(self, hosts: Hosts) -> None:
        first = self.start(hosts, "1:2", 0)
        self.start(hosts, "1:2", 1)
        until(first, "step 2/4")
        hosts.all[1].kill()
        statuses, outputs, errors = ends([first])
        assert statuses == [0], errors
        assert "--accumulate 2 instead of 1 keeps steps of 4 videos" in outputs[0], outputs
        content = torch.load(last(hosts), weights_only=True)
        assert (content["position"]["epoch"], content["position"]["global_batch_size"]) == (2, 4)

    def test_another_machine_has_the_checkpoints(self, hosts: Hosts) -> None:
        train(hosts, "--epochs", "1")
        shutil.move(hosts.first.folder / "checkpoint", hosts.all[1].folder / "checkpoint")
        statuses, _, errors = ends(hosts.start(*TRAIN, "--epochs", "2", "--resume", "auto", own=ELSEWHERE))
        assert statuses == [2, 2] and "got them on that of rank 1 on hostB" in errors[0], errors


@pytest.mark.slow
class TestScores:
    def test_same_bytes_as_one_process(self, hosts: Hosts) -> None:
        """Interrupted and resumed: the second host keeps its own scores, and the first takes them over at the end."""
        train(hosts, "--epochs", "1")
        weights = ("--weights", f"checkpoint/{RUN}/best.pth.tar", "--clip_index", "all", "--num_clips", "2", "-j", "0")
        test = ("test_models_center_crop.py", "motion", *weights, "--batch_size", "2")
        alone = hosts.start_on(0, *test, "--output_dir", "scores/one", WORLD_SIZE="1")
        assert ends([alone])[0] == [0]
        journals = [host.folder / f"scores/two/.clips_0_to_1_rank{rank}.scores" for rank, host in enumerate(hosts.all)]
        options = (*test, "--output_dir", "scores/two", "--resume_scores")
        video = hosts.first.folder / "data/motion/videos/val/00006.mp4"  # the last one, which is the first host's
        content = video.read_bytes()
        video.write_bytes(b"no video")
        try:
            assert ends(hosts.start(*options, own=ELSEWHERE))[0] == [2, 2]
        finally:
            video.write_bytes(content)
        assert all(path.exists() for path in journals) and not journals[0].with_name(journals[1].name).exists()
        statuses, outputs, errors = ends(hosts.start(*options, own=ELSEWHERE))
        assert statuses == [0, 0] and "resuming: " in outputs[0], errors
        assert not journals[0].exists() and not journals[1].exists() and not list(journals[1].parent.glob("*.pkl"))
        one, two = (sorted((hosts.first.folder / "scores" / name).glob("*.pkl")) for name in ("one", "two"))
        assert [path.name for path in one] == [path.name for path in two] and len(one) == 2
        assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


@pytest.mark.slow
class TestBadInput:
    """One line a host, exit status 2."""

    def refused(self, processes: list[subprocess.Popen], *words: str) -> None:
        statuses, _, errors = ends(processes)
        assert statuses == [2] * len(processes) and "Traceback" not in "".join(errors), errors
        for text, expected in zip(errors, words, strict=True):
            assert len(lines(text)) == 1 and re.search(expected, text), text

    def test_a_wrong_address(self, hosts: Hosts) -> None:
        first = hosts.start_on(0, *TRAIN, seconds=5)
        processes = [first, hosts.start_on(1, *TRAIN, *ELSEWHERE[1], seconds=5, MASTER_ADDR="10.77.0.9")]
        self.refused(processes, "expected 2 processes within 5 .*missing: rank 1", "10.77.0.9:29500: expected to reach")

    def test_a_host_that_never_comes(self, hosts: Hosts) -> None:
        self.refused([hosts.start_on(0, *TRAIN, seconds=5)], "expected 2 processes within 5 .*missing: rank 1")

    def test_another_list(self, hosts: Hosts) -> None:
        path = hosts.all[1].folder / "elsewhere/val_videos.txt"
        content = path.read_text()
        path.write_text("".join(content.splitlines(keepends=True)[::-1]))
        try:
            expected = "elsewhere/val_videos.txt, rank 1 on hostB: expected the same validation list"
            self.refused(hosts.start(*TRAIN, own=ELSEWHERE), expected, expected)
        finally:
            path.write_text(content)

    def test_another_setting(self, hosts: Hosts) -> None:
        own = ((), (*ELSEWHERE[1], "--wd", "0.1"))
        expected = "rank 1 on hostB: expected weight_decay to be 0.0005 as for rank 0 on hostA, got 0.1"
        self.refused(hosts.start(*TRAIN, own=own), expected, expected)

    def test_another_version(self, hosts: Hosts, tmp_path: Path) -> None:
        """The second host has a copy of the project, one line of which differs."""
        shutil.copytree(REPOSITORY / "ops", tmp_path / "ops", ignore=shutil.ignore_patterns("__pycache__"))
        for script in REPOSITORY.glob("*.py"):
            shutil.copy(script, tmp_path)
        with (tmp_path / "ops/training/losses.py").open("a") as file:
            file.write("# another line\n")
        processes = [hosts.start_on(0, *TRAIN), hosts.start_on(1, *TRAIN, *ELSEWHERE[1], top=tmp_path)]
        expected = "rank 1 on hostB: expected the version of the project and of PyTorch that rank 0 on hostA has"
        self.refused(processes, expected, expected)

    def test_other_numbers_of_processes(self, hosts: Hosts) -> None:
        processes = [hosts.start_on(0, *TRAIN), hosts.start_on(1, *TRAIN, *ELSEWHERE[1], WORLD_SIZE="3")]
        expected = "rank 1 on hostB: expected 2 processes as rank 0 on hostA, got 3"
        self.refused(processes, expected, expected)
