"""The two sides of scripts/benchmarks/benchmark.py model and train: the oracle's network and this project's."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ops.benchmark.memory import process_peak
from ops.models import FRAMES_PER_SEGMENT, build_model, fuse_for_inference, use_channels_last
from ops.runtime import autocast

NUM_CLASSES = 174
STEPS_FOR_MEMORY = 3
NetworkOracle = Callable[..., nn.Module]  # (arch, classes, segments, dropout=...), importable in another process
Sides = dict[str, Callable[[], Any]]


class Settings(NamedTuple):
    """What both sides of a comparison compute."""

    model: str
    arch: str
    segments: int
    input_size: int
    batch_size: int
    device: str
    amp: str | None


def _clips(settings: Settings) -> Tensor:
    size, generator = settings.input_size, torch.Generator().manual_seed(0)
    shape = (settings.batch_size, settings.segments, FRAMES_PER_SEGMENT[settings.model], 3, size, size)
    return torch.randn(shape, generator=generator).to(settings.device)


def _finished(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _precision(device: str, amp: str | None) -> AbstractContextManager:
    return autocast(torch.device(device), amp)


def model_sides(settings: Settings, compiled: bool, oracle: NetworkOracle) -> Sides:
    """A forward pass of the oracle, of this project's network, and of its folded form that the test scripts use."""
    model, arch, segments, *_, device, amp = settings
    torch.manual_seed(0)
    plain = build_model(arch, NUM_CLASSES, segments, model=model).eval()
    networks: dict[str, nn.Module] = {
        "oracle": oracle(arch, NUM_CLASSES, segments).eval(),
        "network": plain,
        "folded": fuse_for_inference(plain),
    }
    if compiled:
        networks["compiled"] = fuse_for_inference(plain)
        networks["compiled"].compile()
    clips = _clips(settings)

    def side(network: nn.Module) -> Callable[[], None]:
        network.to(device)

        def work() -> None:
            with torch.inference_mode(), _precision(device, amp):
                network(clips)
            _finished(device)

        return work

    return {name: side(network) for name, network in networks.items()}


def _train_side(name: str, settings: Settings, oracle: NetworkOracle) -> Callable[[], None]:
    model, arch, segments, _, batch, device, amp = settings
    torch.manual_seed(0)
    network: nn.Module
    if name == "oracle":
        network = oracle(arch, NUM_CLASSES, segments, dropout=0.5)
    else:
        network = build_model(arch, NUM_CLASSES, segments, model=model)
    if name in ("channels last", "compiled"):
        use_channels_last(network)
    network.to(device).train()
    if name == "compiled":
        network.compile()
    optimizer = torch.optim.SGD(network.parameters(), 1e-3, momentum=0.9)
    clips = _clips(settings)
    labels = torch.arange(batch, device=device)

    def work() -> None:
        optimizer.zero_grad(set_to_none=True)
        with _precision(device, amp):
            loss = F.cross_entropy(network(clips).float(), labels)
        loss.backward()
        optimizer.step()
        _finished(device)

    return work


def _train_names(compiled: bool) -> tuple[str, ...]:
    return ("oracle", "network", "channels last", *(("compiled",) if compiled else ()))


def train_sides(settings: Settings, compiled: bool, oracle: NetworkOracle) -> Sides:
    """A training step of the oracle and of this project's network; compiled with channels last."""
    return {name: _train_side(name, settings, oracle) for name in _train_names(compiled)}


def peak_memory(settings: Settings, compiled: bool, threads: int, oracle: NetworkOracle) -> dict[str, int]:
    """Most memory that each side took for some training steps, in MB: of its GPU, or of its process."""
    context = multiprocessing.get_context("spawn")
    found = {}
    for name in _train_names(compiled):
        with ProcessPoolExecutor(1, mp_context=context) as pool:  # a process of its own: its peak is the side's
            found[name] = pool.submit(_peak_of, name, settings, threads, oracle).result()
    return found


def _peak_of(name: str, settings: Settings, threads: int, oracle: NetworkOracle) -> int:
    torch.set_num_threads(threads)
    step = _train_side(name, settings, oracle)
    for _ in range(STEPS_FOR_MEMORY):
        step()
    if settings.device == "cuda":
        return torch.cuda.max_memory_allocated() // 2**20
    return process_peak()
