"""Two hosts with names, addresses and folders of their own: nothing is shared but the cable between them.

The second host has its data elsewhere. Where network namespaces cannot be made, these tests are skipped and say why.
"""

from __future__ import annotations

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from ops.video.index.packet_index import NAME, PacketIndex
from ops.video.pyav import PyAVReader
from tests import media
from tests.commands import REPOSITORY
from tests.processes.host_runs import (
    ELSEWHERE,
    RUN,
    TRAIN,
    WAIT,
    last,
    lines,
    refused,
    same,
    take_port,
    train,
    until,
    when_said,
)
from tests.processes.hosts import Hosts, ends


def test_nothing_is_shared_but_the_network(hosts: Hosts) -> None:
    """Train one epoch; then resume, from checkpoints that only the first host has."""
    train(hosts, "--epochs", "1")
    assert not list(hosts.all[1].folder.rglob("*.pth.tar"))
    indexes = [host.folder / place / NAME for host, place in zip(hosts.all, ("data/motion", "elsewhere"), strict=True)]
    known = [{name for name, _ in PacketIndex(file, file.parent, writes=False).digests()} for file in indexes]
    assert all(known)  # each remembers its own
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
        with ThreadPoolExecutor() as threads:
            said = list(threads.map(lambda process: when_said(process, "cannot be reached") - begun, processes))
        print(f"said {said} seconds after the cut")
        assert max(said) < 1.5 * WAIT, said  # WAIT seconds from the next meeting, which is a step away
        assert ends(processes)[0] == [2, 2]
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

    def test_a_host_loses_power(self, hosts: Hosts, uninterrupted: Path) -> None:
        """Which closes no connection, as a killed process does: seen at --dist_timeout only."""
        first, _ = hosts.start(*TRAIN, "--epochs", "2", "--save_every", "1", "-p", "1", own=ELSEWHERE, seconds=WAIT)
        until(first, "step 2/4")
        hosts.power_off()
        begun = time.monotonic()
        said = when_said(first, "cannot be reached") - begun
        print(f"said {said} seconds after the loss")
        assert said < 1.5 * WAIT and ends([first])[0] == [2]
        hosts.power_on()
        train(hosts, "--epochs", "2", "--resume", "auto")
        same(last(hosts), uninterrupted)

    def test_the_first_host_loses_power_before_all_have_met(self, hosts: Hosts) -> None:
        """A third process is still missing; who has met the first waits no longer than it may."""
        _, second = hosts.start(*TRAIN, own=ELSEWHERE, seconds=WAIT, WORLD_SIZE="3")
        while not hosts.all[1].connected(29500):
            assert second.poll() is None
            time.sleep(0.1)
        hosts.cut()
        hosts.first.kill()
        refused([second], f"{hosts.first.address}:29500: expected to reach the other processes within {WAIT} seconds")

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

    @pytest.mark.parametrize(
        ("address", "words"), [("10.77.0.9", "(No route to host|timed out)"), ("10.77.0.2", "Connection refused")]
    )
    def test_a_wrong_address(self, hosts: Hosts, address: str, words: str) -> None:
        """Nobody's; that of a host on which nothing listens."""
        first = hosts.start_on(0, *TRAIN, seconds=5)
        processes = [first, hosts.start_on(1, *TRAIN, *ELSEWHERE[1], seconds=5, MASTER_ADDR=address)]
        refused(processes, "expected 2 processes within 5 .*missing: rank 1", f"{address}:29500: expected .* {words}")

    @pytest.mark.parametrize("says", ["", "SSH-2.0-OpenSSH_9.2\r\n"])
    def test_a_port_in_use(self, hosts: Hosts, says: str) -> None:
        take_port(hosts.first, says)
        words = f"{hosts.first.address}:29500: expected to reach the other processes within 5 seconds"
        used, silent = f"{words} .*a port that another program", f"{words} .*a connection, but no answer"
        refused(hosts.start(*TRAIN, own=ELSEWHERE, seconds=5), used, silent)

    def test_a_host_that_never_comes(self, hosts: Hosts) -> None:
        refused([hosts.start_on(0, *TRAIN, seconds=5)], "expected 2 processes within 5 .*missing: rank 1")

    def test_another_list(self, hosts: Hosts) -> None:
        path = hosts.all[1].folder / "elsewhere/val_videos.txt"
        content = path.read_text()
        path.write_text("".join(content.splitlines(keepends=True)[::-1]))
        try:
            expected = "elsewhere/val_videos.txt, rank 1 on hostB: expected the same validation list"
            refused(hosts.start(*TRAIN, own=ELSEWHERE), expected, expected)
        finally:
            path.write_text(content)

    def test_another_video(self, hosts: Hosts) -> None:
        """Which both machines have read in an earlier run."""
        roots = [hosts.first.folder / "data/motion", hosts.all[1].folder / "elsewhere"]
        videos = [root / "videos/val/00006.mp4" for root in roots]
        content = videos[1].read_bytes()
        train(hosts, "--epochs", "1")
        try:
            media.make_video(videos[1], 11)
            for root, video in zip(roots, videos, strict=True):
                index = PacketIndex(root / NAME, root)
                PyAVReader(video, index)
                index.close()
            expected = (
                r"elsewhere/.packet_index.sqlite3, rank 1 on hostB: expected the frames of videos/val/00006.mp4 as in "
                r"data/motion/.packet_index.sqlite3, rank 0 on hostA, got \d+ bytes, 11 frames instead of "
            )
            refused(hosts.start(*TRAIN, "--epochs", "2", "--resume", "auto", own=ELSEWHERE), expected, expected)
        finally:
            videos[1].write_bytes(content)
        train(hosts, "--epochs", "2", "--resume", "auto")  # what is known of a file that has changed does not count

    def test_another_setting(self, hosts: Hosts) -> None:
        own = ((), (*ELSEWHERE[1], "--wd", "0.1"))
        expected = "rank 1 on hostB: expected weight_decay to be 0.0005 as for rank 0 on hostA, got 0.1"
        refused(hosts.start(*TRAIN, own=own), expected, expected)

    def test_another_version(self, hosts: Hosts, tmp_path: Path) -> None:
        """The second host has a copy of the project, one line of which differs."""
        shutil.copytree(REPOSITORY / "ops", tmp_path / "ops", ignore=shutil.ignore_patterns("__pycache__"))
        for script in REPOSITORY.glob("*.py"):
            shutil.copy(script, tmp_path)
        with (tmp_path / "ops/training/losses.py").open("a") as file:
            file.write("# another line\n")
        processes = [hosts.start_on(0, *TRAIN), hosts.start_on(1, *TRAIN, *ELSEWHERE[1], top=tmp_path)]
        expected = "rank 1 on hostB: expected the version of the project and of PyTorch that rank 0 on hostA has"
        refused(processes, expected, expected)

    def test_other_numbers_of_processes(self, hosts: Hosts) -> None:
        processes = [hosts.start_on(0, *TRAIN), hosts.start_on(1, *TRAIN, *ELSEWHERE[1], WORLD_SIZE="3")]
        expected = "rank 1 on hostB: expected 2 processes as rank 0 on hostA, got 3"
        refused(processes, expected, expected)
