"""On a GPU, every back end of deformable convolution agrees with torchvision in float64, and one is chosen."""

import logging
from collections.abc import Callable

import pytest
import torch
from torchvision.ops import deform_conv2d as oracle

from ops.models.deformable import choice
from ops.models.deformable.choice import Call, Verdict
from ops.models.deformable.deform_conv import deform_conv2d
from tests.gpu.conftest import REHEARSING

pytestmark = pytest.mark.gpu
# Channels and side of MSN-ResNet-50's maps at 224 x 224; one tiny map in Triton's interpreter.
SHAPES = [(2, 3)] if REHEARSING else [(32, 56), (32, 28), (64, 28), (64, 14), (128, 14), (128, 7)]
IMAGES = 1 if REHEARSING else 14
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
Note = Callable[[str, object], None]


def call_of(
    kernels: tuple[int, ...], shape: tuple[int, int], dtype: torch.dtype, device: torch.device, trains: bool
) -> Call:
    channels, side = shape
    return Call(kernels, (IMAGES, channels, side, side), channels, (dtype,) * 3, None, device, trains, False)


def of_backend(name: str) -> Verdict:
    return Verdict(name, (32, 4) if name == "triton" else None)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kernel", [1] if REHEARSING else [3, 5])
@pytest.mark.parametrize("shape", SHAPES[1::2] or SHAPES, ids=str)
@pytest.mark.parametrize("backend", ["portable", "torchvision", "triton"])
def test_result_and_gradients(
    device: torch.device, note: Note, backend: str, shape: tuple[int, int], kernel: int, dtype: torch.dtype
) -> None:
    torch.backends.cuda.matmul.allow_tf32 = False
    call = call_of((kernel,), shape, dtype, device, True)
    generator = torch.Generator(device).manual_seed(1)
    channels, side = shape
    x = torch.randn(IMAGES, channels, side, side, device=device, generator=generator)
    weight = torch.randn(channels, channels, kernel, kernel, device=device, generator=generator)
    offset = choice._offsets(call, kernel, generator).detach()
    inputs = [value.to(dtype).requires_grad_() for value in (x, offset, weight)]
    wide = [value.detach().double().requires_grad_() for value in inputs]
    out, expected = deform_conv2d(*inputs, backend=of_backend(backend)), oracle(*wide, padding=kernel // 2)
    direction = torch.randn(out.shape, device=device, generator=generator).to(dtype)
    got = [out.detach(), *torch.autograd.grad(out, inputs, direction)]
    wanted = [expected.detach(), *torch.autograd.grad(expected, wide, direction.double())]
    errors = choice.difference(got, wanted)
    note("largest error", max(errors))
    assert max(errors) < choice.TOLERANCES[dtype]


@pytest.mark.parametrize("trains", [True, False], ids=["training", "testing"])
@pytest.mark.parametrize("dtype", DTYPES[:2], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_choice(
    device: torch.device, note: Note, caplog: pytest.LogCaptureFixture,
    shape: tuple[int, int], dtype: torch.dtype, trains: bool,
) -> None:  # fmt: skip
    """Triton computes DS-ME's mean difference rightly; the faster one is taken, and a line says so."""
    kernels = (1,) if REHEARSING else (3, 5)
    with caplog.at_level(logging.INFO, "msn"):
        verdict = choice.decide("auto", call_of(kernels, shape, dtype, device, trains))
    (line,) = (record.getMessage() for record in caplog.records)
    note("chosen", line)
    assert "failed" not in line and line.endswith(f"using {verdict.backend}")
