"""Hosts that are real as far as processes can tell: names, addresses and folders of their own, joined by a cable.

Network namespaces of Linux and a virtual cable between them; only root may make them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.commands import REPOSITORY, environment_of_runs

PATIENCE = 300  # seconds, of which a busy machine needs some


def why_not() -> str:
    """Why hosts cannot be made here, or nothing."""
    if shutil.which("ip") is None:
        return "network namespaces need the command ip (Debian: iproute2)"
    name = f"probe-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        return f"network namespaces cannot be made here: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "delete", name], check=False)
    return ""


class Host:
    """A host.

    Args:
        name: of the host.
        address: of its end of the cable.
        folder: in which it works; no other host has it.
    """

    def __init__(self, name: str, address: str, folder: Path) -> None:
        self.name = name
        self.namespace = f"{name}-{os.getpid()}"
        self.address = address
        self.folder = folder
        self.processes: list[subprocess.Popen] = []

    def ip(self, *words: str) -> None:
        """A command of iproute2 on this host."""
        subprocess.run(["ip", "-n", self.namespace, *words], check=True)

    def start(self, *command: str, **environment: str) -> subprocess.Popen:
        """Start a command on this host, in its folder."""
        named = ["unshare", "--uts", "sh", "-c", f'hostname {self.name} && exec "$@"', "sh"]
        # Packets to the host itself must have a way, and its name an address, as on any host.
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.namespace, *named, *command], cwd=self.folder, text=True,
            env=environment_of_runs() | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def connected(self, port: int) -> bool:
        """Whether a process of this host has a connection to a port of another one."""
        ask = ("ss", "-Hnt", "state", "established", "dport", "=", f":{port}")
        command = ("ip", "netns", "exec", self.namespace, *ask)
        return bool(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    def kill(self) -> None:
        """Nothing on this host runs on; the others are told, as its system closes its connections."""
        listed = subprocess.run(["ip", "netns", "pids", self.namespace], capture_output=True, text=True, check=False)
        for number in listed.stdout.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(number), signal.SIGKILL)
        for process in self.processes:
            process.communicate()
        self.processes.clear()


class Hosts:
    """Two hosts and the cable between them."""

    def __init__(self, folder: Path) -> None:
        self.all = [Host(f"host{letter}", f"10.77.0.{number}", folder / f"host{letter}")
                    for number, letter in enumerate("AB", 1)]  # fmt: skip

    @property
    def first(self) -> Host:
        return self.all[0]

    def make(self) -> None:
        for host in self.all:
            host.folder.mkdir()
            subprocess.run(["ip", "netns", "add", host.namespace], check=True)
            host.ip("link", "set", "lo", "up")
        one, other = (host.namespace for host in self.all)
        cable = ("link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", other)
        subprocess.run(["ip", "-n", one, *cable], check=True)
        for host in self.all:
            host.ip("address", "add", f"{host.address}/24", "dev", "eth0")
        self.plug()

    def plug(self) -> None:
        for host in self.all:
            host.ip("link", "set", "eth0", "up")

    def cut(self) -> None:
        """Unplug the cable: nothing that is sent arrives, and nobody is told."""
        self.all[1].ip("link", "set", "eth0", "down")

    def power_off(self) -> None:
        """The second host loses power: nothing on it runs on, and nobody is told, not by closed connections either."""
        self.cut()
        self.all[1].kill()

    def power_on(self) -> None:
        """It is back, and knows of no connection."""
        host = self.all[1]
        before, host.namespace = host.namespace, f"{host.namespace}-again"
        subprocess.run(["ip", "netns", "add", host.namespace], check=True)
        subprocess.run(["ip", "-n", before, "link", "set", "eth0", "netns", host.namespace], check=True)
        subprocess.run(["ip", "netns", "delete", before], check=True)
        host.ip("link", "set", "lo", "up")
        host.ip("address", "add", f"{host.address}/24", "dev", "eth0")
        self.plug()

    def quiet(self) -> None:
        """End what a test has left, and repair the cable."""
        for host in self.all:
            host.kill()
        self.plug()

    def remove(self) -> None:
        for host in self.all:
            host.kill()
            subprocess.run(["ip", "netns", "delete", host.namespace], check=False)

    def start(
        self, script: str, *options: str, own: Sequence[Sequence[str]] = ((), ()), seconds: float = 120, **more: str
    ) -> list[subprocess.Popen]:
        """A process of one run on each host, with the variables that torchrun would set.

        Args:
            own: further options of each host.
            seconds: of --dist_timeout.
            more: further variables.
        """
        return [self.start_on(rank, script, *options, *own[rank], seconds=seconds, **more) for rank in (0, 1)]

    def start_on(
        self, rank: int, script: str, *options: str, seconds: float = 120, top: Path = REPOSITORY, **more: str
    ) -> subprocess.Popen:
        """The process of one host.

        Args:
            rank: of the process, and number of the host.
            top: folder of the project.
        """
        place = {
            "WORLD_SIZE": "2", "RANK": str(rank), "LOCAL_RANK": "0", "MASTER_ADDR": self.first.address,
            "MASTER_PORT": "29500",
        }  # fmt: skip
        command = [sys.executable, str(top / script), *options, f"--dist_timeout={seconds:g}"]
        return self.all[rank].start(*command, **{**place, **more})

    def torchrun_on(
        self, number: int, launcher: Sequence[str], script: str, *options: str, **environment: str
    ) -> subprocess.Popen:
        """torchrun on one host; these hosts do not know each other's names, so its address is told."""
        host = self.all[number]
        launch = [
            sys.executable,
            str(REPOSITORY / "scripts/shared/torchrun.py"),
            f"--local-addr={host.address}",
            *launcher,
        ]
        return host.start(*launch, str(REPOSITORY / script), *options, **environment)


@contextlib.contextmanager
def two_hosts(folder: Path) -> Iterator[Hosts]:
    hosts = Hosts(folder)
    try:
        hosts.make()
        yield hosts
    finally:
        hosts.remove()


def ends(processes: Sequence[subprocess.Popen]) -> tuple[list[int], list[str], list[str]]:
    """Exit statuses and what was said on stdout and stderr."""
    said = [process.communicate(timeout=PATIENCE) for process in processes]
    return [process.returncode for process in processes], [out for out, _ in said], [err for _, err in said]
