"""What the processes of a run give each other: gradients, sums, files, errors. With one process all is a no-op."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn

from ops.runtime import distributed
from ops.runtime.distributed import OfMainError
from ops.runtime.errors import InputError

CHUNK = 2**24  # bytes of a file that are sent at a time
Result = TypeVar("Result")


def wrap(model: nn.Module, device: torch.device) -> nn.Module:
    """DistributedDataParallel where there are several processes, else the model itself."""
    if distributed.world_size() == 1:
        return model
    device_ids = [device.index] if device.type == "cuda" else None
    # Batch statistics are the first process's where they are saved and measured (sync_buffers): no need to send them to
    # all at every step.
    accepted = inspect.signature(nn.parallel.DistributedDataParallel).parameters
    option = "forward_sync_buffers" if "forward_sync_buffers" in accepted else "broadcast_buffers"  # before torch 2.14
    options: dict[str, Any] = {"gradient_as_bucket_view": True, option: False}
    return nn.parallel.DistributedDataParallel(model, device_ids=device_ids, **options)


def gradients_synced(network: nn.Module, when: bool) -> AbstractContextManager:
    """Average the gradients of a backward pass over processes only ``when``: at the last of accumulated batches."""
    if when or not isinstance(network, nn.parallel.DistributedDataParallel):
        return nullcontext()
    return network.no_sync()


def sync_buffers(model: nn.Module) -> None:
    """Give every process the first one's buffers, so that all evaluate the network that is saved."""
    _broadcast(list(model.buffers()))


def sync_weights(model: nn.Module) -> None:
    """Give every process the first one's parameters and buffers."""
    _broadcast([*(parameter.detach() for parameter in model.parameters()), *model.buffers()])


@torch.no_grad()
def _broadcast(tensors: Sequence[torch.Tensor]) -> None:
    """Overwrite tensors with the first process's: all of one type in one message, not hundreds."""
    if distributed.world_size() == 1:
        return
    for kind in dict.fromkeys(tensor.dtype for tensor in tensors):  # in the same order everywhere
        some = [tensor for tensor in tensors if tensor.dtype == kind]
        flat = torch.cat([tensor.reshape(-1) for tensor in some])
        dist.broadcast(flat, src=0)
        parts = flat.split([tensor.numel() for tensor in some])
        torch._foreach_copy_(some, [part.view(tensor.shape) for part, tensor in zip(parts, some, strict=True)])


def sum_over_processes(values: Sequence[float], device: torch.device) -> list[float]:
    """Element-wise sum, in double precision."""
    if distributed.world_size() == 1:
        return list(values)
    total = torch.tensor(values, dtype=torch.float64, device=device)
    dist.all_reduce(total)
    return total.tolist()


def highest(value: int) -> int:
    """The highest of all processes' values, without waiting for a device."""
    if distributed.world_size() == 1:
        return value
    box = torch.tensor(value)
    dist.all_reduce(box, dist.ReduceOp.MAX, group=distributed.host_group())
    return int(box)


def from_all(item: Any) -> list[Any]:
    """Every process's picklable ``item``, in the order of ranks."""
    if distributed.world_size() == 1:
        return [item]
    items = [None] * distributed.world_size()
    dist.all_gather_object(items, item, group=distributed.host_group())
    return items


def on_main(function: Callable[[], Result]) -> Result:
    """What ``function`` returns, or the InputError that it raises, on the first process: the same everywhere."""
    return from_main(on_main_only(function))


def on_main_only(function: Callable[[], Result]) -> Result | None:
    """What ``function`` returns on the first process, None elsewhere; the InputError that it raises, everywhere."""
    result, problem = None, None
    if distributed.is_main():
        try:
            result = function()
        except InputError as error:
            problem = str(error)
    problem = from_main(problem)
    if problem is not None:
        raise InputError(problem) if distributed.is_main() else OfMainError(problem)
    return result


def merge_over_processes(items: dict[int, Any]) -> dict[int, Any]:
    """The entries of every process, in order of their keys."""
    return dict(sorted(entry for part in from_all(items) for entry in part.items()))


def from_main(item: Any) -> Any:
    """The first process's picklable ``item``, everywhere."""
    if distributed.world_size() == 1:
        return item
    box = [item]
    dist.broadcast_object_list(box, src=0, group=distributed.host_group())
    return box[0]


def bytes_from(rank: int, content: bytes | None) -> bytes | memoryview:
    """One process's bytes, everywhere, piece by piece; the others have None."""
    if distributed.world_size() == 1:
        assert content is not None
        return content
    size = from_all(None if content is None else len(content))[rank]
    received = torch.empty(size if content is None else 0, dtype=torch.uint8)
    for start in range(0, size, CHUNK):
        piece = received[start : start + CHUNK]
        if content is not None:
            piece = torch.frombuffer(bytearray(content[start : start + CHUNK]), dtype=torch.uint8)
        dist.broadcast(piece, src=rank, group=distributed.host_group())
    return received.numpy().data if content is None else content


def to_main(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Send pieces to the first process, which receives those of every other, in order of ranks; every process calls it.

    Nothing is sent from other processes before the first has asked for it, so it holds one piece at a time.
    """
    if not distributed.is_main():
        for piece in pieces:
            _send(piece)
        _send(b"")
        return
    for other in range(1, distributed.world_size()):
        while piece := _receive(other):
            yield piece


def _send(piece: bytes) -> None:
    dist.send(torch.tensor(len(piece)), dst=0, group=distributed.host_group())
    if piece:
        dist.send(torch.frombuffer(bytearray(piece), dtype=torch.uint8), dst=0, group=distributed.host_group())


def _receive(other: int) -> bytes:
    size = torch.zeros((), dtype=torch.long)
    dist.recv(size, src=other, group=distributed.host_group())
    piece = torch.empty(int(size), dtype=torch.uint8)
    if len(piece):
        dist.recv(piece, src=other, group=distributed.host_group())
    return piece.numpy().tobytes()


def barrier() -> None:
    if distributed.world_size() > 1:
        dist.barrier(group=distributed.host_group())
