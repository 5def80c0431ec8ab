"""Which back end computes a deformable convolution: decided where it runs, at the first use of each shape.

``portable`` runs everywhere. On a GPU, ``auto`` checks the results and gradients of ``triton`` against it on random
inputs of that shape, times both, and takes the faster one; the log says so in one line. A back end that is asked for
by name is checked as well. Where Triton is missing, fails or is wrong, the portable one runs, and one line says why.
"""

import functools
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ops.models.deformable.portable import deform_conv2d
from ops.runtime import get_logger, narrow_type

ROUNDS = 5
MOST_IMAGES = 32  # that are tried: the first step of training has filled the memory already
# Norm of the difference to the portable result, over that result's norm. Sixteen bits round at different places.
TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 5e-3, torch.bfloat16: 3e-2}
TF32_TOLERANCE = 5e-3
Task = Callable[[Any], list[Tensor]]  # from a tile, or None for the portable one, to results and gradients


@dataclass(frozen=True)
class Call:
    """What a decision is made for.

    Args:
        kernels: (k,) of one convolution; (3, 5) of DS-ME's mean difference.
        shape: (B, C, H, W) of the input; ``outputs`` is C'.
        types: of input, offsets, weights; ``product`` is that of autocast, if it is on.
        trains: whether gradients are wanted.
        deterministic: whether PyTorch is to be deterministic, which the atomics of the backward pass are not.
    """

    kernels: tuple[int, ...]
    shape: tuple[int, ...]
    outputs: int
    types: tuple[torch.dtype, ...]
    product: torch.dtype | None
    device: torch.device
    trains: bool
    deterministic: bool

    def __str__(self) -> str:
        kernels = " + ".join(f"{k} x {k}" for k in self.kernels)
        shape = " x ".join(map(str, self.shape))
        kind = str(self.product or self.types[2]).removeprefix("torch.")
        return f"deformable {kernels} of {shape}, {kind}, {'training' if self.trains else 'testing'}"


class Verdict(NamedTuple):
    """The back end, and for Triton how its work is cut: (pixels, warps)."""

    backend: str
    tile: tuple[int, int] | None = None


PORTABLE = Verdict("portable")


def choose(wanted: str, kernels: tuple[int, ...], x: Tensor, offset: Tensor, weight: Tensor, trains: bool) -> Verdict:
    """The back end of a call with such tensors, where ``wanted`` is ``auto`` or a back end's name."""
    if wanted == "portable" or (wanted == "auto" and (x.device.type != "cuda" or torch.compiler.is_exporting())):
        return PORTABLE
    if wanted == "torchvision":
        return Verdict(wanted)
    deterministic = torch.are_deterministic_algorithms_enabled()
    shape = tuple(int(size) for size in x.shape)  # numbers also while torch.compile traces: it decides then
    found = _decided(wanted, kernels, shape, int(weight.shape[0]), x.dtype, offset.dtype, weight.dtype,
                     narrow_type(x.device), x.device, trains, deterministic)  # fmt: skip
    return Verdict(*found)


@torch.compiler.assume_constant_result
def _decided(
    wanted: str, kernels: tuple[int, ...], shape: tuple[int, ...], outputs: int, x_type: torch.dtype,
    offset_type: torch.dtype, weight_type: torch.dtype, product: torch.dtype | None, device: torch.device,
    trains: bool, deterministic: bool,
) -> tuple[Any, ...]:  # fmt: skip
    types = (x_type, offset_type, weight_type)
    return tuple(decide(wanted, Call(kernels, shape, outputs, types, product, device, trains, deterministic)))


@functools.cache
def decide(wanted: str, call: Call) -> Verdict:
    """Check and time the Triton back end for such a call, once."""
    reason = why_not(call)
    if reason:
        _say_once(wanted, reason)
        return PORTABLE
    try:
        return _compare(wanted, call)
    except Exception as error:  # whatever a compiler or driver may raise
        get_logger().warning("%s: triton failed (%s); using portable", call, _first_line(error))
        return PORTABLE


def why_not(call: Call) -> str:
    """Why Triton cannot compute such a call; empty if it can."""
    try:
        from ops.models.deformable.triton_ops import INTERPRETED, MOST_OUTPUTS
    except ImportError as error:
        return f"Triton cannot be imported ({_first_line(error)})"
    if call.device.type != "cuda" and not INTERPRETED:
        return f"Triton needs a GPU, this is {call.device.type!r}"
    if call.deterministic and call.trains:
        return "Triton's gradients are not deterministic, which PyTorch was asked to be"
    if call.outputs > MOST_OUTPUTS:
        return f"Triton's kernels are for at most {MOST_OUTPUTS} channels, not {call.outputs}"
    return ""


@functools.cache
def _say_once(wanted: str, reason: str) -> None:
    get_logger().log(30 if wanted == "triton" else 20, "deformable convolutions: %s; using portable", reason)


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _compare(wanted: str, call: Call) -> Verdict:
    tried = replace(call, shape=(min(MOST_IMAGES, call.shape[0]), *call.shape[1:]))
    task = motion_task(tried) if len(call.kernels) > 1 else convolution_task(tried)
    seconds, tile, error = _fastest_tile(call, task)
    times = f"triton {1000 * seconds:.2f} ms (difference {error:.0e})"
    found = Verdict("triton", tile)
    if wanted == "auto":
        portable = _seconds(partial(task, None), call.device)
        if portable <= seconds:
            found = PORTABLE
        times += f", portable {1000 * portable:.2f} ms; using {found.backend}"
    else:
        times += ", as --deform says"
    get_logger().info("%s: %s", call, times)
    return found


