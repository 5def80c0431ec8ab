"""The whole network: against the oracle, against torchvision, its shapes, its initial state and its errors."""

import socket

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torchvision.models import ResNet as PlainResNet

from ops.checkpoints.filling import load_weights
from ops.checkpoints.published.recognition import convert_reference
from ops.models import build as models
from ops.models.build import build_model
from ops.models.msn import DSME
from ops.models.names import ARCHS, published_motion_weight
from ops.models.recognizer import Recognizer, use_channels_last
from ops.models.resnet import BasicBlock, Bottleneck, ResNet
from ops.models.temporal_shift import TemporalShift
from ops.runtime.errors import InputError
from tests.golden_weights import fill, relative_error
from tests.oracle.msn_oracle import MSNOracle

FLOAT32 = 1e-4
FLOAT64 = 1e-6  # the weights are converted in float32
ALL = ("stpme", "dsme", "shift")
SUBSETS = [(), ("stpme",), ("dsme",), ("shift",), ("stpme", "dsme"), ("stpme", "shift"), ("dsme", "shift"), ALL]
SMALL, TINY = "resnet10", "resnet14"  # the second is the oracle's least bottleneck network


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> str:
    """An arch of one bottleneck a stage, which only the tests know."""
    monkeypatch.setitem(ARCHS, TINY, (ARCHS["resnet50"][0], (1, 1, 1, 1)))
    return TINY


