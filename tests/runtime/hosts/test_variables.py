"""What srun says of a process, in the form in which SLURM writes it."""

import pytest

from ops.runtime import launcher
from ops.runtime.hosts.variables import first_host, tasks_on_node

STEP = {
    "SLURM_STEP_NUM_TASKS": "9", "SLURM_PROCID": "6", "SLURM_LOCALID": "2", "SLURM_NODEID": "1", "SLURM_STEP_ID": "1",
    "SLURM_STEP_TASKS_PER_NODE": "4(x2),1", "SLURM_STEP_NODELIST": "gpu[07-08,20]", "SLURM_JOB_ID": "1234567",
}  # fmt: skip


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", *STEP):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def place() -> tuple[int, int, int, int]:
    return launcher.world_size(), launcher.rank(), launcher.local_rank(), launcher.local_world_size()


class TestSlurm:
    def test_a_task_of_a_step_is_a_process(self, environment: pytest.MonkeyPatch) -> None:
        for name, value in STEP.items():
            environment.setenv(name, value)
        assert place() == (9, 6, 2, 4)
        assert launcher.address() == ("gpu07", 20_000 + 1234568 % 10_000)

    def test_torchrun_in_a_task_comes_first(self, environment: pytest.MonkeyPatch) -> None:
        for name, value in STEP.items():
            environment.setenv(name, value)
        for name, value in {"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "a", "MASTER_PORT": "1"}.items():
            environment.setenv(name, value)
        assert place() == (2, 1, 0, 1) and launcher.address() == ("a", 1)

    def test_a_batch_script_is_one_process(self, environment: pytest.MonkeyPatch) -> None:
        for name, value in {"SLURM_NTASKS": "9", "SLURM_PROCID": "0", "SLURM_JOB_ID": "7"}.items():
            environment.setenv(name, value)
        assert place() == (1, 0, 0, 1)


@pytest.mark.parametrize(
    ("names", "first"),
    [
        ("gpu08", "gpu08"), ("gpu[08-11,20],cpu1", "gpu08"), ("a,b", "a"), ("n[3]", "n3"), ("", ""),
        ("rack1-[02,05-09]-ib", "rack1-02-ib"),
    ],
)  # fmt: skip
def test_first_host(names: str, first: str) -> None:
    assert first_host(names) == first


@pytest.mark.parametrize(
    ("counts", "node", "tasks"),
    [("4", 0, 4), ("4(x2),1", 1, 4), ("4(x2),1", 2, 1), ("4(x2),1", 3, None), ("", 0, None)],
)
def test_tasks_on_node(counts: str, node: int, tasks: int | None) -> None:
    assert tasks_on_node(counts, node) == tasks
