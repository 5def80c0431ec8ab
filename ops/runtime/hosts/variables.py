"""What a launcher says in the environment, under torchrun's names: torchrun itself, or SLURM's srun without it.

srun sets variables of its own for each step of a job. They count where torchrun's are missing, so a script that srun
starts once per process, or once per machine through torchrun, finds its place either way. A batch script is no step:
what it starts by itself is one process.
"""

import os
import re
from collections.abc import Callable

FIRST_PORT, PORTS = 20_000, 10_000  # a job's port where nobody names one, below those that systems give to clients


def variable(name: str) -> str | None:
    """The value of WORLD_SIZE, RANK, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR or MASTER_PORT, if anyone says it."""
    given = os.environ.get(name)
    if given is not None or "WORLD_SIZE" in os.environ or "SLURM_STEP_NUM_TASKS" not in os.environ:
        return given
    return _OF_SLURM[name]()


def first_host(names: str) -> str:
    """The first host of a list as SLURM writes it: ``gpu[08-11,20],cpu1`` gives ``gpu08``."""
    found = re.match(r"([^\[,]*)(?:\[([^\],-]*)[^\]]*\])?([^\[,]*)", names)
    return "" if found is None else "".join(part or "" for part in found.groups())


def tasks_on_node(counts: str, node: int) -> int | None:
    """How many tasks a node has, of a text as SLURM writes it: ``4(x2),1`` gives 4 for nodes 0 and 1, 1 for node 2."""
    for count, times in re.findall(r"(\d+)(?:\(x(\d+)\))?", counts):
        node -= int(times or 1)
        if node < 0:
            return int(count)
    return None


def _local_world_size() -> str | None:
    node = os.environ.get("SLURM_NODEID", "0")
    counts = os.environ.get("SLURM_STEP_TASKS_PER_NODE", "")
    found = tasks_on_node(counts, int(node)) if node.isdecimal() else None
    return None if found is None else str(found)


def _port() -> str:
    numbers = [os.environ.get(name, "") for name in ("SLURM_JOB_ID", "SLURM_STEP_ID")]
    return str(FIRST_PORT + sum(int(number) for number in numbers if number.isdecimal()) % PORTS)


_OF_SLURM: dict[str, Callable[[], str | None]] = {
    "WORLD_SIZE": lambda: os.environ.get("SLURM_STEP_NUM_TASKS"),
    "RANK": lambda: os.environ.get("SLURM_PROCID"),
    "LOCAL_RANK": lambda: os.environ.get("SLURM_LOCALID"),
    "LOCAL_WORLD_SIZE": _local_world_size,
    "MASTER_ADDR": lambda: first_host(os.environ.get("SLURM_STEP_NODELIST", "")),
    "MASTER_PORT": _port,
}
