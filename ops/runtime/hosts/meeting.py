"""How the processes of a run meet in a store that all of them reach: who is there, who is missing, and who differs.

torchrun keeps its store when it restarts processes, and counts restarts per machine, so neither tells the words of
this start from those of an earlier one. Each process therefore writes a word that nobody used before, and the first
process repeats all of them under a new name: who finds its own word there is meant, and who does not waits on.
"""

import hashlib
import json
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ops.runtime.errors import InputError, this_process

LOOK_SECONDS = 0.1
ANSWER_SECONDS = 5.0  # in which the others read why they must not start
_CALL, _MEETINGS = "call", "meetings"
SHOWN_RANKS = 8


class Met(NamedTuple):
    """All processes have met.

    Args:
        name: of this start; no other start has it.
        earlier: how often processes had met in this store before, or torchrun says that it restarted one of them.
    """

    name: str
    earlier: int


def project_digest() -> str:
    """A digest of the project's code and PyTorch's version: what processes that compute together have in common."""
    top = Path(__file__).resolve().parents[3]
    digest = hashlib.sha256(torch.__version__.encode())
    for path in [*sorted(top.glob("*.py")), *sorted(top.glob("ops/**/*.py"))]:
        digest.update(f"\n{path.relative_to(top)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def count_meeting(store: Any) -> int:
    """Count a meeting in this store; returns how many there were before."""
    return int(store.add(_MEETINGS, 1)) - 1


def meet(
    store: Any, rank: int, size: int, seconds: float, digest: str, restarts: int = 0, machines: int | None = None
) -> Met:
    """Wait until all processes are there, with the same number of processes and the same code.

    Args:
        store: of torch.distributed, with keys of its own.
        rank: of this process.
        size: number of processes.
        seconds: to wait.
        digest: ``project_digest()``.
        restarts: how often torchrun restarted this process.
        machines: of how many torchrun of this machine knows. Torchrun takes the number of processes from the first one.

    Raises:
        InputError: somebody is missing, or differs.
    """
    name = uuid.uuid4().hex
    word = {"word": name, "who": this_process(), "size": size, "digest": digest}
    word |= {"restarts": restarts, "machines": machines}
    if rank == 0:
        return _call(store, word, size, seconds)
    return _answer(store, word, rank, seconds)


def _call(store: Any, own: dict[str, Any], size: int, seconds: float) -> Met:
    """The first process's part."""
    earlier = count_meeting(store)
    for rank in range(1, size):  # what an earlier start left may differ, as its number of processes did
        store.delete_key(_hello(rank))
    deadline = time.monotonic() + seconds
    called: list[dict[str, Any] | None] = []
    name = ""
    while True:
        words = [_read(store, _hello(rank)) for rank in range(1, size)]
        if words != called:
            called, name = words, f"start_{uuid.uuid4().hex}"
            problem = next((text for other in words if other and (text := _difference(own, other))), None)
            earlier = max(earlier, *(other.get("restarts", 0) for other in (own, *words) if other))
            call = {"name": name, "earlier": earlier, "problem": problem}
            store.set(_CALL, json.dumps({**call, "words": [other and other["word"] for other in words]}))
            if problem is not None:
                _wait_for_answers(store, name, sum(other is not None for other in words))
                raise InputError(problem)
        if store.add(_answers(name), 0) == size - 1:
            store.set(_go(name), "")
            return Met(name, earlier)
        if time.monotonic() > deadline:
            raise InputError(_missing(words, seconds))
        time.sleep(LOOK_SECONDS)


def _answer(store: Any, own: dict[str, Any], rank: int, seconds: float) -> Met:
    """The part of every other process."""
    store.set(_hello(rank), json.dumps(own))
    deadline = time.monotonic() + seconds
    name = ""
    while True:
        if not store.check([_hello(rank)]):  # the first process came later
            store.set(_hello(rank), json.dumps(own))
        call = _read(store, _CALL)
        if call is not None and call["words"][rank - 1 : rank] == [own["word"]]:
            if call["name"] != name:
                name = call["name"]
                store.add(_answers(name), 1)
            if call["problem"] is not None:
                raise InputError(call["problem"])
        if name and store.check([_go(name)]):
            assert call is not None
            return Met(name, call["earlier"])
        if time.monotonic() > deadline:
            raise InputError(
                f"expected the first process to have met all others within {seconds:g} seconds (--dist_timeout), got "
                f"no word of it"
            )
        time.sleep(LOOK_SECONDS)


def _difference(first: dict[str, Any], other: dict[str, Any]) -> str | None:
    """In which way a process differs from the first, in words."""
    if other["size"] != first["size"]:
        return f"{other['who']}: expected {first['size']} processes as {first['who']}, got {other['size']} (WORLD_SIZE)"
    if other["digest"] != first["digest"]:
        return (
            f"{other['who']}: expected the version of the project and of PyTorch that {first['who']} has, got another "
            f"(code {other['digest']} instead of {first['digest']})"
        )
    machines = other.get("machines")
    if machines != first["machines"]:
        return f"{other['who']}: expected {first['machines']} machines as {first['who']}, got {machines} (--nnodes)"
    return None


def _missing(words: Sequence[dict[str, Any] | None], seconds: float) -> str:
    within = f"within {seconds:g} seconds (--dist_timeout)"
    missing = [str(rank) for rank, other in enumerate(words, 1) if other is None]
    if not missing:
        return f"expected all processes to answer {within}, got too few answers"
    named = ", ".join(missing[:SHOWN_RANKS]) + (", ..." if len(missing) > SHOWN_RANKS else "")
    there = 1 + len(words) - len(missing)
    return f"expected {1 + len(words)} processes {within}, got {there}; missing: rank {named}"


def _wait_for_answers(store: Any, name: str, count: int) -> None:
    deadline = time.monotonic() + ANSWER_SECONDS
    while store.add(_answers(name), 0) < count and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)


def _read(store: Any, key: str) -> dict[str, Any] | None:
    """What a process has written, if it has; waits for nothing."""
    return json.loads(store.get(key)) if store.check([key]) else None


def _hello(rank: int) -> str:
    return f"hello_{rank}"


def _answers(name: str) -> str:
    return f"{name}_answers"


def _go(name: str) -> str:
    return f"{name}_go"
