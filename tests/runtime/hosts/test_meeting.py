"""Processes that meet in a store, here threads with one store in memory."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from torch.distributed import HashStore

from ops.runtime.errors import InputError
from ops.runtime.hosts.meeting import Met, meet


def together(*processes: Callable[[], Any]) -> list[Any]:
    """What processes that run at the same time return, or the text of their InputError."""
    results: list[Any] = [None] * len(processes)

    def run(number: int) -> None:
        try:
            results[number] = processes[number]()
        except InputError as error:
            results[number] = str(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(processes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def process(store: HashStore, rank: int, size: int, seconds: float = 60, digest: str = "a") -> Callable[[], Met]:
    return lambda: meet(store, rank, size, seconds, digest)


def test_all_have_one_name_which_no_other_start_has() -> None:
    store = HashStore()
    names = []
    for earlier in range(2):
        met = together(*(process(store, rank, 3) for rank in range(3)))
        assert met == [met[0]] * 3 and met[0].earlier == earlier
        names.append(met[0].name)
    assert len(set(names)) == 2


def test_one_was_restarted_so_all_were() -> None:
    """What torchrun keeps no store for, only the restarted process knows."""
    store = HashStore()
    met = together(lambda: meet(store, 0, 2, 60, "a"), lambda: meet(store, 1, 2, 60, "a", restarts=2))
    assert met[0] == met[1] and met[0].earlier == 2


def test_words_of_dead_processes_do_not_count() -> None:
    """What a start left that was killed before all had met: its call, and the words of its other processes."""
    store = HashStore()
    call = {"name": "start_old", "earlier": 0, "problem": None, "words": ["dead"]}
    store.set("call", json.dumps(call))
    store.set("hello_1", json.dumps({"word": "dead", "who": "rank 1", "size": 2, "digest": "a"}))
    store.set("start_old_answers", "1")
    store.set("start_old_go", "")
    met = together(process(store, 0, 2), process(store, 1, 2))
    assert met[0] == met[1] and met[0].name != "start_old"


def test_words_of_a_start_of_more_processes_do_not_count() -> None:
    """torchrun continues with fewer machines than there were."""
    store = HashStore()
    together(*(process(store, rank, 3) for rank in range(3)))
    met = together(process(store, 0, 2), process(store, 1, 2))
    assert met == [met[0]] * 2 and met[0].earlier == 1


def test_the_first_process_comes_last() -> None:
    store = HashStore()

    def late() -> Met:
        while not store.check(["hello_1"]):
            time.sleep(0.01)
        return meet(store, 0, 2, 60, "a")

    met = together(late, process(store, 1, 2))
    assert isinstance(met[0], Met) and met[0] == met[1]


def test_who_is_missing() -> None:
    store = HashStore()
    said = together(process(store, 0, 4, seconds=2), process(store, 2, 4, seconds=2))
    assert said[0] == "expected 4 processes within 2 seconds (--dist_timeout), got 2; missing: rank 1, 3"
    assert said[1].startswith("expected the first process to have met all others within 2 seconds")


@pytest.mark.parametrize(
    ("size", "digest", "words"),
    [
        (4, "a", "expected 3 processes as rank"),
        (3, "b", "expected the version of the project and of PyTorch that rank"),
    ],
)
def test_one_differs(size: int, digest: str, words: str) -> None:
    store = HashStore()
    said = together(process(store, 0, 3), process(store, 1, 3, seconds=1), process(store, 2, size, digest=digest))
    assert said[0] == said[2] and words in said[0]


def test_one_knows_of_more_machines() -> None:
    store = HashStore()
    said = together(lambda: meet(store, 0, 2, 60, "a", machines=2), lambda: meet(store, 1, 2, 60, "a", machines=3))
    assert said[0] == said[1] and "expected 2 machines as rank" in said[0] and "got 3 (--nnodes)" in said[0]