def _fastest_tile(call: Call, task: Task) -> tuple[float, tuple[int, int], float]:
    """Seconds, tile and difference to the portable result. A tile may be too large for a GPU, if another is not."""
    from ops.models.deformable.triton_ops import TILES

    expected, allowed = task(None), tolerances(call)
    found, failures = [], []
    for tile in TILES:
        try:
            error = difference(task(tile), expected)
        except Exception as failure:  # whatever a compiler or driver may raise
            failures.append(failure)
            continue
        if not (error[0] < allowed[0] and max(error) < allowed[1]):
            raise ArithmeticError(f"its results differ by {error[0]:.1e}, its gradients by up to {max(error):.1e}")
        found.append((_seconds(partial(task, tile), call.device), (tile.pixels, tile.warps), error[0]))
    if not found:
        raise failures[0]
    return min(found)


def tolerances(call: Call) -> tuple[float, float]:
    """What results and gradients may differ by.

    Where the map of DS-ME's mean is near zero, rounding decides its sign, and the gradient is one of the two.
    """
    result = max(TOLERANCES[kind] for kind in {*call.types, call.product or call.types[2]})
    if torch.backends.cuda.matmul.allow_tf32:
        result = max(result, TF32_TOLERANCE)
    return result, 2 * result**0.5 if len(call.kernels) > 1 else result


def difference(got: list[Tensor], expected: list[Tensor]) -> list[float]:
    """For each tensor, the norm of its difference to what is expected, over the norm of that; NaN is infinite."""
    pairs = [(one.double(), other.double()) for one, other in zip(got, expected, strict=True)]
    ratios = [float((one - other).norm() / other.norm().clamp_min(1e-30)) for one, other in pairs]
    return [ratio if ratio == ratio else float("inf") for ratio in ratios]


def _seconds(work: Callable[[], Any], device: torch.device) -> float:
    """Median of some runs, behind one to warm up."""
    times = []
    for _ in range(ROUNDS + 1):
        _wait(device)
        begun = time.perf_counter()
        work()
        _wait(device)
        times.append(time.perf_counter() - begun)
    return statistics.median(times[1:])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _draw(call: Call, generator: torch.Generator) -> Callable[..., Tensor]:
    def draw(kind: torch.dtype, *shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=call.device).to(kind).requires_grad_(call.trains)

    return draw


def _offsets(call: Call, kernel: int, generator: torch.Generator) -> Tensor:
    """From -2 to 2 pixels, no nearer to a whole number than 1/8: there the slope has a kink, and rounding a say."""
    images, _, height, width = call.shape
    shape = (images, 2 * kernel**2, height, width)
    whole = torch.randint(-2, 2, shape, generator=generator, device=call.device)
    part = 0.125 + 0.75 * torch.rand(shape, generator=generator, device=call.device)
    return (whole + part).to(call.types[1]).requires_grad_(call.trains)


def _task(call: Call, inputs: list[Tensor], compute: Callable[[Any], Tensor]) -> Task:
    """Results, and gradients against a fixed direction, in the precision of the call."""

    def task(tile: Any) -> list[Tensor]:
        autocast = torch.autocast(call.device.type, dtype=call.product, enabled=call.product is not None)
        with torch.inference_mode(False), torch.set_grad_enabled(call.trains), autocast:
            result = compute(tile)
        if not call.trains:
            return [result]
        direction = torch.linspace(-1, 1, result.numel(), device=result.device).view(result.shape).to(result.dtype)
        return [result.detach(), *torch.autograd.grad(result, inputs, direction)]

    return task


def convolution_task(call: Call) -> Task:
    """One convolution of random tensors of a call's shapes and types."""
    with torch.inference_mode(False):
        generator = torch.Generator(call.device).manual_seed(0)
        draw = _draw(call, generator)
        (kernel,) = call.kernels
        x, offset = draw(call.types[0], *call.shape), _offsets(call, kernel, generator)
        weight = draw(call.types[2], call.outputs, call.shape[1], kernel, kernel)
        bias = draw(call.types[2], call.outputs)

    def compute(tile: Any) -> Tensor:
        if tile is None:
            return deform_conv2d(x, offset, weight, bias)
        from ops.models.deformable import triton_ops

        return triton_ops.deform_conv2d(x, offset, weight, bias, tile)

    return _task(call, [x, offset, weight, bias], compute)


def motion_task(call: Call) -> Task:
    """DS-ME's mean difference of random tensors of a call's shapes and types."""
    with torch.inference_mode(False):
        generator = torch.Generator(call.device).manual_seed(0)
        draw = _draw(call, generator)
        images, channels, height, width = call.shape
        x = draw(call.types[0], *call.shape)
        pooled, current = (draw(call.types[0], images, call.outputs, height, width) for _ in range(2))
        convolutions = tuple(
            (_offsets(call, k, generator), draw(call.types[2], call.outputs, channels, k, k),
             draw(call.types[2], call.outputs)) for k in call.kernels
        )  # fmt: skip
    inputs = [x, pooled, current, *(tensor for convolution in convolutions for tensor in convolution)]

    def compute(tile: Any) -> Tensor:
        if tile is None:
            near, far = (deform_conv2d(x, *convolution) for convolution in convolutions)
            return torch.sub(near + far + pooled, current, alpha=3).abs().mean(dim=(2, 3))
        from ops.models.deformable import triton_ops

        return triton_ops.motion_mean(x, convolutions, pooled, current[:, None], tile)

    return _task(call, inputs, compute)
