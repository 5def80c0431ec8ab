"""Deformable convolution against torchvision's compiled one, forward and gradients."""

import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision import ops as torchvision_ops

from ops.models.deformable import portable
from ops.models.deformable.deform_conv import DeformConv2d, deform_conv2d
from tests.golden_weights import relative_error
from tests.oracle.msn_oracle import DeformableConv

TOLERANCE = {torch.float64: 1e-11, torch.float32: 2e-5}
SIZES = ((7, 9), (8, 8), (13, 5), (1, 6), (5, 1), (1, 1), (2, 3))
Inputs = tuple[Tensor, Tensor, Tensor, Tensor]


def _inputs(
    kernel: int, size: tuple[int, int], *, spread: float = 2.0, dtype: torch.dtype = torch.float64, seed: int = 0
) -> Inputs:
    """x (2, 3, H, W), offsets, weight (4, 3, k, k), bias."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=dtype)

    return draw(2, 3, *size), spread * draw(2, 2 * kernel**2, *size), draw(4, 3, kernel, kernel), draw(4)


def _torchvision(x: Tensor, offset: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return torchvision_ops.deform_conv2d(x, offset, weight, bias, padding=weight.shape[-1] // 2)


def _gradients(function, inputs: Inputs) -> list[Tensor]:
    inputs = [value.clone().requires_grad_() for value in inputs]
    out = function(*inputs)
    direction = torch.randn(out.shape, generator=torch.Generator().manual_seed(9), dtype=out.dtype)
    return list(torch.autograd.grad(out, inputs, direction))


class TestDeformConv2d:
    @pytest.mark.parametrize("dtype", TOLERANCE)
    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("kernel", [3, 5])
    def test_forward(self, kernel, size, dtype):
        inputs = _inputs(kernel, size, dtype=dtype)
        assert relative_error(deform_conv2d(*inputs), _torchvision(*inputs)) < TOLERANCE[dtype]

    @pytest.mark.parametrize("dtype", TOLERANCE)
    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("kernel", [3, 5])
    def test_gradients(self, kernel, size, dtype):
        inputs = _inputs(kernel, size, dtype=dtype)
        pairs = zip(_gradients(deform_conv2d, inputs), _gradients(_torchvision, inputs), strict=True)
        errors = dict(zip(("input", "offset", "weight", "bias"), (relative_error(*p) for p in pairs), strict=True))
        assert max(errors.values()) < TOLERANCE[dtype], errors

    @pytest.mark.parametrize("dtype", TOLERANCE)
    @pytest.mark.parametrize("size", SIZES)
    def test_forward_before_a_backward_pass(self, size, dtype):
        """Where gradients are wanted, another back end samples."""
        inputs = _inputs(5, size, dtype=dtype)
        assert (
            relative_error(deform_conv2d(inputs[0].requires_grad_(), *inputs[1:]), _torchvision(*inputs))
            < (TOLERANCE[dtype])
        )

    @pytest.mark.parametrize("images", [1, 2, 3])
    def test_the_number_of_images_at_once_does_not_matter(self, monkeypatch, images):
        x, offset, weight, bias = _inputs(3, (6, 7))
        x, offset = x.repeat(4, 1, 1, 1)[:7], offset.repeat(4, 1, 1, 1)[:7]
        expected = _torchvision(x, offset, weight, bias)
        monkeypatch.setattr(portable, "COLUMNS_AT_ONCE", images * 6 * 7 * 9 * 3)
        assert relative_error(deform_conv2d(x, offset, weight, bias), expected) < 1e-11

    @pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
    def test_what_is_no_position_does_no_harm(self, number):
        """A network that has diverged gives results that are no numbers, but no crash."""
        x, offset, weight, bias = _inputs(3, (6, 7))
        clean = deform_conv2d(x, offset, weight, bias)
        offset[1, 0, 2, 3] = number
        out = deform_conv2d(x, offset, weight, bias)
        out[1, :, 2, 3] = clean[1, :, 2, 3]
        assert torch.equal(out, clean)

    def test_columns_are_not_kept_for_the_backward_pass(self):
        x, offset, weight, bias = (v.requires_grad_() for v in _inputs(5, (8, 9)))
        kept: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
            deform_conv2d(x, offset, weight, bias)
        assert sum(kept) < x.numel() * 25

    def test_without_bias(self):
        x, offset, weight, _ = _inputs(3, (6, 7))
        torch.testing.assert_close(deform_conv2d(x, offset, weight), _torchvision(x, offset, weight))

    def test_strides_of_the_input_do_not_matter(self):
        x, offset, weight, bias = _inputs(3, (6, 7))
        expected = deform_conv2d(x, offset, weight, bias)
        channels_last = (v.to(memory_format=torch.channels_last) for v in (x, offset, weight))
        torch.testing.assert_close(deform_conv2d(*channels_last, bias), expected)

    @pytest.mark.parametrize("dtype", TOLERANCE)
    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("kernel", [3, 5])
    def test_zero_offsets_are_a_plain_convolution(self, kernel, size, dtype):
        x, offset, weight, bias = _inputs(kernel, size, spread=0, dtype=dtype)
        expected = F.conv2d(x, weight, bias, padding=kernel // 2)
        assert relative_error(deform_conv2d(x, offset, weight, bias), expected) < TOLERANCE[dtype]

    @pytest.mark.parametrize(("dy", "dx"), [(1, 0), (0, -2), (-1, 3)])
    def test_offsets_are_pairs_of_rows_and_columns_per_kernel_point(self, dy, dx):
        """One kernel point moved by whole pixels: that point alone reads a translated input."""
        x, offset, weight, _ = _inputs(3, (8, 9), spread=0)
        point, (row, column) = 5, (1, 2)
        offset[:, 2 * point], offset[:, 2 * point + 1] = dy, dx
        alone = torch.zeros_like(weight)
        alone[:, :, row, column] = weight[:, :, row, column]
        rest = F.conv2d(x, weight - alone, padding=1)
        moved = torch.einsum("oi,bihw->bohw", weight[:, :, row, column], _translate(x, dy + row - 1, dx + column - 1))
        torch.testing.assert_close(deform_conv2d(x, offset, weight), rest + moved)

    @pytest.mark.parametrize("dtype", TOLERANCE)
    @pytest.mark.parametrize("far", [-1e3, 1e3, 1e9, 1e30])
    def test_far_outside_everything_reads_zero(self, far, dtype):
        x, offset, weight, bias = _inputs(3, (6, 7), spread=0, dtype=dtype)
        inputs = x, offset + far, weight, bias
        assert torch.equal(deform_conv2d(*inputs), bias[:, None, None].expand(2, 4, 6, 7))
        input_grad, offset_grad, weight_grad, _ = _gradients(deform_conv2d, inputs)
        assert not input_grad.any() and not offset_grad.any() and not weight_grad.any()

    def test_offsets_of_the_size_of_the_map_partly_outside(self):
        inputs = _inputs(5, (6, 11), spread=8)
        assert relative_error(deform_conv2d(*inputs), _torchvision(*inputs)) < 1e-11

    @pytest.mark.parametrize("size", [(7, 9), (8, 8), (1, 6), (1, 1)])
    def test_at_zero_offsets_the_offset_gradient_is_one_of_the_one_sided_ones(self, size):
        """Bilinear interpolation has a kink at every pixel; torchvision takes one side, rounding may choose another."""
        inputs = _inputs(3, size, spread=0)
        got = _gradients(deform_conv2d, inputs)[1]
        sides = []
        for dy, dx in itertools.product((-1e-7, 1e-7), repeat=2):
            nudge = torch.tensor((dy, dx), dtype=torch.float64).repeat(9)[:, None, None]
            sides.append(_gradients(_torchvision, (inputs[0], inputs[1] + nudge, *inputs[2:]))[1])
        nearest = torch.stack([(got - side).abs() for side in sides]).amin(dim=0)
        assert nearest.max() < 1e-5

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    @pytest.mark.parametrize("size", [(1, 56), (3, 28), (56, 2)])
    def test_narrow_types_sample_at_the_right_position(self, dtype, size):
        """A ramp read half a pixel on: exact in 8 bits, but for what a position rounded to 8 bits would do."""
        height, width = size
        along = height >= width
        ramp = torch.arange(max(size), dtype=dtype)
        x = (ramp[:, None] if along else ramp).expand(1, 1, *size).contiguous()
        offset = torch.zeros(1, 18, *size, dtype=dtype)
        offset[:, 8 if along else 9] = 0.5
        weight = torch.zeros(1, 1, 3, 3, dtype=dtype)
        weight[0, 0, 1, 1] = 1
        out = deform_conv2d(x, offset, weight)
        assert out.dtype == dtype
        expected = x + 0.5
        inside = (slice(None), slice(None), slice(0, -1)) if along else (..., slice(0, -1))
        assert torch.equal(out[inside], expected[inside])

    @pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 1e-2), (torch.float16, 2e-3)])
    def test_narrow_types_stay_near_float32(self, dtype, tolerance):
        narrow = [value.to(dtype) for value in _inputs(5, (28, 28))]
        expected = _torchvision(*(value.float() for value in narrow))
        assert relative_error(deform_conv2d(*narrow), expected) < tolerance

    @pytest.mark.parametrize(
        "shape",
        [(4, 2, 3, 3), (4, 3, 3, 5), (4, 3, 4, 4), (4, 3, 2, 2)],
        ids=["other channels", "not square", "even", "even and small"],
    )
    def test_rejects_weights(self, shape):
        x, offset, _, _ = _inputs(3, (6, 7))
        with pytest.raises(ValueError, match=r"expected a weight \(C', 3, k, k\) with odd k .* got \(4, ") as caught:
            deform_conv2d(x, offset, torch.zeros(shape, dtype=torch.float64))
        assert str(shape) in str(caught.value)

    @pytest.mark.parametrize("shape", [(2, 18, 6, 6), (2, 9, 6, 7), (1, 18, 6, 7), (2, 50, 6, 7)])
    def test_rejects_offsets(self, shape):
        x, _, weight, _ = _inputs(3, (6, 7))
        with pytest.raises(ValueError, match=r"expected offsets \(2, 18, 6, 7\)") as caught:
            deform_conv2d(x, torch.zeros(shape, dtype=torch.float64), weight)
        assert str(shape) in str(caught.value)


def _translate(x: Tensor, dy: int, dx: int) -> Tensor:
    """out[i, j] = x[i + dy, j + dx], zero outside."""
    reach = max(abs(dy), abs(dx))
    height, width = x.shape[-2:]
    padded = F.pad(x, (reach,) * 4)
    return padded[..., reach + dy : reach + dy + height, reach + dx : reach + dx + width]


class TestDeformConv2dModule:
    @pytest.mark.parametrize("kernel", [3, 5])
    def test_starts_as_a_plain_convolution(self, kernel):
        torch.manual_seed(0)
        module = DeformConv2d(8, kernel)
        x = torch.randn(2, 8, 7, 5)
        expected = F.conv2d(x, module.weight, module.bias, padding=kernel // 2)
        torch.testing.assert_close(module(x), expected)
        assert not module.offset.weight.any() and not module.offset.bias.any()

    def test_weights_start_as_those_of_a_convolution(self):
        torch.manual_seed(0)
        module, plain = DeformConv2d(64, 5), torch.nn.Conv2d(64, 64, 5, padding=2)
        bound = 1 / math.sqrt(64 * 25)
        for own, other in ((module.weight, plain.weight), (module.bias, plain.bias)):
            assert own.shape == other.shape
            assert bound * 0.8 < own.abs().max() <= bound
        assert module.weight.std().item() == pytest.approx(plain.weight.std().item(), rel=0.02)

    @pytest.mark.parametrize("kernel", [3, 5])
    def test_learned_offsets_and_all_gradients_agree_with_torchvision(self, kernel):
        torch.manual_seed(0)
        oracle, module = DeformableConv(4, kernel).double(), DeformConv2d(4, kernel).double()
        torch.nn.init.normal_(oracle.conv_offset.weight, std=0.1)
        torch.nn.init.normal_(oracle.conv_offset.bias)
        names = {name: name.replace("conv_offset", "offset") for name, _ in oracle.named_parameters()}
        module.load_state_dict({names[k]: v for k, v in oracle.state_dict().items()})
        x, direction = torch.randn(2, 2, 4, 6, 7, dtype=torch.float64).unbind()
        outs = []
        for one in (oracle, module):
            outs.append(one(x))
            outs[-1].backward(direction)
        torch.testing.assert_close(*outs)
        for name, parameter in oracle.named_parameters():
            assert relative_error(module.get_parameter(names[name]).grad, parameter.grad) < 1e-10
