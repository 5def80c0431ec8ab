"""STP-ME, DS-ME and the temporal shift against plain implementations of their definitions, forward and gradients."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ops.models.msn import DSME, STPME, mean_of_conv3d
from ops.models.temporal_shift import TemporalShift
from tests.golden_weights import (
    DSME_NORMS,
    dsme_from_reference,
    dsme_name,
    fill,
    relative_error,
)
from tests.oracle.msn_oracle import Backbone, MotionExcitation, Shift

EXACT = 1e-9  # in float64, where what remains is rounding
FLOAT32 = 1e-4
CHANNELS = 16


def _random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def _run(module: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Output, and gradient of the input against a fixed direction; the module's gradients are left in place."""
    x = x.clone().requires_grad_()
    out = module(x)
    out.backward(_random(*out.shape, seed=99, dtype=out.dtype))
    return out.detach(), x.grad


STPME_PARTS = {
    "conv_diff_1.0": "short_conv",
    "conv_diff_1.1": "short_bn",
    "conv_1": "embed",
    "conv_diff_2.0": "middle_conv",
    "conv_diff_2.1": "middle_bn",
    "conv_2": "long_conv",
}


class _PyramidOracle(nn.Module):
    """STP-ME alone, out of the oracle's backbone."""

    def __init__(self) -> None:
        super().__init__()
        backbone = fill(Backbone((1, 1, 1, 1), 8, 8))
        for name in ("conv_diff_1", "conv_diff_2", "conv_1", "conv_2", "maxpool"):
            self.add_module(name, getattr(backbone, name))

    def forward(self, frames: Tensor) -> Tensor:
        return Backbone.motion_pyramid(self, frames)


def _stpme_pair(dtype: torch.dtype) -> tuple[_PyramidOracle, STPME]:
    oracle, module = _PyramidOracle().to(dtype), STPME().to(dtype)
    cancelling = ("conv_1.bias", "conv_2.bias")
    state = {k: v for k, v in oracle.state_dict().items() if k not in cancelling}
    module.load_state_dict({f"{STPME_PARTS[p]}.{leaf}": v for (p, _, leaf), v in _split(state).items()})
    return oracle, module


def _split(state: dict[str, Tensor]) -> dict[tuple[str, str, str], Tensor]:
    return {k.rpartition("."): v for k, v in state.items()}