def _clips(videos: int, segments: int, size: tuple[int, int] = (32, 32), seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((videos, segments, 5, 3, *size), generator=generator)


def _randomise(model: nn.Module, seed: int = 0) -> None:
    """Statistics, affine parameters, shift and offsets away from where they start."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(value: Tensor, low: float, high: float) -> None:
        value.copy_(low + (high - low) * torch.rand(value.shape, generator=generator))

    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
                uniform(module.running_mean, -0.2, 0.2)
                uniform(module.running_var, 0.5, 1.5)
                uniform(module.weight, 0.5, 1)
                uniform(module.bias, -0.2, 0.2)
            elif isinstance(module, TemporalShift):
                uniform(module.weight, -0.5, 0.5)
            elif isinstance(module, DSME):
                for align in (module.align3, module.align5):
                    uniform(align.offset.weight, -0.1, 0.1)


def _pair(arch: str, segments: int, window: int | None = None, classes: int = 10) -> tuple[MSNOracle, Recognizer]:
    """The oracle and this project's network with the same random weights."""
    oracle = fill(MSNOracle(arch, classes, segments, window))
    model = build_model(arch, classes, segments, dropout=0.0, motion_window=window)
    load_weights(model, {"state_dict": oracle.state_dict()})
    return oracle, model


@pytest.fixture(scope="module")
def small() -> Recognizer:
    """resnet10, T = 4, random, in evaluation mode; tests leave it as they found it."""
    torch.manual_seed(0)
    model = build_model(SMALL, 5, 4).eval()
    _randomise(model)
    return model


@pytest.fixture(scope="module")
def initial() -> Recognizer:
    """resnet50 as it is before training."""
    torch.manual_seed(0)
    return build_model("resnet50", 174, 4)


class TestAgainstTheOracle:
    """Random weights, offsets among them; test_golden.py does T = 8."""

    def test_resnet50_of_4_segments(self):
        oracle, model = _pair("resnet50", 4)
        clips = _clips(1, 4, (64, 64))
        with torch.no_grad():
            assert relative_error(model.eval()(clips), oracle.eval()(clips)) < FLOAT32

    @pytest.mark.parametrize(("segments", "size"), [(3, (33, 47)), (8, (32, 32))])
    def test_any_number_of_segments_and_any_size(self, tiny, segments, size):
        oracle, model = _pair(tiny, segments)
        clips = _clips(2, segments, size)
        with torch.no_grad():
            assert relative_error(model.eval()(clips), oracle.eval()(clips)) < FLOAT32

    def test_16_segments_in_windows_of_8(self, tiny):
        oracle, model = _pair(tiny, 16, window=8)
        clips = _clips(1, 16)
        with torch.no_grad():
            expected = oracle.eval()(clips)
            assert relative_error(model.eval()(clips), expected) < FLOAT32
            for module in model.modules():
                if isinstance(module, DSME):
                    module.window = 16
            assert relative_error(model(clips), expected) > 1e-3

    @pytest.mark.parametrize(
        ("arch", "segments", "size"),
        [(TINY, 3, (33, 33)), pytest.param("resnet50", 4, (64, 64), marks=pytest.mark.slow)],
    )
    def test_training(self, tiny, arch, segments, size):
        """Logits, the gradients of all parameters, and running statistics.

        In float64: in float32 rounding alone switches enough ReLUs and maxima to move gradients by a percent.
        """
        oracle, model = (network.double() for network in _pair(arch, segments))
        clips, labels = _clips(2, segments, size).double(), torch.tensor([1, 7])
        outs = []
        for network in (oracle, model):
            outs.append(network.train()(clips))
            nn.functional.cross_entropy(outs[-1], labels).backward()
        assert relative_error(outs[1], outs[0]) < FLOAT64

        gradients, statistics = _own_gradients(oracle), convert_reference(oracle.state_dict()).state_dict
        errors = {name: relative_error(p.grad, gradients[name]) for name, p in model.named_parameters()}
        assert max(errors.values()) < FLOAT64, sorted(errors.items(), key=lambda item: -item[1])[:5]
        running = [name for name in statistics if name.endswith(("running_mean", "running_var"))]
        assert max(relative_error(model.get_buffer(name), statistics[name]) for name in running) < FLOAT64

    def test_training_in_float32(self, tiny):
        oracle, model = _pair(tiny, 4)
        clips = _clips(2, 4, (64, 64))
        with torch.no_grad():
            assert relative_error(model.train()(clips), oracle.train()(clips)) < FLOAT32

    def test_channels_last(self, tiny):
        oracle, model = _pair(tiny, 2)
        clips = _clips(1, 2, (64, 64))
        use_channels_last(model)
        with torch.no_grad():
            assert relative_error(model.eval()(clips), oracle.eval()(clips)) < FLOAT32


def _own_gradients(oracle: MSNOracle) -> dict[str, Tensor]:
    """The oracle's gradients by this project's names."""
    gradients = {name: p.grad for name, p in oracle.named_parameters() if p.grad is not None}
    folded_into = {name: torch.zeros_like(b) for name, b in oracle.named_buffers() if name.endswith("running_mean")}
    return convert_reference(gradients | folded_into).state_dict


class TestShapes:
    @pytest.mark.parametrize(("arch", "features"), [("resnet10", 512), ("resnet18", 512), ("resnet34", 512)])
    def test_basic_archs_run(self, arch, features):
        model = build_model(arch, 7, 2).eval()
        with torch.no_grad():
            assert model(_clips(1, 2)).shape == (1, 7)
        assert model.head.in_features == features

    @pytest.mark.parametrize("arch", ["resnet50", pytest.param("resnet152", marks=pytest.mark.slow)])
    def test_bottleneck_archs_run(self, arch):
        """Shapes alone, without memory; test_checkpoint.py runs resnet101."""
        with torch.device("meta"):
            model = build_model(arch, 7, 2).eval()
        assert model(torch.empty(3, 2, 5, 3, 64, 64, device="meta")).shape == (3, 7)
        assert model.head.in_features == 2048

    @pytest.mark.parametrize("size", [(32, 32), (33, 47), (61, 35)])
    @pytest.mark.parametrize("motion", SUBSETS, ids=",".join)
    def test_sizes_need_not_be_even_with_any_motion_modules(self, motion, size):
        with torch.device("meta"):
            features = build_model(SMALL, 5, 2, motion=motion).eval().backbone(_clips(1, 2, size)[0].to("meta"))
        assert features.shape == (2, 512, -(-size[0] // 32), -(-size[1] // 32))

    @pytest.mark.parametrize("size", [(33, 47), (61, 35)])
    def test_sizes_need_not_be_even(self, small, size):
        with torch.no_grad():
            assert small(_clips(1, 4, size)).isfinite().all()

    @pytest.mark.parametrize(("segments", "size"), [(2, (32, 32)), (3, (33, 47))])
    def test_a_batch_of_one_trains(self, segments, size):
        torch.manual_seed(0)
        model = build_model(SMALL, 5, segments).train()
        model(_clips(1, segments, size)).sum().backward()
        assert all(parameter.grad.isfinite().all() for parameter in model.parameters())

    def test_identity_consensus_keeps_the_segments(self, small):
        model = build_model(SMALL, 5, 4, consensus="identity").eval()
        model.load_state_dict(small.state_dict())
        clips = _clips(2, 4)
        with torch.no_grad():
            each = model(clips)
            assert each.shape == (2, 4, 5)
            torch.testing.assert_close(small(clips), each.mean(dim=1))

    @pytest.mark.parametrize(
        "shape",
        [
            (2, 40, 3, 32, 32),
            (2, 8, 5, 3, 32, 32),
            (2, 4, 3, 3, 32, 32),
            (2, 4, 5, 1, 32, 32),
            (2, 4, 5, 32, 32, 3),
            (2, 4, 5, 3, 31, 64),
            (2, 4, 5, 3, 64, 31),
        ],
    )
    def test_rejects_clips_of_another_shape(self, small, shape):
        with pytest.raises(ValueError, match=r"expected clips \(N, 4, 5, 3, H, W\) with H and W at least 32") as caught:
            small(torch.empty(shape))
        assert str(shape) in str(caught.value)


class TestResults:
    def test_uint8_clips_are_normalised_to_imagenet_statistics(self, small):
        raw = torch.randint(256, (2, 4, 5, 3, 40, 36), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        normalised = (raw.float() / 255 - mean[:, None, None]) / std[:, None, None]
        with torch.no_grad():
            torch.testing.assert_close(small(raw), small(normalised))

    def test_normalisation_is_no_part_of_checkpoints(self, small):
        assert not [name for name in small.state_dict() if "image_" in name]

    def test_results_of_a_video_do_not_depend_on_the_batch(self, small):
        clips = _clips(3, 4, (33, 47))
        with torch.no_grad():
            alone = torch.cat([small(clips[i : i + 1]) for i in range(3)])
            torch.testing.assert_close(small(clips), alone, rtol=1e-4, atol=1e-6)

    @pytest.mark.parametrize("motion", [(), ("stpme",), ("dsme",), ("shift",)], ids=",".join)
    def test_the_order_of_segments_matters_to_dsme_and_shift_alone(self, motion):
        torch.manual_seed(0)
        model = build_model(SMALL, 5, 4, motion=motion).eval()
        _randomise(model)
        clips = _clips(1, 4)
        with torch.no_grad():
            apart = relative_error(model(clips.flip(1)), model(clips))
        assert (apart > 1e-4) == ("dsme" in motion or "shift" in motion)

    def test_dropout_sits_in_front_of_the_head(self):
        torch.manual_seed(0)
        model = build_model(SMALL, 5, 2, dropout=0.9)
        features = torch.ones(2, 512)
        assert (model.train().dropout(features) == 0).float().mean().item() == pytest.approx(0.9, abs=0.05)
        model.backbone.forward = lambda segments: torch.ones(2, 512, 1, 1)
        assert not torch.equal(model(_clips(1, 2)), model(_clips(1, 2)))
        assert torch.equal(model.eval()(_clips(1, 2)), model(_clips(1, 2)))


class TestMixedPrecision:
    def test_scores_of_a_clip_are_not_rounded_to_bf16(self, small: Recognizer) -> None:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            scores = small(_clips(2, small.num_segments))
        assert scores.dtype == torch.float32 and not torch.equal(scores, scores.bfloat16().float())


class TestAgainstTorchvision:
    @pytest.mark.parametrize("arch", ["resnet18", "resnet50"])
    def test_without_motion_it_is_a_resnet_on_middle_frames(self, arch, tmp_path):
        resnet = _resnet(arch)
        torch.save(resnet.state_dict(), tmp_path / "weights.pth")
        model = build_model(arch, 5, 2, pretrain=str(tmp_path / "weights.pth"), motion=()).eval()
        segments = _clips(1, 2, (64, 48))[0]
        with torch.no_grad():
            assert relative_error(model.backbone(segments), _features(resnet, segments[:, 2])) < FLOAT32

    @pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
    def test_blocks_are_torchvision_blocks_around_what_sits_behind_the_first_relu(self, block):
        torch.manual_seed(0)
        doubling = block(8 * block.expansion, 8, 1, None).eval()
        plain = block.__base__(8 * block.expansion, 8).eval()
        plain.load_state_dict(doubling.state_dict())
        doubling.motion = _Times(2.0)
        x = torch.randn(2, 8 * block.expansion, 5, 5)
        with torch.no_grad():
            plain.conv2.weight.mul_(2)  # which is what follows
            torch.testing.assert_close(doubling(x), plain(x))
        assert doubling.motion.channels == 8 and doubling.motion.lowest >= 0

    def test_motion_sits_in_every_block_of_layer2_to_layer4_alone(self):
        with torch.device("meta"):
            backbone = build_model("resnet50", 5, 4).backbone
        places = {name: module for name, module in backbone.named_modules() if name.endswith(".motion")}
        owners = {k.removesuffix(".motion") for k, module in places.items() if not isinstance(module, nn.Identity)}
        assert owners == {f"layer{k}.{i}" for k, depth in ((2, 4), (3, 6), (4, 3)) for i in range(depth)}
        for k, width in ((2, 128), (3, 256), (4, 512)):
            motion = backbone.get_submodule(f"layer{k}.0.motion")
            assert [type(module) for module in motion.children()] == [DSME, TemporalShift]
            assert motion.shift.weight.shape == (width, 1, 3)
            assert motion.dsme.reduce.weight.shape == (width // 4, width, 1, 1)


class _Times(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor, self.channels, self.lowest = factor, 0, 0.0

    def forward(self, x: Tensor) -> Tensor:
        self.channels, self.lowest = x.shape[1], x.min().item()
        return x * self.factor


def _resnet(arch: str) -> PlainResNet:
    torch.manual_seed(1)
    resnet = torchvision.models.get_model(arch, weights=None).eval()
    _randomise(resnet)
    return resnet


def _features(resnet: PlainResNet, x: Tensor) -> Tensor:
    x = resnet.maxpool(resnet.relu(resnet.bn1(resnet.conv1(x))))
    return resnet.layer4(resnet.layer3(resnet.layer2(resnet.layer1(x))))


class TestPretrained:
    @pytest.mark.parametrize("arch", ["resnet18", "resnet50"])
    def test_fills_the_appearance_path_and_a_second_copy_of_layer1(self, arch, tmp_path):
        expected = _resnet(arch).state_dict()
        torch.save(expected, tmp_path / "weights.pth")
        backbone = build_model(arch, 5, 2, pretrain=str(tmp_path / "weights.pth")).backbone
        own = backbone.state_dict()
        for name, value in expected.items():
            if not name.startswith("fc."):
                assert torch.equal(own[name], value), name
            if name.startswith("layer1."):
                assert torch.equal(own[name.replace("layer1", "layer1_diff")], value), name
        with torch.no_grad():
            backbone.layer1[0].conv1.weight.zero_()
        assert torch.equal(backbone.layer1_diff[0].conv1.weight, expected["layer1.0.conv1.weight"])
        assert not own["layer2.0.motion.dsme.align3.offset.weight"].any()

    def test_under_state_dict_with_prefixes_and_without_counters(self, tmp_path):
        expected = _resnet("resnet18").state_dict()
        state = {f"module.{k}": v for k, v in expected.items() if not k.endswith("num_batches_tracked")}
        torch.save({"state_dict": state, "epoch": 3}, tmp_path / "weights.pth")
        backbone = build_model("resnet18", 5, 2, pretrain=str(tmp_path / "weights.pth")).backbone
        assert torch.equal(backbone.layer4[1].conv2.weight, expected["layer4.1.conv2.weight"])

    @pytest.mark.parametrize(("saved", "wanted"), [("resnet34", "resnet18"), ("resnet18", "resnet34")])
    def test_of_another_depth(self, saved, wanted, tmp_path):
        path = tmp_path / "weights.pth"
        torch.save(_resnet(saved).state_dict(), path)
        with pytest.raises(InputError, match="expected the weights of a torchvision ResNet of this depth") as caught:
            build_model(wanted, 5, 2, pretrain=str(path))
        assert str(path) in str(caught.value) and "layer1.2.bn1.bias" in str(caught.value)

    def test_of_another_block(self, tmp_path):
        torch.save(_resnet("resnet18").state_dict(), tmp_path / "weights.pth")
        with torch.device("meta"), pytest.raises(InputError, match=r"layer1\.0\.bn3\.bias"):
            build_model("resnet50", 5, 2, pretrain=str(tmp_path / "weights.pth"))

    def test_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(InputError, match=r"nothing\.pth: expected a checkpoint file, got nothing there"):
            build_model(SMALL, 5, 2, pretrain=str(tmp_path / "nothing.pth"))

    def test_a_file_of_something_else_is_named(self, tmp_path):
        path = tmp_path / "scores.pth"
        torch.save({"epoch": 3}, path)
        with pytest.raises(InputError, match=r"scores\.pth"):
            build_model(SMALL, 5, 2, pretrain=str(path))

    def test_imagenet_weights_fill_the_backbone(self, monkeypatch):
        expected = _resnet("resnet18").state_dict()
        monkeypatch.setattr(models, "fetch_imagenet_weights", lambda arch: expected)
        backbone = build_model("resnet18", 5, 2, pretrain="imagenet").backbone
        assert torch.equal(backbone.layer1_diff[1].bn2.running_var, expected["layer1.1.bn2.running_var"])

    def test_imagenet_weights_without_a_network(self, monkeypatch, tmp_path):
        def no_network(*_: object, **__: object) -> None:
            raise socket.gaierror(-2, "no network in tests")

        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        monkeypatch.setattr(socket, "getaddrinfo", no_network)
        monkeypatch.setattr(socket, "create_connection", no_network)
        with pytest.raises(InputError, match="--pretrain PATH") as caught:
            build_model("resnet18", 5, 2, pretrain="imagenet")
        message = str(caught.value)
        assert "https://" in message and str(tmp_path) in message and "--pretrain none" in message
        assert "\n" not in message

    def test_no_imagenet_weights_are_published_of_a_resnet10(self):
        with pytest.raises(InputError, match="expected --pretrain none or a file for resnet10"):
            build_model("resnet10", 5, 2, pretrain="imagenet")


class TestInitialState:
    def test_the_head_is_small_noise_without_bias(self, initial):
        assert initial.head.weight.std().item() == pytest.approx(0.001, rel=0.01)
        assert abs(initial.head.weight.mean().item()) < 1e-5
        assert not initial.head.bias.any()

    def test_offsets_are_zero(self, initial):
        offsets = {name: p for name, p in initial.named_parameters() if ".offset." in name}
        assert len(offsets) == 13 * 2 * 2
        assert not any(parameter.any() for parameter in offsets.values())

    def test_deformable_weights_are_those_of_a_convolution(self, initial):
        aligns = [m.align5 for m in initial.modules() if isinstance(m, DSME)]
        for align in aligns:
            bound = align.weight[0].numel() ** -0.5  # kaiming_uniform with a = sqrt(5)
            assert 0.99 * bound < align.weight.abs().max() <= bound
            assert align.bias.any() and align.bias.abs().max() <= bound

    def test_shifts_shift(self, initial):
        for module in initial.modules():
            if isinstance(module, TemporalShift):
                fold = module.weight.shape[0] // 8
                rows = torch.tensor([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]]).repeat_interleave(
                    torch.tensor([fold, fold, 6 * fold]), dim=0
                )
                assert torch.equal(module.weight[:, 0], rows)

    def test_the_stem_halves_for_8_segments_alone(self):
        assert published_motion_weight(8) == 0.5
        assert {published_motion_weight(t) for t in (2, 4, 7, 9, 16)} == {0.25}

    def test_the_stem_mixes_appearance_and_motion(self):
        torch.manual_seed(0)
        backbone = build_model(SMALL, 5, 4).backbone.eval()
        segments = _clips(1, 4)[0]
        seen: dict[str, Tensor] = {}
        for name in ("layer1", "layer1_diff", "layer2"):
            backbone.get_submodule(name).register_forward_hook(
                lambda _, args, out, name=name: seen.update({f"{name} in": args[0], f"{name} out": out})
            )
        with torch.no_grad():
            backbone(segments)
            motion, appearance = backbone.stpme(segments), _stem(backbone, segments[:, 2])
        torch.testing.assert_close(seen["layer1 in"], 0.75 * appearance + 0.25 * motion)
        torch.testing.assert_close(seen["layer1_diff in"], motion)
        torch.testing.assert_close(seen["layer2 in"], 0.75 * seen["layer1 out"] + 0.25 * seen["layer1_diff out"])

    def test_parameters_are_those_of_the_reference_less_what_has_no_effect(self, initial):
        """30,936,210 here, 31.0 M there: biases in front of BatchNorms, those of g and h, two unused convolutions."""
        with torch.device("meta"):
            oracle = MSNOracle("resnet50", 174, 4)
        sizes = {name: parameter.numel() for name, parameter in oracle.named_parameters()}
        assert sum(sizes.values()) == 31_017_762
        conversion = convert_reference(oracle.state_dict())
        without_effect = sum(sizes.get(name, 0) for name in conversion.folded + conversion.dropped)
        assert sum(p.numel() for p in initial.parameters()) == 31_017_762 - without_effect == 30_936_210

    def test_every_parameter_gets_a_gradient(self):
        """At the initial weights, zero offsets included, from a batch of two videos: not one of them vanishes."""
        torch.manual_seed(0)
        model = build_model(SMALL, 5, 3).train()
        nn.functional.cross_entropy(model(_clips(2, 3, (64, 64))), torch.tensor([1, 2])).backward()
        gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
        assert [name for name, grad in gradients.items() if grad is None] == []
        assert [name for name, grad in gradients.items() if not grad.any()] == []


def _stem(backbone: ResNet, frames: Tensor) -> Tensor:
    return backbone.maxpool(torch.relu(backbone.bn1(backbone.conv1(frames))))


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"arch": "resnet51"}, "expected --arch one of resnet10, .*resnet152, got 'resnet51'"),
            ({"arch": "BNInception"}, "expected --arch one of"),
            ({"num_segments": 1}, "expected --num_segments of at least 2, got 1"),
            ({"num_segments": 0}, "expected --num_segments of at least 2, got 0"),
            ({"motion": ("stpme", "optical_flow")}, "expected --motion none or some of stpme,dsme,shift.*optical_flow"),
            ({"consensus": "max"}, "expected --consensus_type one of avg, identity, got 'max'"),
            ({"num_segments": 16, "motion_window": 5}, "of at least 2 that divides the 16 segments, got 5"),
            ({"num_segments": 4, "motion_window": 8}, "of at least 2 that divides the 4 segments, got 8"),
            ({"motion_window": 1}, "expected --motion_window of at least 2 .*, got 1"),
            ({"motion_window": 0}, "expected --motion_window of at least 2 .*, got 0"),
        ],
    )
    def test_says_what_was_expected_and_what_came(self, arguments, message):
        with torch.device("meta"), pytest.raises(InputError, match=message) as caught:
            build_model(**({"arch": SMALL, "num_classes": 5, "num_segments": 4} | arguments))
        assert "\n" not in str(caught.value)

    def test_motion_modules_come_in_any_order(self):
        with torch.device("meta"):
            model = build_model(SMALL, 5, 4, motion=("shift", "dsme"))
        assert [type(m) for m in model.backbone.layer2[0].motion.children()] == [DSME, TemporalShift]
