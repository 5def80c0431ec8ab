"""What all networks of the family promise, each against its oracle; what TDN and TSM have of their own."""

from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import Tensor, nn

from ops.checkpoints.filling import load_weights
from ops.checkpoints.published.recognition import convert_reference
from ops.models.build import build_model
from ops.models.names import ARCHS, FRAMES_PER_SEGMENT, NETWORKS
from ops.models.recognizer import Recognizer, use_channels_last
from ops.models.tdn import LTDM
from ops.models.temporal_shift import ShiftedConv2d, TemporalShift
from ops.runtime.errors import InputError
from tests.golden_weights import fill, relative_error
from tests.oracle.networks import ORACLES
from tests.oracle.tdn_oracle import LongTermDifference
from tests.oracle.tsm_oracle import Shifted

FLOAT32, FLOAT64, EXACT = 1e-4, 1e-6, 1e-9  # published weights are converted in float32
TINY = "resnet14"
EVERY_ARCH = [a if a in ("resnet18", "resnet50") else pytest.param(a, marks=pytest.mark.slow) for a in ARCHS]
PUBLISHED_LTDM = {
    "conv1": "reduce",
    "bn1": "reduce_bn",
    "conv2": "align",
    "conv3_smallscale2": "half_scale",
    "bn3_smallscale2": "half_scale_bn",
    "conv3_smallscale4": "full_scale",
    "bn3_smallscale4": "full_scale_bn",
    "conv3": "expand",
    "bn3": "expand_bn",
}


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """An arch of one bottleneck a stage, which only the tests know."""
    monkeypatch.setitem(ARCHS, TINY, (ARCHS["resnet50"][0], (1, 1, 1, 1)))


def _pair(network: str, arch: str, segments: int) -> tuple[nn.Module, Recognizer]:
    """The oracle and this project's network with the same random weights."""
    oracle = fill(ORACLES[network](arch, 10, segments))
    model = build_model(arch, 10, segments, model=network, dropout=0.0)
    load_weights(model, {"state_dict": oracle.state_dict()})
    return oracle, model


