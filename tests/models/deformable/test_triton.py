"""The Triton kernels, in Triton's interpreter, against torchvision's deformable convolution in float64.

The interpreter takes a tenth of a second for each kernel point of a program, whatever its size: maps are small.
"""

import itertools
import math
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import deform_conv2d as oracle

from tests.commands import REPOSITORY, run
from tests.golden_weights import relative_error

triton_ops = pytest.importorskip("ops.models.deformable.triton_ops", reason="Triton is not installed")
Tile = triton_ops.Tile
pytestmark = pytest.mark.skipif(
    not triton_ops.INTERPRETED, reason="without Triton's interpreter; on a GPU, tests/gpu has these"
)

# bfloat16 has 8 bits; the interpreter cuts off the others instead of rounding.
TOLERANCE = {torch.float64: 1e-13, torch.float32: 2e-6, torch.float16: 2e-3, torch.bfloat16: 2e-2}
SMALL = Tile(16, 4)
Inputs = tuple[Tensor, ...]


def _draw(seed: int = 0) -> Callable[..., Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64)


def _offsets(kernel: int, images: int, height: int, width: int, seed: int = 1) -> Tensor:
    """From -2 to 2 pixels and no nearer to a whole number, where slopes have a kink, than 1/8: exact in 16 bits."""
    generator = torch.Generator().manual_seed(seed)
    eighths = torch.randint(1, 8, (images, 2 * kernel**2, height, width), generator=generator) / 8
    return (torch.randint(-2, 2, eighths.shape, generator=generator) + eighths).double()


def _inputs(kernel: int, size: tuple[int, int, int], channels: int = 3, outputs: int = 4) -> Inputs:
    """x (B, C, H, W), offsets, weight (C', C, k, k), bias, all numbers of few bits, as float64."""
    draw = _draw()
    images, height, width = size
    x, weight = draw(images, channels, height, width), draw(outputs, channels, kernel, kernel)
    found = x, _offsets(kernel, images, height, width), weight, draw(outputs)
    return tuple(value.bfloat16().double() for value in found)


def _run(function: Callable[..., Tensor], inputs: Inputs) -> list[Tensor]:
    """Result and gradients against a fixed direction."""
    inputs = tuple(value.clone().requires_grad_() for value in inputs)
    out = function(*inputs)
    direction = _draw(9)(*out.shape).bfloat16().to(out.dtype)
    return [out.detach(), *torch.autograd.grad(out, inputs, direction)]


