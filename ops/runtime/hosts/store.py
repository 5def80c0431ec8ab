"""Connecting to the store of PyTorch in which processes meet, in no more time than one wants to wait."""

import queue
import socket
import threading
from datetime import timedelta
from typing import Any

import torch.distributed as dist

GRACE = 5.0  # seconds that PyTorch may take longer to give up


class NoAnswerError(Exception):
    """Nothing came of a connection: a thread waits for it still, so only os._exit ends Python."""


def connect(host: str, port: int, seconds: float, keeps: bool = False) -> Any:
    """The store at an address.

    PyTorch (seen in 2.11 and 2.14) asks whether a store listens there and waits without end for the answer.

    Args:
        keeps: whether this process is the one that keeps the store.

    Raises:
        NoAnswerError: PyTorch waits longer than ``seconds``.
        RuntimeError: of PyTorch, if no store is there, or the port is in use.
    """
    outcome: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def try_it() -> None:
        patience = timedelta(seconds=seconds)
        try:
            outcome.put(dist.TCPStore(host, port, is_master=keeps, timeout=patience, wait_for_workers=False))
        except Exception as error:
            outcome.put(error)

    threading.Thread(target=try_it, daemon=True).start()
    try:
        found = outcome.get(timeout=seconds + GRACE)
    except queue.Empty:
        raise NoAnswerError from None
    if isinstance(found, Exception):
        raise found
    return found


def why_not(error: Exception, host: str, port: int) -> str:
    """Why no store is reached at an address, in words; PyTorch's own do not tell a wrong name from a silent machine."""
    if "EADDRINUSE" in str(error):
        return "a port that another program of this machine uses (ss -ltnp shows which)"
    try:
        socket.create_connection((host, port), timeout=GRACE).close()
    except OSError as reason:
        return str(reason.strerror or reason)
    return "a connection, but no answer of PyTorch: does another program listen there?"