def _clips(network: str, videos: int, segments: int, size: tuple[int, int], seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((videos, segments, FRAMES_PER_SEGMENT[network], 3, *size), generator=generator)


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _run(module: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Output, and gradient of the input against a fixed direction; the module's gradients are left in place."""
    x = x.clone().requires_grad_()
    out = module(x)
    out.backward(_random(*out.shape, seed=99))
    return out.detach(), x.grad


def _gradient_error(got: Tensor, expected: Tensor) -> float:
    """Relative, but for what is rounding alone: a bias whose effect the next BatchNorm cancels has no gradient."""
    return float((got - expected).norm() / (expected.norm() + 1e-6))


@pytest.mark.parametrize("network", NETWORKS)
class TestAgainstTheOracle:
    @pytest.mark.parametrize(
        ("arch", "segments", "size"),
        [(TINY, 3, (65, 79)), (TINY, 8, (94, 66)), pytest.param("resnet101", 16, (70, 90), marks=pytest.mark.slow)],
    )
    def test_logits(self, network, arch, segments, size):
        """Sides that 32 does not divide; in both layouts of memory."""
        oracle, model = _pair(network, arch, segments)
        clips = _clips(network, 2 if arch == TINY else 1, segments, size)
        with torch.no_grad():
            expected = oracle.eval()(clips)
            assert relative_error(model.eval()(clips), expected) < FLOAT32
            use_channels_last(model)
            assert relative_error(model(clips), expected) < FLOAT32

    def test_training(self, network):
        """Logits, the gradients of all parameters, and running statistics, which a step may update twice."""
        oracle, model = (m.double().train() for m in _pair(network, TINY, 3))
        clips, labels = _clips(network, 2, 3, (64, 70)).double(), torch.tensor([1, 7])
        outs = []
        for one in (oracle, model):
            outs.append(one(clips))
            nn.functional.cross_entropy(outs[-1], labels).backward()
        assert relative_error(outs[1], outs[0]) < FLOAT64

        expected = convert_reference(oracle.state_dict()).state_dict
        gradients = _own_gradients(oracle)
        errors = {name: _gradient_error(p.grad, gradients[name]) for name, p in model.named_parameters()}
        assert max(errors.values()) < FLOAT64, sorted(errors.items(), key=lambda item: -item[1])[:5]
        for name, value in model.named_buffers():
            if name.endswith(("running_mean", "running_var", "num_batches_tracked")):
                assert torch.allclose(value.double(), expected[name].double(), rtol=FLOAT64, atol=FLOAT64), name


def _own_gradients(oracle: nn.Module) -> dict[str, Tensor]:
    """The oracle's gradients by this project's names."""
    gradients = {name: p.grad for name, p in oracle.named_parameters() if p.grad is not None}
    folded_into = {name: torch.zeros_like(b) for name, b in oracle.named_buffers() if name.endswith("running_mean")}
    return convert_reference(gradients | folded_into).state_dict


@pytest.mark.parametrize("network", NETWORKS)
class TestEveryNetwork:
    @pytest.mark.parametrize("arch", EVERY_ARCH)
    def test_every_arch_runs(self, network, arch):
        """Shapes alone, without memory."""
        with torch.device("meta"):
            model = build_model(arch, 7, 2, model=network).eval()
            assert model(torch.empty(3, 2, model.frames_per_segment, 3, 64, 64)).shape == (3, 7)

    @pytest.mark.parametrize("size", [(32, 32), (33, 47), (61, 35)])
    @pytest.mark.parametrize("training", [True, False])
    def test_one_small_clip(self, network, size, training):
        torch.manual_seed(0)
        model = build_model("resnet10", 5, 2, model=network).train(training)
        model(_clips(network, 1, 2, size)).sum().backward()
        assert all(parameter.grad.isfinite().all() for parameter in model.parameters())

    def test_rejects_segments_of_another_number_of_frames(self, network):
        model = build_model("resnet10", 5, 2, model=network)
        frames = FRAMES_PER_SEGMENT[network]
        with pytest.raises(ValueError, match=rf"expected clips \(N, 2, {frames}, 3, H, W\)"):
            model(torch.empty(1, 2, 6 - frames, 3, 32, 32))

    def test_videos_do_not_mix(self, network):
        model = build_model("resnet10", 5, 3, model=network).eval()
        fill(model)
        clips = _clips(network, 2, 3, (40, 36))
        with torch.no_grad():
            both = model(clips)
            clips[1] = 0
            assert torch.allclose(model(clips)[0], both[0], rtol=1e-4, atol=1e-6)

    def test_every_parameter_gets_a_gradient(self, network):
        torch.manual_seed(0)
        model = build_model("resnet10", 5, 3, model=network).train()
        nn.functional.cross_entropy(model(_clips(network, 2, 3, (64, 64))), torch.tensor([1, 2])).backward()
        assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []

    def test_imagenet_weights_fill_it_as_its_authors_did(self, network, tmp_path):
        torch.manual_seed(1)
        resnet = torchvision.models.resnet18(weights=None).state_dict()
        torch.save(resnet, tmp_path / "weights.pth")
        own = build_model("resnet18", 5, 2, pretrain=str(tmp_path / "weights.pth"), model=network).backbone.state_dict()
        copies = {k: k.replace("layer1", "layer1_diff") for k in resnet if k.startswith("layer1.")}
        for name, value in resnet.items():
            if not name.startswith("fc."):
                assert torch.equal(own[name], value), name
        for name, copy in copies.items():
            assert (copy in own) == (network in ("msn", "tdn"))
            assert copy not in own or torch.equal(own[copy], resnet[name]), name
        if network == "tdn":
            mean = sum(resnet["conv1.weight"][:, channel] for channel in range(3)) / 3
            assert own["stdm.conv.weight"].shape == (64, 12, 7, 7)
            for channel in range(12):
                torch.testing.assert_close(own["stdm.conv.weight"][:, channel], mean)

    def test_any_subset_of_its_motion_modules(self, network):
        modules = NETWORKS[network]
        for motion in ((), modules[:1], modules[1:]):
            with torch.device("meta"):
                model = build_model("resnet10", 5, 2, model=network, motion=motion).eval()
                assert model(torch.empty(1, 2, model.frames_per_segment, 3, 48, 48)).shape == (1, 5)
            assert model.design.motion == motion

    def test_motion_modules_of_another_network(self, network):
        some = ".*" if NETWORKS[network] else f" for --model {network}"
        with pytest.raises(InputError, match=rf"expected --motion none{some}, got 'flow'"):
            build_model("resnet10", 5, 2, model=network, motion=("flow",))


class TestParameters:
    @pytest.mark.parametrize(("network", "number"), [("tsn", 23_864_558), ("tsm", 23_864_558), ("tdn", 24_382_606)])
    def test_are_as_many_as_published(self, network, number):
        """TDN's authors have 27,968 biases more, in front of BatchNorms."""
        with torch.device("meta"):
            assert sum(p.numel() for p in build_model("resnet50", 174, 8, model=network).parameters()) == number

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"model": "i3d"}, "expected --model one of msn, tdn, tsm, tsn, got 'i3d'"),
            ({"model": "tdn", "motion_window": 2}, "expected --motion_window only with --model msn, got 2 with tdn"),
            ({"model": "tdn", "motion_weight": 1.5}, "expected --motion_weight from 0 to 1, got 1.5"),
        ],
    )
    def test_says_what_was_expected_and_what_came(self, arguments, message):
        with pytest.raises(InputError, match=message):
            build_model("resnet10", 5, 4, **arguments)


