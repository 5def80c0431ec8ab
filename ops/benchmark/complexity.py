"""What a network costs: parameters, multiply-adds, memory of activations, time.

    network = build_model("resnet50", 174, 8, model="tdn")
    count(network, input_size=224).gmac      # 35.6

Counting computes nothing: it runs a copy of the network on the device ``meta``, which has shapes but no values.
"""

import copy
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ops.models import DeformConv2d, Recognizer, TemporalShift, fuse_for_inference

BILINEAR = 4  # multiply-adds of a sample: four pixels, each with its weight
NEIGHBOURS = 3  # of a value of the learnable shift: the segments before, at and behind it
MEBIBYTE = 2**20


class Counts(NamedTuple):
    """What can be counted of one clip.

    Args:
        parameters: of the whole network.
        gmac: 10^9 multiply-adds of convolutions and matrix products in evaluation mode, as torch's counter finds them.
        other_gmac: 10^9 multiply-adds that it does not know, counted by hand: the samples of deformable convolutions
            and the learnable shift.
        activation_mb: 2^20 bytes of float32 that a training step keeps of the clip for its backward pass.
    """

    parameters: int
    gmac: float
    other_gmac: float
    activation_mb: float


class Speed(NamedTuple):
    """Medians of several forward passes.

    Args:
        latency_ms: milliseconds of one clip.
        clips_per_second: in batches.
    """

    latency_ms: float
    clips_per_second: float


def count(model: Recognizer, input_size: int) -> Counts:
    """Count one clip of ``input_size`` x ``input_size`` pixels."""
    network = copy.deepcopy(model).to("meta")
    clip = _clips(network, 1, input_size, "meta")
    by_hand = 0

    def samples(module: nn.Module, inputs: tuple[Tensor, ...], _: Tensor) -> None:
        nonlocal by_hand
        assert isinstance(module, DeformConv2d)
        by_hand += BILINEAR * inputs[0].numel() * module.weight[0, 0].numel()

    def shifted(_: nn.Module, inputs: tuple[Tensor, ...], __: Tensor) -> None:
        nonlocal by_hand
        by_hand += NEIGHBOURS * inputs[0].numel()

    hooks = [m.register_forward_hook(samples) for m in network.modules() if isinstance(m, DeformConv2d)]
    hooks += [m.register_forward_hook(shifted) for m in network.modules() if isinstance(m, TemporalShift)]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(clip)
    for hook in hooks:
        hook.remove()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    multiply_adds = counter.get_total_flops() / 2  # it counts a multiply-add as two operations
    return Counts(parameters, multiply_adds / 1e9, by_hand / 1e9, kept_for_backward(network, clip) / MEBIBYTE)


def kept_for_backward(network: nn.Module, clips: Tensor) -> int:
    """Bytes of all tensors that a forward pass in training mode keeps for the backward pass, but for parameters.

    A deformable convolution samples again rather than keep its samples, so these are not among them.
    """
    own = {tensor.untyped_storage()._cdata for tensor in (*network.parameters(), *network.buffers(), clips)}
    kept: dict[int, Tensor] = {}  # one for each storage, which several views may share

    def keep(tensor: Tensor) -> Tensor:
        if (storage := tensor.untyped_storage()._cdata) not in own:
            kept[storage] = tensor
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = network.train()(clips)
    bytes_kept = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    del output  # until here the storages live, so that no two had the same address
    return bytes_kept


def measure(
    model: Recognizer,
    input_size: int,
    batch_size: int,
    rounds: int,
    device: str,
    clock: Callable[[], float] = time.perf_counter,
) -> Speed:
    """Time forward passes of the network as the test scripts run it: its BatchNorms folded, channels innermost."""
    network = fuse_for_inference(model).to(device)
    seconds = {size: _median_seconds(network, _clips(network, size, input_size, device), rounds, clock)
               for size in {1, batch_size}}  # fmt: skip
    return Speed(1000 * seconds[1], batch_size / seconds[batch_size])


def _clips(network: Recognizer, batch_size: int, input_size: int, device: str) -> Tensor:
    return torch.zeros(batch_size, network.num_segments, network.frames_per_segment, 3, input_size, input_size,
                       device=device)  # fmt: skip


def _median_seconds(network: nn.Module, clips: Tensor, rounds: int, clock: Callable[[], float]) -> float:
    """After one pass to warm up."""
    times = []
    with torch.inference_mode():
        for _ in range(rounds + 1):
            begun = clock()
            network(clips)
            if clips.is_cuda:
                torch.cuda.synchronize()
            times.append(clock() - begun)
    return statistics.median(times[1:])
