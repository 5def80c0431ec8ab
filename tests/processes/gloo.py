"""Functions in processes that talk by gloo."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch.multiprocessing
from torch import distributed


def _join(rank: int, count: int, store: str, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=count)
    try:
        function(rank, *arguments)
    finally:
        distributed.destroy_process_group()


def in_processes(count: int, function: Callable[..., None], folder: str, *arguments: Any) -> None:
    """Call ``function(rank, folder, ...)`` of a test module in several processes; ``folder`` is empty and theirs."""
    store = str(Path(folder) / "store")
    torch.multiprocessing.spawn(_join, (count, store, function, (folder, *arguments)), nprocs=count)
