"""Two hosts with names, addresses and folders of their own, of which the second has its data elsewhere."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.host_runs import RUN, train
from tests.processes.hosts import Hosts, two_hosts, why_not


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


@pytest.fixture(scope="module")
def uninterrupted(made: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last checkpoint of a run of two epochs that nothing happened to."""
    train(made, "--epochs", "2", "--suffix", "whole")
    path = made.first.folder / "checkpoint" / f"{RUN}_whole" / "last.pth.tar"
    return Path(shutil.copy(path, tmp_path_factory.mktemp("whole")))