def _expected(x: Tensor, offset: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return oracle(x, offset, weight, bias, padding=weight.shape[-1] // 2)


def _errors(function: Callable[..., Tensor], expected: Callable[..., Tensor], inputs: Inputs, dtype: torch.dtype):
    got = _run(function, tuple(value.to(dtype) for value in inputs))
    assert all(value.dtype == dtype for value in got)
    return [relative_error(one.double(), other) for one, other in zip(got, _run(expected, inputs), strict=True)]


class TestDeformConv2d:
    @pytest.mark.parametrize("dtype", TOLERANCE)
    @pytest.mark.parametrize(("kernel", "size"), [(3, (2, 5, 6)), (5, (1, 3, 5))], ids=str)
    def test_result_and_gradients(self, kernel: int, size: tuple[int, int, int], dtype: torch.dtype) -> None:
        def function(*tensors: Tensor) -> Tensor:
            return triton_ops.deform_conv2d(*tensors, Tile(32, 4))

        errors = _errors(function, _expected, _inputs(kernel, size), dtype)
        assert max(errors) < TOLERANCE[dtype], errors

    @pytest.mark.parametrize("tile", triton_ops.TILES)
    def test_tiles(self, tile: tuple[int, int]) -> None:
        """Maps smaller and larger than a tile; more channels than a part of them; parts of the backward pass."""
        inputs = _inputs(1, (2, 9, 11), channels=70, outputs=17)
        errors = _errors(lambda *t: triton_ops.deform_conv2d(*t, Tile(*tile)), _expected, inputs, torch.float32)
        assert max(errors) < 2e-6, errors

    def test_gradcheck(self) -> None:
        inputs = tuple(value.requires_grad_() for value in _inputs(3, (1, 3, 4), channels=2, outputs=2))
        assert torch.autograd.gradcheck(
            lambda *t: triton_ops.deform_conv2d(*t, SMALL), inputs, fast_mode=True, nondet_tol=1e-12
        )

    @settings(max_examples=25)
    @given(data=st.data(), images=st.integers(1, 2), height=st.integers(1, 6), width=st.integers(1, 6))
    def test_any_size_and_offset(self, data: st.DataObject, images: int, height: int, width: int) -> None:
        """Whole, half and odd steps that end inside the map, on its border, just outside it and far away."""
        steps = st.sampled_from((0.0, -0.5, 1.0, -1.0, 0.3, height, -height, width, -width, 1e3, -1e9, 1e30, math.inf))
        count = images * 2 * height * width
        drawn = data.draw(st.lists(steps, min_size=count, max_size=count))
        offset = torch.tensor(drawn, dtype=torch.float64).view(images, 2, height, width)
        draw = _draw()
        x, weight, bias = draw(images, 3, height, width), draw(4, 3, 1, 1), draw(4)
        got = triton_ops.deform_conv2d(x, offset, weight, bias, SMALL)
        assert relative_error(got, oracle(x, offset.nan_to_num(posinf=1e30), weight, bias)) < 1e-13

    def test_nan_harms_its_own_pixel_only(self) -> None:
        """A network that has diverged gives NaN, which training looks for, and reads no foreign memory."""
        x, offset, weight, bias = _inputs(3, (1, 4, 5))
        clean, _, clean_offset_grad, *_ = _run(
            lambda *t: triton_ops.deform_conv2d(*t, SMALL), (x, offset, weight, bias)
        )
        offset[0, 0, 2, 3] = math.nan
        got, x_grad, offset_grad, weight_grad, _ = _run(
            lambda *t: triton_ops.deform_conv2d(*t, SMALL), (x, offset, weight, bias)
        )
        assert got[0, :, 2, 3].isnan().all() and weight_grad.isnan().any() and x_grad.isfinite().all()
        got[0, :, 2, 3] = clean[0, :, 2, 3]
        offset_grad[0, :2, 2, 3] = clean_offset_grad[0, :2, 2, 3]
        assert torch.equal(got, clean) and torch.equal(offset_grad, clean_offset_grad)

    def test_on_a_pixel_the_slope_is_one_of_the_one_sided_ones(self) -> None:
        x, offset, weight, bias = _inputs(1, (1, 3, 4))
        offset = torch.randint(-3, 4, offset.shape, generator=torch.Generator().manual_seed(3)).double()
        got = _run(lambda *t: triton_ops.deform_conv2d(*t, SMALL), (x, offset, weight, bias))[2]
        sides = []
        for step in itertools.product((-1e-7, 1e-7), repeat=2):
            nudge = torch.tensor(step, dtype=torch.float64)[:, None, None]
            sides.append(_run(_expected, (x, offset + nudge, weight, bias))[2])
        assert torch.stack([(got - side).abs() for side in sides]).amin(dim=0).max() < 1e-5

    def test_strides_do_not_matter(self) -> None:
        x, offset, weight, bias = _inputs(1, (2, 4, 6))
        inner = tuple(value.to(memory_format=torch.channels_last) for value in (x, offset, weight))
        wider = (F.pad(value, (1, 2, 1, 0))[..., 1:, 1:-2] for value in (x, offset))
        expected = triton_ops.deform_conv2d(x, offset, weight, bias, SMALL)
        assert torch.equal(triton_ops.deform_conv2d(*inner, bias, SMALL), expected)
        assert torch.equal(triton_ops.deform_conv2d(*wider, weight, bias, SMALL), expected)

    def test_without_bias(self) -> None:
        x, offset, weight, _ = _inputs(1, (1, 4, 5))
        assert (
            relative_error(triton_ops.deform_conv2d(x, offset, weight, None, SMALL), oracle(x, offset, weight)) < 1e-13
        )

    def test_autocast_multiplies_in_its_type(self) -> None:
        inputs = tuple(value.float().requires_grad_() for value in _inputs(1, (1, 4, 5)))
        with torch.autocast("cpu", torch.bfloat16):
            out = triton_ops.deform_conv2d(*inputs, SMALL)
        assert out.dtype == torch.bfloat16
        assert {g.dtype for g in torch.autograd.grad(out.float().sum(), inputs)} == {torch.float32}

    def test_keeps_no_columns(self) -> None:
        x, offset, weight, bias = (value.requires_grad_() for value in _inputs(3, (1, 3, 4)))
        kept: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
            triton_ops.deform_conv2d(x, offset, weight, bias, SMALL)
        assert sum(kept) == x.numel() + offset.numel() + weight.numel()

    def test_is_an_operator_as_pytorch_wants_it(self) -> None:
        inputs = (*(value.requires_grad_() for value in _inputs(1, (1, 2, 3))), *SMALL)
        torch.library.opcheck(torch.ops.msn.deform_conv.default, inputs)

    def test_compiles_without_graph_breaks(self) -> None:
        inputs = tuple(value.float() for value in _inputs(1, (1, 4, 5)))
        compiled = torch.compile(triton_ops.deform_conv2d, fullgraph=True, backend="aot_eager")
        pairs = zip(_run(compiled, inputs), _run(triton_ops.deform_conv2d, inputs), strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)


def _motion_inputs(images: int = 2, steps: int = 1, height: int = 3, width: int = 4, channels: int = 3) -> Inputs:
    """x, both convolutions' offset, weight and bias, pooled, current (B / steps, steps, C, H, W)."""
    draw = _draw(4)
    x, pooled, current = (draw(images, channels, height, width) for _ in range(3))
    convolutions = [
        value for k in (3, 5)
        for value in (_offsets(k, images, height, width, k), draw(channels, channels, k, k) / k, draw(channels))
    ]  # fmt: skip
    found = x, *convolutions, pooled, current.unflatten(0, (-1, steps))
    return tuple(value.bfloat16().double() for value in found)


def _motion(*tensors: Tensor) -> Tensor:
    x, *convolutions, pooled, current = tensors
    return triton_ops.motion_mean(x, (convolutions[:3], convolutions[3:]), pooled, current, SMALL)


def _plain_motion(*tensors: Tensor) -> Tensor:
    x, *convolutions, pooled, current = tensors
    aligned = _expected(x, *convolutions[:3]) + _expected(x, *convolutions[3:]) + pooled
    return (aligned - 3 * current.flatten(0, 1)).abs().mean(dim=(2, 3))


class TestMotionMean:
    @pytest.mark.parametrize("dtype", TOLERANCE)
    def test_result_and_gradients(self, dtype: torch.dtype) -> None:
        errors = _errors(_motion, _plain_motion, _motion_inputs(images=1), dtype)
        assert max(errors) < TOLERANCE[dtype], errors

    def test_tiles_that_do_not_fill_a_map_and_windows_of_a_clip(self) -> None:
        x, *rest, pooled, _ = _motion_inputs(images=2, height=3, width=6)
        clip = _draw(5)(1, 3, *x.shape[1:])
        inputs = x, *rest, pooled, clip[:, :-1]  # as DS-ME cuts it
        assert relative_error(_motion(*inputs), _plain_motion(*inputs)) < 1e-13

    def test_writes_no_map_in_evaluation_and_keeps_its_signs_in_training(self) -> None:
        inputs = _motion_inputs(images=1)
        mean, signs = torch.ops.msn.motion_mean(*_flat(inputs), False, *SMALL)
        assert signs.numel() == 0 and mean.shape == (1, 3)
        _, signs = torch.ops.msn.motion_mean(*_flat(inputs), True, *SMALL)
        assert signs.dtype == torch.int8 and signs.shape == inputs[0].shape

    @pytest.mark.slow
    def test_gradcheck(self) -> None:
        inputs = tuple(value.requires_grad_() for value in _motion_inputs(images=1, height=2, width=3, channels=2))
        assert torch.autograd.gradcheck(_motion, inputs, fast_mode=True, nondet_tol=1e-12)

    @pytest.mark.slow
    def test_is_an_operator_as_pytorch_wants_it(self) -> None:
        inputs = _flat(value.requires_grad_() for value in _motion_inputs(images=1, height=2, width=2, channels=2))
        torch.library.opcheck(torch.ops.msn.motion_mean.default, (*inputs, True, *SMALL))


def _flat(inputs) -> Inputs:
    """What the operator takes: one bias."""
    x, offset3, weight3, bias3, offset5, weight5, bias5, pooled, current = inputs
    bias = (bias3 + bias5).detach().requires_grad_(bias3.requires_grad)
    return x, offset3, weight3, offset5, weight5, bias, pooled, current


COMPILE = """
import sys
import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from ops.models.deformable import kernels

for name, options in (("forward", {"KERNEL": 3, "HAS_BIAS": True}), ("backward", {"KERNEL": 3}),
                      ("motion", {"KEEP_SIGNS": True})):
    options |= {"PIXELS": 32, "CHANNELS": 32, "OUTPUTS": 32, "WIDE": tl.float32, "DOT": tl.bfloat16}
    options["PRECISION"] = "ieee"
    kernel = getattr(kernels, name + "_kernel")
    wide = {"bias": "*fp32", "sums": "*fp32", "signs": "*i8"}
    wide |= {f"grad_{of}": "*fp32" for of in ("x", "offset", "weight")}
    narrow = "x offset weight result grad pooled current offset3 offset5 weight3 weight5".split()
    types = wide | dict.fromkeys(narrow, "*bf16") | dict.fromkeys(options, "constexpr")
    source = ASTSource(kernel, {n: types.get(n, "i32") for n in kernel.arg_names}, options)
    compiled = triton.compile(source, target=GPUTarget("cuda", int(sys.argv[1]), 32), options={"num_warps": 4})
    assert len(compiled.asm["cubin"]) > 1000 and "mma" in compiled.asm["ptx"], name
    print(name)
"""


@pytest.mark.slow
@pytest.mark.parametrize("capability", ["80", "90"])
def test_compile_for_gpus(tmp_path: Path, capability: str) -> None:
    """Triton's compiler and NVIDIA's assembler need no GPU; products are those of tensor cores."""
    done = run(
        sys.executable, "-c", COMPILE, capability, cwd=REPOSITORY, TRITON_INTERPRET="0", TRITON_CACHE_DIR=str(tmp_path)
    )
    assert (done.returncode, done.stdout.split()) == (0, ["forward", "backward", "motion"]), done.stderr