class TestSTPME:
    @pytest.mark.parametrize("training", [False, True])
    @pytest.mark.parametrize("size", [(32, 32), (33, 47), (50, 34)])
    def test_forward_and_gradients(self, size, training):
        oracle, module = (m.train(training) for m in _stpme_pair(torch.float64))
        x = _random(3, 5, 3, *size)
        (expected, expected_grad), (got, got_grad) = _run(oracle, x), _run(module, x)
        assert got.shape == (3, 64, -(-size[0] // 4), -(-size[1] // 4))
        assert relative_error(got, expected) < EXACT
        assert relative_error(got_grad, expected_grad) < EXACT
        for part, own in STPME_PARTS.items():
            weight_grad = oracle.get_parameter(f"{part}.weight").grad
            assert relative_error(module.get_parameter(f"{own}.weight").grad, weight_grad) < EXACT

    def test_float32(self):
        oracle, module = _stpme_pair(torch.float32)
        x = _random(2, 5, 3, 48, 48, dtype=torch.float32)
        for one, other in zip(_run(module, x), _run(oracle, x), strict=True):
            assert relative_error(one, other) < FLOAT32

    def test_a_still_segment_has_no_motion(self):
        """All differences vanish: what is left are the constants of the two BatchNorms."""
        _, module = _stpme_pair(torch.float32)
        still = _random(1, 1, 3, 64, 64, dtype=torch.float32).expand(1, 5, 3, 64, 64)
        with torch.no_grad():
            out = module.eval()(still)
        assert torch.equal(out, out[:, :, :1, :1].expand_as(out))


def _dsme_pair(window: int, dtype: torch.dtype = torch.float64) -> tuple[MotionExcitation, DSME]:
    """Random weights, offsets among them."""
    oracle = fill(MotionExcitation(CHANNELS, window)).to(dtype)
    module = DSME(CHANNELS, window).to(dtype)
    module.load_state_dict(dsme_from_reference(oracle.state_dict()))
    return oracle, module


def _compare_dsme_gradients(module: DSME, oracle: MotionExcitation) -> None:
    cancelling = {f"{conv}.bias" for conv in DSME_NORMS}
    expected = {dsme_name(k): p.grad for k, p in oracle.named_parameters() if k not in cancelling}
    assert expected.keys() == dict(module.named_parameters()).keys()
    errors = {name: relative_error(module.get_parameter(name).grad, grad) for name, grad in expected.items()}
    assert max(errors.values()) < EXACT, errors


class TestDSME:
    @pytest.mark.parametrize("training", [False, True])
    @pytest.mark.parametrize("size", [(7, 9), (14, 14), (2, 2), (1, 3)])
    @pytest.mark.parametrize("segments", [2, 3, 4, 5])
    def test_forward_and_gradients(self, segments, size, training):
        oracle, module = (m.train(training) for m in _dsme_pair(segments))
        x = _random(2 * segments, CHANNELS, *size)
        (expected, expected_grad), (got, got_grad) = _run(oracle, x), _run(module, x)
        assert relative_error(got, expected) < EXACT
        assert relative_error(got_grad, expected_grad) < EXACT
        _compare_dsme_gradients(module, oracle)

    @pytest.mark.parametrize("training", [False, True])
    def test_float32(self, training):
        oracle, module = (m.train(training) for m in _dsme_pair(4, torch.float32))
        x = _random(8, CHANNELS, 14, 14, dtype=torch.float32)
        for one, other in zip(_run(module, x), _run(oracle, x), strict=True):
            assert relative_error(one, other) < FLOAT32

    def test_running_statistics(self):
        oracle, module = (m.train() for m in _dsme_pair(4))
        for seed in range(2):
            x = _random(8, CHANNELS, 6, 5, seed=seed)
            oracle(x), module(x)
        expected = dsme_from_reference({k: v.detach() for k, v in oracle.state_dict().items()})
        for name, value in module.named_buffers():
            torch.testing.assert_close(value, expected[name])

    def test_a_batch_of_one(self):
        oracle, module = (m.train() for m in _dsme_pair(4))
        x = _random(4, CHANNELS, 7, 7)
        assert relative_error(module(x), oracle(x)) < EXACT

    def test_of_one_window_batch_statistics_leave_the_summary_its_bias_alone(self):
        """The mean over all that a BatchNorm has normalised is its bias, so its convolution gets no gradient."""
        _, module = _dsme_pair(4)
        module.train()
        _run(module, _random(4, CHANNELS, 7, 7))
        temporal = module.temporal.weight.grad.norm()
        assert temporal < EXACT * module.reduce.weight.grad.norm()

    def test_a_single_pixel_of_a_single_difference_has_no_batch_statistics(self):
        """The pooled branch, which has but one value a channel, normalises by its running ones and leaves them."""
        oracle, module = (m.train() for m in _dsme_pair(2))
        oracle.bn3.eval()
        x = _random(2, CHANNELS, 1, 1)
        statistics = module.pooled_bn.running_mean.clone(), module.pooled_bn.running_var.clone()
        (expected, expected_grad), (got, got_grad) = _run(oracle, x), _run(module, x)
        assert relative_error(got, expected) < EXACT
        assert relative_error(got_grad, expected_grad) < EXACT
        assert torch.equal(module.pooled_bn.running_mean, statistics[0])
        assert torch.equal(module.pooled_bn.running_var, statistics[1])

    def test_a_window_of_8_cuts_16_segments_into_two_halves(self):
        oracle, module = (m.eval() for m in _dsme_pair(8))
        x = _random(16, CHANNELS, 6, 6)
        with torch.no_grad():
            whole = module(x)
            halves = torch.cat((module(x[:8]), module(x[8:])))
            assert relative_error(whole, oracle(x)) < EXACT
            assert relative_error(whole, halves) < EXACT
            module.window = 16
            assert relative_error(module(x), halves) > 1e-3

    @pytest.mark.parametrize("segments", [2, 3, 4, 5])
    def test_videos_do_not_mix(self, segments):
        _, module = _dsme_pair(segments)
        module.eval()
        x = _random(2 * segments, CHANNELS, 6, 6)
        changed = x.clone()
        changed[segments:] = _random(segments, CHANNELS, 6, 6, seed=1)
        with torch.no_grad():
            before, after = module(x), module(changed)
        assert torch.equal(before[:segments], after[:segments])
        assert not torch.isclose(before[segments:], after[segments:]).all()

    def test_gates_stay_within_half_and_one_and_a_half(self):
        _, module = _dsme_pair(4)
        x = _random(4, CHANNELS, 6, 6)
        with torch.no_grad():
            gate = module.eval()(x) / x
        assert gate.min() > 0.5 and gate.max() < 1.5
        torch.testing.assert_close(gate, gate.mean(dim=(2, 3), keepdim=True).expand_as(gate))

    def test_offsets_start_at_zero(self):
        module = DSME(CHANNELS, 4)
        for align in (module.align3, module.align5):
            assert not align.offset.weight.any() and not align.offset.bias.any()


class TestMeanOfConv3d:
    @pytest.mark.parametrize("frames", [1, 2, 3, 4, 5])
    def test_is_the_mean_of_the_convolution(self, frames):
        weight = _random(3, 2, 3, 3, 3)
        for height in range(1, 6):
            for width in range(1, 6):
                clip = _random(2, frames, 2, height, width, seed=height * 10 + width)
                expected = F.conv3d(clip.transpose(1, 2), weight, padding=1).mean(dim=(2, 3, 4))
                torch.testing.assert_close(mean_of_conv3d(clip, weight), expected, rtol=1e-12, atol=1e-12)

    def test_gradients(self):
        clip, weight = _random(2, 3, 2, 4, 5).requires_grad_(), _random(3, 2, 3, 3, 3).requires_grad_()
        direction = _random(2, 3)
        got = torch.autograd.grad(mean_of_conv3d(clip, weight), (clip, weight), direction)
        real = F.conv3d(clip.transpose(1, 2), weight, padding=1).mean(dim=(2, 3, 4))
        torch.testing.assert_close(got, torch.autograd.grad(real, (clip, weight), direction))

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_of_narrow_types_under_autocast_neither_overflows_nor_loses_digits(self, dtype):
        """A sum over 8 x 28 x 28 pixels of 11 leaves float16."""
        clip, weight = torch.full((1, 8, 4, 28, 28), 11.0), torch.full((4, 4, 3, 3, 3), 0.01)
        expected = F.conv3d(clip.transpose(1, 2), weight, padding=1).mean(dim=(2, 3, 4))
        with torch.autocast("cpu", dtype=dtype):
            got = mean_of_conv3d(clip, weight)
        assert relative_error(got, expected) < 1e-2


class TestTemporalShift:
    @pytest.mark.parametrize("segments", [1, 2, 3, 5, 8])
    def test_learned_weights_agree_with_conv1d_forward_and_gradients(self, segments):
        oracle, module = (fill(Shift(CHANNELS, segments)).double(), TemporalShift(CHANNELS, segments).double())
        module.load_state_dict({"weight": oracle.conv.weight})
        x = _random(2 * segments, CHANNELS, 3, 4)
        (expected, expected_grad), (got, got_grad) = _run(oracle, x), _run(module, x)
        torch.testing.assert_close(got, expected)
        torch.testing.assert_close(got_grad, expected_grad)
        torch.testing.assert_close(module.weight.grad, oracle.conv.weight.grad)

    def test_starts_as_the_shift(self):
        channels, segments, fold = 24, 4, 3
        clip = _random(2, segments, channels, 3, 3)
        out = TemporalShift(channels, segments).double()(clip.flatten(0, 1)).view_as(clip)
        assert torch.equal(out[:, :-1, :fold], clip[:, 1:, :fold]) and not out[:, -1, :fold].any()
        assert torch.equal(out[:, 1:, fold : 2 * fold], clip[:, :-1, fold : 2 * fold])
        assert not out[:, 0, fold : 2 * fold].any()
        assert torch.equal(out[:, :, 2 * fold :], clip[:, :, 2 * fold :])

    def test_videos_do_not_mix_and_the_input_is_left_alone(self):
        module = TemporalShift(CHANNELS, 4)
        nn.init.normal_(module.weight)
        x = _random(8, CHANNELS, 3, 3, dtype=torch.float32)
        kept, changed = x.clone(), x.clone()
        changed[4:] = 0
        with torch.no_grad():
            assert torch.equal(module(x)[:4], module(changed)[:4])
        assert torch.equal(x, kept)

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_keeps_the_type_of_its_input(self, dtype):
        x = _random(4, CHANNELS, 3, 3).to(dtype)
        assert TemporalShift(CHANNELS, 4)(x).dtype == dtype

    def test_with_a_gate_it_shifts_the_product(self):
        torch.manual_seed(0)
        module = TemporalShift(CHANNELS, 4).double()
        torch.nn.init.normal_(module.weight)
        x, gate = torch.randn(8, CHANNELS, 3, 5, dtype=torch.float64), torch.rand(8, CHANNELS, 1, 1).double()
        torch.testing.assert_close(module(x, gate), module(x * gate))
