"""What a launcher (torchrun, srun, or what sets torchrun's variables) says about this process in its environment."""

import os

from ops.runtime.errors import InputError
from ops.runtime.hosts.variables import variable


def world_size() -> int:
    """How many processes the run has."""
    return _number("WORLD_SIZE", 1, "1")


def rank() -> int:
    """This process's number among all of the run."""
    size = world_size()
    number = _number("RANK", 0, "0" if size == 1 else None)
    if number >= size:
        raise InputError(f"expected RANK below WORLD_SIZE ({size}) in the environment, got {number}")
    return number


def local_rank() -> int:
    """This process's number among those on this machine."""
    return _number("LOCAL_RANK", 0, "0")


def local_world_size() -> int:
    """How many processes of the run are on this machine, as far as is known."""
    return max(_number("LOCAL_WORLD_SIZE", 1, "1"), local_rank() + 1)


def restarts() -> int:
    """How often torchrun has restarted this process."""
    text = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return int(text) if text.isdecimal() else 0


def machines() -> int | None:
    """How many machines torchrun of this one was told of, where it is torchrun."""
    text = os.environ.get("GROUP_WORLD_SIZE", "")
    return int(text) if text.isdecimal() else None


def is_torchrun() -> bool:
    """Whether torchrun, which passes on the signals that it receives, started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def keeps_store() -> bool:
    """Whether torchrun itself keeps the store in which the processes meet."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def address() -> tuple[str, int]:
    """Where the processes of a run meet: host and port.

    Raises:
        InputError: the environment does not say.
    """
    host, port = variable("MASTER_ADDR") or "", _number("MASTER_PORT", 0, None)
    if not host or port > 65535:
        raise InputError(f"expected MASTER_ADDR and MASTER_PORT in the environment, got '{host}' and {port}")
    return host, port


def _number(name: str, low: int, default: str | None) -> int:
    text = variable(name)
    text = default if text is None else text
    if text is None or not text.isdecimal() or int(text) < low:
        got = "none" if text is None else repr(text)
        raise InputError(
            f"expected {name} in the environment to be a whole number from {low}, got {got}; torchrun sets it"
        )
    return int(text)
