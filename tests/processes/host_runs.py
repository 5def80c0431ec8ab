"""Runs on two hosts: how they start, what they say, what they leave."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import torch

from tests.commands import SMALL_TRAINING
from tests.processes.hosts import Host, Hosts, ends

RUN = "MSN_motion_RGB_resnet10_avg_segment2"
TRAIN = ("main.py", "motion", "RGB", *SMALL_TRAINING, "-b", "2", "-j", "0")
ELSEWHERE = ((), ("--root_path", "elsewhere"))  # of each host
WAIT = 20  # seconds that a process waits for others, where a test wants it to be over soon


def last(hosts: Hosts) -> Path:
    return hosts.first.folder / "checkpoint" / RUN / "last.pth.tar"


def until(process: subprocess.Popen, text: str, stderr: bool = False) -> None:
    """Read the output of a process, or its errors, up to a line with a text in it, which must come."""
    seen = []
    stream = process.stderr if stderr else process.stdout
    assert stream is not None
    for line in stream:
        seen.append(line)
        if text in line:
            return
    raise AssertionError(f"{text} was never said: {''.join(seen)} {process.communicate()[1]}")


def when_said(process: subprocess.Popen, text: str) -> float:
    """The time at which a process says its only error, which has a text in it."""
    assert process.stderr is not None
    times = []
    for line in process.stderr:
        assert "Traceback" not in line
        if line.startswith("error"):
            assert text in line, line
            times.append(time.monotonic())
    assert len(times) == 1
    return times[0]


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


def take_port(host: Host, says: str = "") -> None:
    """Another program listens where the processes would meet; it says something to who connects, or never answers."""
    listen = (
        "import socket, sys; listening = socket.create_server(('', 29500)); print('here', flush=True); kept = []\n"
        "while True: kept.append(listening.accept()[0]); kept[-1].sendall(sys.argv[1].encode())"
    )
    until(host.start(sys.executable, "-c", listen, says), "here")


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("error")]


def refused(processes: list[subprocess.Popen], *words: str) -> None:
    """Each process has said one line and nothing else, and ended with status 2."""
    statuses, _, errors = ends(processes)
    assert statuses == [2] * len(processes), errors
    for text, expected in zip(errors, words, strict=True):
        assert text.startswith("error") and len(text.splitlines()) == 1 and re.search(expected, text), text
