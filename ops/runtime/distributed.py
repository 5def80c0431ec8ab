"""The processes of a run: who they are, how they join and leave. exchange.py has what they give each other.

Launched by ``torchrun`` or ``python -m torch.distributed.launch`` (which set RANK, WORLD_SIZE and LOCAL_RANK), by srun,
or alone.
"""

import os
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from logging import INFO, WARNING
from typing import Any, NoReturn

import torch
import torch.distributed as dist

from ops.runtime import launcher
from ops.runtime.errors import EXIT_BAD_INPUT, InputError, Stopped, report
from ops.runtime.hosts.interface import choose_interface
from ops.runtime.hosts.meeting import Met, count_meeting, meet, project_digest
from ops.runtime.hosts.store import GRACE, NoAnswerError, connect, why_not
from ops.runtime.logger import get_logger
from ops.runtime.shared_failure import FailureWatch

PATIENCE = 1800.0  # seconds for other processes: one may write to a slow disk, or decode a long video
_host_group: Any = None  # gloo: devices would spin while they wait
_store: Any = None  # of this run and, under torchrun, of those before its restarts
_met = Met("", 0)


class OfMainError(InputError):
    """An error of the first process, in another one: the first says it."""


def world_size() -> int:
    """How many processes have joined."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """This process's rank; before the group is joined, what the launcher says."""
    return dist.get_rank() if dist.is_initialized() else launcher.rank()


def is_main() -> bool:
    return rank() == 0


def is_first_of_another_machine() -> bool:
    """Whether this process is the first of its machine, and not the first of all."""
    return launcher.local_rank() == 0 and not is_main()


def processes_here() -> int:
    """How many processes of the run are on this machine, as far as is known."""
    return launcher.local_world_size()


def is_restart() -> bool:
    """Whether torchrun restarted the processes of this run after one of them failed, or was lost, or came back."""
    return launcher.restarts() > 0 or _met.earlier > 0


def of_first_start(name: str, value: str) -> str | None:
    """What the first start of a run that torchrun restarts gave here, which is ``value`` if this is the first.

    None where torchrun keeps no store over restarts, so nobody knows.
    """
    if is_restart() and not launcher.keeps_store():
        return None
    return value if _store is None else _store.compare_set(f"first_{name}", "", value).decode()


def host_group() -> Any:
    """The processes as gloo knows them, for what devices need not know."""
    return _host_group


def pick_device(gpus: Sequence[int] | None) -> torch.device:
    """This process's device: the local rank's entry of ``gpus`` (default: the local rank itself), else the CPU.

    Raises:
        InputError: there are fewer GPUs than processes on this machine, or not the ones asked for.
    """
    local_rank, processes = launcher.local_rank(), launcher.local_world_size()
    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    asked = f"--gpus {' '.join(map(str, gpus))}: " if gpus else ""
    if available == 0:
        get_logger().log(WARNING if gpus else INFO, "%sno GPU here, running on the CPU", asked)
        return torch.device("cpu")
    chosen = tuple(dict.fromkeys(gpus)) if gpus else tuple(range(available))
    if len(chosen) < processes:
        raise InputError(f"{asked}expected a GPU for each of {processes} processes on this machine, got {len(chosen)}")
    for index in chosen[:processes]:
        if index >= available:
            raise InputError(f"{asked}expected a GPU number below {available}, got {index}")
    if gpus and len(chosen) > processes:
        get_logger().warning(
            "%seach process uses one GPU: only %d will be used; start more processes with torchrun", asked, processes
        )
    torch.cuda.set_device(chosen[local_rank])
    get_logger().info("running on %s", torch.cuda.get_device_name(chosen[local_rank]))
    return torch.device("cuda", chosen[local_rank])


@contextmanager
def process_group(device: torch.device, seconds: float = PATIENCE) -> Iterator[None]:
    """Join the launcher's processes (NCCL on GPUs, gloo on CPUs), and leave them at an end that all come to.

    An error of one process ends all of them within seconds, and is said once. A process waits for the others for
    ``seconds``, at the start and in each collective.
    """
    global _store, _met
    if launcher.world_size() == 1:
        if launcher.keeps_store():  # one process may be what is left of several
            store = _connect(seconds)
            _store, _met = dist.PrefixStore("run", store), Met("", count_meeting(dist.PrefixStore("meeting", store)))
        yield
        return
    watch = _join(device, seconds)
    watch.start()
    try:
        yield
    except Stopped:
        _leave(watch)
        raise
    except Exception as error:
        _end_all(watch, error)
    _leave(watch)


def _connect(seconds: float) -> Any:
    """The store in which the processes meet: torchrun's, or the first process's own."""
    host, port = launcher.address()
    keeps = launcher.rank() == 0 and not launcher.keeps_store()
    try:
        return connect(host, port, seconds, keeps)
    except RuntimeError as error:
        raise InputError(f"{_unreached(seconds)} {why_not(error, host, port)}") from None
    except NoAnswerError as error:
        report(f"{_unreached(seconds)} {why_not(error, host, port)}")
        os._exit(EXIT_BAD_INPUT)


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """End this process where PyTorch waits longer: 16 minutes for a store on a machine that has lost power."""

    def give_up() -> None:
        report(f"{_unreached(seconds)} silence: is the first machine still there?")
        os._exit(EXIT_BAD_INPUT)

    timer = threading.Timer(seconds + GRACE, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _join(device: torch.device, seconds: float) -> FailureWatch:
    global _host_group, _store, _met
    host, port = launcher.address()
    own_rank, size, patience = launcher.rank(), launcher.world_size(), timedelta(seconds=seconds)
    backend, device_id = ("nccl", device) if device.type == "cuda" else ("gloo", None)
    choose_interface(host, port)
    try:
        store = _connect(seconds)
        _store = dist.PrefixStore("run", store)
        meeting = dist.PrefixStore("meeting", store)
        with _limited(seconds):
            _met = meet(meeting, own_rank, size, seconds, project_digest(), launcher.restarts(), launcher.machines())
        store = dist.PrefixStore(_met.name, store)
        with _limited(seconds):
            dist.init_process_group(
                backend, timeout=patience, store=store, rank=own_rank, world_size=size, device_id=device_id
            )
        with _limited(seconds):
            _host_group = dist.new_group(timeout=patience, backend="gloo")
    except (dist.DistError, RuntimeError) as error:
        raise InputError(f"{_unreached(seconds)} {_first_line(error)}") from None
    speaks = launcher.local_rank() == 0
    return FailureWatch(dist.PrefixStore("failure", store.clone()), own_rank, size, speaks)


def _unreached(seconds: float) -> str:
    host, port = launcher.address()
    return f"{host}:{port}: expected to reach the other processes within {seconds:g} seconds (--dist_timeout), got"


def _leave(watch: FailureWatch) -> None:
    watch.stop()
    dist.destroy_process_group()


def _end_all(watch: FailureWatch, error: Exception) -> NoReturn:
    """Say what went wrong, unless another process does, and leave when all others have.

    Nothing is taken down in order: others may be amid a collective, for which NCCL would wait.
    """
    watch.stop()
    lost = isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))
    if lost:  # a process was killed, or a host is cut off
        error = InputError(f"another process of this run has ended or cannot be reached ({_first_line(error)})")
    first = not isinstance(error, OfMainError) and watch.is_first(str(error) or type(error).__name__)
    if first and isinstance(error, InputError):
        report(str(error))
    elif first:
        traceback.print_exception(error)
    else:
        watch.point_to_first()
    watch.leave(said=first)
    sys.exit(EXIT_BAD_INPUT if isinstance(error, InputError) else 1)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
