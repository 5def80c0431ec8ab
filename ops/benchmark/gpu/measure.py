"""One measurement on one GPU (or, to rehearse, a CPU)."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from ops.benchmark.gpu.plan import KINDS, Kind, Measurement
from ops.benchmark.network import NUM_CLASSES, NetworkOracle
from ops.models import FRAMES_PER_SEGMENT, build_model, fuse_for_inference, use_channels_last
from ops.runtime import autocast, use_fast_products

ROUNDS, SECONDS = 20, 4.0  # timed steps of a measurement: at most so many, and so long; a rehearsal takes one
WARM_UP = 2
TOP = 10
MEBIBYTE = 2**20
Figures = dict[str, Any]


@dataclass(frozen=True)
class Shapes:
    """What every measurement computes."""

    arch: str
    segments: int
    input_size: int
    device: str


def measure(what: Measurement, shapes: Shapes, oracle: NetworkOracle) -> Figures:
    """Clips a second, peak memory and what preparing took; or why there are none."""
    begun = time.perf_counter()
    try:
        step = prepare(what, shapes, oracle)
        for _ in range(WARM_UP if shapes.device == "cuda" else 1):
            step()
        if shapes.device == "cuda":  # only now: what is tried at first use is not what training needs
            torch.cuda.reset_peak_memory_stats()
        prepared = time.perf_counter() - begun
        seconds = _seconds_a_step(step, SECONDS if shapes.device == "cuda" else 0)
    except Exception as error:  # one that does not fit into memory, or that a compiler cannot do, costs itself only
        return {"failed": _reason(error)}
    figures = {"clips_per_second": what.batch_size / seconds, "preparing_seconds": prepared}
    if shapes.device == "cuda":
        figures["peak_memory_mb"] = torch.cuda.max_memory_allocated() / MEBIBYTE
    return figures


def _reason(error: Exception) -> str:
    if isinstance(error, torch.OutOfMemoryError):
        return "out of memory"
    return f"{type(error).__name__}: {error}".splitlines()[0][:120]


def prepare(what: Measurement, shapes: Shapes, oracle: NetworkOracle) -> Callable[[], None]:
    """A step: of training, or a forward pass as the test scripts run it."""
    kind = KINDS[what.kind]
    use_fast_products(torch.device(shapes.device), exact=not kind.tf32, same_shapes=True)
    torch.compiler.reset()
    if shapes.device == "cuda":
        torch.cuda.empty_cache()
    torch.manual_seed(0)
    size = (what.batch_size, shapes.segments, FRAMES_PER_SEGMENT["msn"], 3, shapes.input_size, shapes.input_size)
    clips = torch.randn(size, device=shapes.device)
    made = _training_step if what.task == "training" else _testing_step
    return made(what.side, kind, shapes, oracle, clips)


def _compile(network: nn.Module, kind: Kind, device: str) -> None:
    if kind.compile:  # a CPU's compiler takes minutes: a rehearsal only traces
        network.compile(backend="inductor" if device == "cuda" else "eager")


def _training_step(
    side: str, kind: Kind, shapes: Shapes, oracle: NetworkOracle, clips: torch.Tensor
) -> Callable[[], None]:
    network: nn.Module
    if side == "oracle":
        network = oracle(shapes.arch, NUM_CLASSES, shapes.segments, dropout=0.5)
    else:
        network = build_model(shapes.arch, NUM_CLASSES, shapes.segments)
    if kind.channels_last:
        use_channels_last(network)
    network.to(shapes.device).train()
    _compile(network, kind, shapes.device)
    optimizer = torch.optim.SGD(network.parameters(), 1e-3, momentum=0.9)
    labels = torch.arange(len(clips), device=shapes.device)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with autocast(torch.device(shapes.device), kind.amp):
            loss = F.cross_entropy(network(clips).float(), labels)
        loss.backward()
        optimizer.step()
        _wait(clips)

    return step


def _testing_step(
    side: str, kind: Kind, shapes: Shapes, oracle: NetworkOracle, clips: torch.Tensor
) -> Callable[[], None]:
    network: nn.Module
    if side == "oracle":
        network = oracle(shapes.arch, NUM_CLASSES, shapes.segments).eval()
    else:
        network = fuse_for_inference(build_model(shapes.arch, NUM_CLASSES, shapes.segments))
    network.to(shapes.device)
    _compile(network, kind, shapes.device)

    def step() -> None:
        with torch.inference_mode(), autocast(torch.device(shapes.device), kind.amp):
            network(clips)
        _wait(clips)

    return step


def _wait(clips: torch.Tensor) -> None:
    if clips.is_cuda:
        torch.cuda.synchronize()


def _seconds_a_step(step: Callable[[], None], seconds: float) -> float:
    """Mean of the timed steps."""
    begun, steps = time.perf_counter(), 0
    while steps < ROUNDS and (steps == 0 or time.perf_counter() - begun < seconds):
        step()
        steps += 1
    return (time.perf_counter() - begun) / steps


def profile_step(what: Measurement, shapes: Shapes, oracle: NetworkOracle) -> Figures:
    """The kernels that a step spends most time in: name, milliseconds, and share of the time of all kernels."""
    try:
        step = prepare(what, shapes, oracle)
        for _ in range(WARM_UP if shapes.device == "cuda" else 1):
            step()
        on_gpu = shapes.device == "cuda"
        with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]) as found:
            step()
    except Exception as error:  # as in measure
        return {"failed": _reason(error)}
    times = [
        (event.key, (event.self_device_time_total if on_gpu else event.self_cpu_time_total) / 1000)
        for event in found.key_averages()
        if not on_gpu or event.device_type == torch.autograd.DeviceType.CUDA
    ]
    total = sum(milliseconds for _, milliseconds in times)
    longest = sorted(times, key=lambda each: -each[1])[:TOP]
    return {"kernels": [{"name": name, "ms": ms, "share": ms / total} for name, ms in longest]}