class TestMotionWeight:
    @pytest.mark.parametrize("segments", [8, 16])
    @pytest.mark.parametrize(("network", "second"), [("msn", 0.25), ("tdn", None)])
    def test_follows_the_published_rule_unless_it_is_given(self, network, second, segments):
        published = 0.5 if segments == 8 else 0.25
        for given in (None, 0.4):
            with torch.device("meta"):
                model = build_model("resnet10", 5, segments, model=network, motion_weight=given)
            first = published if given is None else given
            assert model.design.motion_weight == first
            assert model.backbone.motion_path.weights == (first, first if second is None else second)

    def test_testing_with_other_segments_keeps_the_network_if_it_is_given(self):
        torch.manual_seed(0)
        eight = build_model("resnet10", 5, 8, model="tdn", motion=("stdm",)).eval()
        four = build_model("resnet10", 5, 4, model="tdn", motion=("stdm",), motion_weight=0.5).eval()
        four.load_state_dict(eight.state_dict())
        clips = _clips("tdn", 1, 4, (32, 32))
        with torch.no_grad():
            torch.testing.assert_close(eight(clips.repeat(1, 2, 1, 1, 1, 1)), four(clips))


class TestLTDM:
    @pytest.mark.parametrize("training", [False, True])
    @pytest.mark.parametrize("size", [(7, 9), (8, 8), (2, 3)])
    @pytest.mark.parametrize("segments", [2, 3, 5])
    def test_forward_gradients_and_statistics(self, segments, size, training):
        oracle = fill(LongTermDifference(32, segments)).double().train(training)
        module = LTDM(32, segments).double().train(training)
        module.load_state_dict({_ltdm_name(k): v for k, v in oracle.state_dict().items()})
        x = _random(2 * segments, 32, *size)
        for got, expected in zip(_run(module, x), _run(oracle, x), strict=True):
            assert relative_error(got, expected) < EXACT
        for name, parameter in oracle.named_parameters():
            assert _gradient_error(module.get_parameter(_ltdm_name(name)).grad, parameter.grad) < EXACT, name
        for name, statistic in oracle.named_buffers():
            torch.testing.assert_close(module.get_buffer(_ltdm_name(name)), statistic, rtol=EXACT, atol=EXACT)

    def test_shared_batch_norms_see_each_direction_by_itself(self):
        module = LTDM(32, 4).train()
        module(torch.randn(8, 32, 6, 6))
        counts = {name: int(count) for name, count in module.named_buffers() if name.endswith("num_batches_tracked")}
        assert counts == {
            "reduce_bn.num_batches_tracked": 1,
            "half_scale_bn.num_batches_tracked": 2,
            "full_scale_bn.num_batches_tracked": 2,
            "expand_bn.num_batches_tracked": 2,
        }

    @pytest.mark.parametrize("size", [(1, 1), (1, 4)])
    def test_what_is_one_pixel_wide_is_not_halved(self, size):
        module = LTDM(32, 2).eval()
        fill(module)
        x = torch.randn(2, 32, *size)
        with torch.no_grad():
            gate = module(x) / x
        assert gate.min() > 0.5 and gate.max() < 1.5


