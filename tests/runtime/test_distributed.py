"""Which GPU a process takes, and what the first process gives the others."""

import logging
from pathlib import Path

import pytest
import torch
from torch import nn

from ops.runtime import distributed, exchange
from ops.runtime.errors import InputError
from ops.runtime.logger import NAME
from tests.processes.gloo import in_processes


class Machine:
    """Says that this machine has some GPUs, and remembers which one was taken."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, gpus: int) -> None:
        self.taken: int | None = None
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(torch.cuda, "set_device", self._take)
        monkeypatch.setattr(torch.cuda, "get_device_name", "GPU {}".format)

    def _take(self, index: int) -> None:
        self.taken = index


def launched(monkeypatch: pytest.MonkeyPatch, local_rank: int, processes: int | None) -> None:
    """The environment of a launcher; some leave out how many processes there are."""
    monkeypatch.setenv("LOCAL_RANK", str(local_rank))
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    if processes is not None:
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))


class TestPickDevice:
    @pytest.mark.parametrize(
        ("gpus", "local_rank", "processes", "index"),
        [
            (None, 0, 1, 0), (None, 3, 4, 3), (None, 3, None, 3), ((2,), 0, 1, 2), ((3, 1), 0, 2, 3), ((3, 1), 1, 2, 1),
            ((0, 1, 2, 3), 1, 2, 1), ((0, 9), 0, 1, 0),
        ],
    )  # fmt: skip
    def test_the_local_ranks(
        self, monkeypatch: pytest.MonkeyPatch, gpus: tuple[int, ...] | None, local_rank: int, processes: int | None,
        index: int,
    ) -> None:  # fmt: skip
        machine = Machine(monkeypatch, 4)
        launched(monkeypatch, local_rank, processes)
        assert distributed.pick_device(gpus) == torch.device("cuda", index)
        assert machine.taken == index

    @pytest.mark.parametrize(
        ("gpus", "local_rank", "processes", "message"),
        [
            (None, 1, 5, "expected a GPU for each of 5 processes on this machine, got 4"),
            (None, 4, None, "expected a GPU for each of 5 processes on this machine, got 4"),
            ((0,), 0, 2, "--gpus 0: expected a GPU for each of 2 processes on this machine, got 1"),
            ((1, 1), 1, 2, "--gpus 1 1: expected a GPU for each of 2 processes on this machine, got 1"),
            ((0, 4), 0, 2, "--gpus 0 4: expected a GPU number below 4, got 4"),
        ],
    )
    def test_every_process_refuses(
        self, monkeypatch: pytest.MonkeyPatch, gpus: tuple[int, ...] | None, local_rank: int, processes: int | None,
        message: str,
    ) -> None:  # fmt: skip
        machine = Machine(monkeypatch, 4)
        launched(monkeypatch, local_rank, processes)
        with pytest.raises(InputError) as caught:
            distributed.pick_device(gpus)
        assert str(caught.value) == message
        assert machine.taken is None

    @pytest.mark.parametrize(
        ("available", "gpus", "level", "message"),
        [
            (0, None, "INFO", "no GPU here, running on the CPU"),
            (0, (0, 1), "WARNING", "--gpus 0 1: no GPU here, running on the CPU"),
            (2, None, "INFO", "running on GPU 0"),
            (
                2,
                (0, 1),
                "WARNING",
                "--gpus 0 1: each process uses one GPU: only 1 will be used; start more processes with torchrun",
            ),
        ],
    )
    def test_says_what_a_run_is_on(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, available: int,
        gpus: tuple[int, ...] | None, level: str, message: str,
    ) -> None:  # fmt: skip
        Machine(monkeypatch, available)
        launched(monkeypatch, 0, 1)
        with caplog.at_level(logging.INFO, NAME):
            distributed.pick_device(gpus)
        assert (level, message) in [(record.levelname, record.getMessage()) for record in caplog.records]


def take_from_the_first(rank: int, folder: str) -> None:
    torch.manual_seed(rank)
    model = nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6)).to(memory_format=torch.channels_last)
    model[1](torch.randn(2, 6, 3, 3) * (rank + 1))
    model[1].num_batches_tracked += rank
    states = [{name: value.clone() for name, value in model.state_dict().items()}]
    for sync in (exchange.sync_buffers, exchange.sync_weights):
        sync(model)
        states.append({name: value.clone() for name, value in model.state_dict().items()})
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last) and model[0].weight.requires_grad
    torch.save(states, Path(folder) / f"{rank}.pth")


def test_the_first_process_gives_its_buffers_then_all(tmp_path: Path) -> None:
    in_processes(2, take_from_the_first, str(tmp_path))
    first, second = (torch.load(tmp_path / f"{rank}.pth") for rank in range(2))
    parameters = {name for name, _ in nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6)).named_parameters()}
    for name, value in first[0].items():
        assert all(torch.equal(state[name], value) for state in first)
        changed = name not in {"1.weight", "1.bias"}  # ones and zeros everywhere
        assert torch.equal(second[0][name], value) is not changed
        assert torch.equal(second[1][name], value) is not (changed and name in parameters)
        assert torch.equal(second[2][name], value)
