"""Signals to a process, and to the processes that decode for it."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from ops.runtime.errors import EXIT_STOPPED, Stopped, run_script
from ops.runtime.interruption import SIGNALS, StopRequest, shield_worker
from tests.processes.gloo import in_processes


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """As they were."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def listening() -> StopRequest:
    stop = StopRequest()
    stop.listen()
    return stop


class TestStopRequest:
    @pytest.mark.parametrize("number", SIGNALS)
    def test_waits_for_the_next_check(self, number: signal.Signals) -> None:
        stop = listening()
        stop.check()
        signal.raise_signal(number)
        with pytest.raises(Stopped, match=number.name):
            stop.check()

    @pytest.mark.parametrize(("launched", "survived"), [(False, 1), (True, 2)])
    def test_how_many_signals_end_it_at_once(
        self, monkeypatch: pytest.MonkeyPatch, launched: bool, survived: int
    ) -> None:
        """torchrun repeats the first."""
        monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
        if launched:
            monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")

        def receive(signals: int) -> None:
            listening()
            for _ in range(signals):
                signal.raise_signal(signal.SIGTERM)

        for signals, status in ((survived, 0), (survived + 1, -signal.SIGTERM)):
            process = multiprocessing.get_context("fork").Process(target=receive, args=(signals,))
            process.start()
            process.join()
            assert process.exitcode == status

    def test_exit_status(self) -> None:
        def stopped() -> None:
            raise Stopped("SIGTERM")

        with pytest.raises(SystemExit) as caught:
            run_script(stopped)
        assert caught.value.code == EXIT_STOPPED == 75

    def test_checking_before_each_item(self) -> None:
        stop, seen = listening(), []
        items = stop.checking(range(5), 5)
        seen += [next(items) for _ in range(3)]
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Stopped):
            next(items)
        assert seen == [0, 1, 2]
        assert list(StopRequest().checking(range(5), 5)) == [0, 1, 2, 3, 4]


# Shares of two processes; the item of rank 1 during which it is asked to stop, if it is; what each process sees.
SHARES = (
    ((4, 3), 1, ([0, 1, "SIGTERM"], [0, 1, "SIGTERM"])),
    ((4, 3), 2, ([0, 1, 2, "SIGTERM"], [0, 1, 2, "SIGTERM"])),
    ((3, 3), 9, ([0, 1, 2, "end"], [0, 1, 2, "end"])),
    ((1, 0), 9, ([0, "end"], ["end"])),
)


def stop_in_rank_1(rank: int, folder: str) -> None:
    """For each of SHARES what a process sees."""
    torch.save([seen_by(rank, items, at) for items, at, _ in SHARES], f"{folder}/{rank}.pth")


def seen_by(rank: int, items: tuple[int, int], at: int) -> list[int | str]:
    stop, seen = listening(), []
    try:
        for item in stop.checking(range(items[rank]), max(items)):
            seen.append(item)
            if rank == 1 and item == at:
                signal.raise_signal(signal.SIGTERM)
        seen.append("end")
    except Stopped as stopped:
        seen.append(str(stopped))
    return seen


class TestTwoProcesses:
    def test_stop_together(self, tmp_path: Path) -> None:
        in_processes(2, stop_in_rank_1, str(tmp_path))
        seen = [torch.load(tmp_path / f"{rank}.pth") for rank in range(2)]
        assert list(zip(*seen, strict=True)) == [expected for _, _, expected in SHARES]


class Numbers(Dataset):
    """0, 1, 2, ...; from 20 on, reading hangs."""

    def __len__(self) -> int:
        return 100

    def __getitem__(self, index: int) -> int:
        if index >= 20:
            signal.pause()
        return index


class TestShieldWorker:
    def test_only_the_parent_ends_it(self) -> None:
        """What anyone else sends is not heard, Ctrl-C neither; the parent ends a worker even if that hangs."""
        loader = DataLoader(Numbers(), batch_size=2, num_workers=2, worker_init_fn=shield_worker)
        batches = iter(loader)
        seen = [next(batches).tolist() for _ in range(2)]  # one of each worker: both have started
        workers = list(batches._workers)
        for worker in workers:
            for number in SIGNALS:
                os.spawnlp(os.P_WAIT, "kill", "kill", f"-{number.value}", str(worker.pid))
        seen += [next(batches).tolist() for _ in range(8)]
        assert seen == [[2 * i, 2 * i + 1] for i in range(10)]
        assert all(worker.is_alive() for worker in workers)
        batches._shutdown_workers()
        for worker in workers:
            worker.join(timeout=120)
        assert [worker.exitcode for worker in workers] == [0, 0]
