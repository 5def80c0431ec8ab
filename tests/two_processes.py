"""Functions in two processes that talk by gloo."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch.multiprocessing
from torch import distributed


def _join(rank: int, store: str, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    try:
        function(rank, *arguments)
    finally:
        distributed.destroy_process_group()


def in_two_processes(function: Callable[..., None], folder: str, *arguments: Any) -> None:
    """Call ``function(rank, folder, ...)`` of a test module in two processes; ``folder`` is empty and theirs."""
    store = str(Path(folder) / "store")
    torch.multiprocessing.spawn(_join, (store, function, (folder, *arguments)), nprocs=2)