def _ltdm_name(name: str) -> str:
    part, _, leaf = name.rpartition(".")
    return f"{PUBLISHED_LTDM[part]}.{leaf}"


class TestShiftedConv2d:
    @pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
    @pytest.mark.parametrize(("size", "stride"), [(1, 1), (3, 1), (3, 2)])
    @pytest.mark.parametrize("segments", [1, 2, 3, 5])
    def test_forward_and_gradients(self, segments, size, stride, layout):
        conv = nn.Conv2d(16, 6, size, stride, size // 2, bias=False).double()
        oracle, module = Shifted(conv, segments), ShiftedConv2d(conv, segments).double()
        module.load_state_dict({"weight": conv.weight, "fold": module.fold})
        x = _random(2 * segments, 16, 5, 7)
        (expected, expected_grad), (got, got_grad) = _run(oracle, x), _run(module, x.to(memory_format=layout))
        torch.testing.assert_close(got, expected)
        torch.testing.assert_close(got_grad, expected_grad)
        torch.testing.assert_close(module.weight.grad, conv.weight.grad)
        with torch.no_grad():
            torch.testing.assert_close(module(x.to(memory_format=layout)), expected)

    def test_with_a_bias_as_it_is_folded(self):
        conv = nn.Conv2d(16, 6, 1, bias=False)
        module = ShiftedConv2d(conv, 4)
        module.bias = nn.Parameter(torch.randn(6))
        x = torch.randn(8, 16, 5, 7)
        with torch.no_grad():
            expected = module(x)
            torch.testing.assert_close(module(x.to(memory_format=torch.channels_last)), expected)

    @pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
    def test_under_autocast(self, kind):
        torch.manual_seed(0)
        module, x = ShiftedConv2d(nn.Conv2d(16, 6, 1, bias=False), 4), torch.randn(8, 16, 5, 7)
        x = x.to(kind).to(memory_format=torch.channels_last)
        with torch.no_grad():
            expected = module(x.float())
            with torch.autocast("cpu", kind):
                got = module(x)
        assert got.dtype == kind and relative_error(got.float(), expected) < 1e-2

    def test_its_gradient_is_the_gradient(self):
        module = ShiftedConv2d(nn.Conv2d(8, 2, 1), 3).double()
        assert torch.autograd.gradcheck(module, (_random(3, 8, 2, 2).requires_grad_(),))

    def test_without_a_gradient_the_input_is_not_copied(self):
        """No tensor as large as the input is made."""
        module, x = ShiftedConv2d(nn.Conv2d(64, 4, 1), 4), torch.randn(8, 64, 16, 16)
        x = x.to(memory_format=torch.channels_last)
        with torch.no_grad(), torch.profiler.profile(profile_memory=True) as profile:
            module(x)
        assert max(event.self_cpu_memory_usage for event in profile.key_averages()) < x.nbytes / 2

    @pytest.mark.parametrize(("arch", "every"), [("resnet10", 1), ("resnet50", 1), ("resnet101", 2), ("resnet152", 2)])
    def test_stands_in_every_block_or_in_every_second_one_of_deep_networks(self, arch, every):
        with torch.device("meta"):
            backbone = build_model(arch, 5, 4, model="tsm").backbone
        for number in (1, 2, 3, 4):
            kinds = [type(block.conv1) for block in backbone.get_submodule(f"layer{number}")]
            assert kinds == [nn.Conv2d if index % every else ShiftedConv2d for index in range(len(kinds))]


class TestPlaces:
    def test_ltdm_and_the_shift_stand_in_every_block_of_layer2_to_layer4(self):
        with torch.device("meta"):
            backbone = build_model("resnet50", 5, 4, model="tdn").backbone
        for number in (1, 2, 3, 4):
            for block in backbone.get_submodule(f"layer{number}"):
                kinds: list[Callable] = [type(module) for module in block.motion.children()]
                assert kinds == ([] if number == 1 else [LTDM, TemporalShift])
