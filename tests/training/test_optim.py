"""Parameter groups, SGD against its formula, and frozen BatchNorms, on a small network with every kind of module."""

import copy
import re
from collections import Counter

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ops.models.build import build_model
from ops.models.deformable.deform_conv import DeformConv2d
from ops.models.recognizer import Recognizer, use_channels_last
from ops.training.optim import (
    build_optimizer,
    freeze_batch_norms,
    hold_batch_statistics,
    load_optimizer,
    parameter_groups,
    set_learning_rate,
)

LR, MOMENTUM, DECAY = 0.02, 0.9, 5e-4
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@pytest.fixture
def model() -> Recognizer:
    torch.manual_seed(0)
    return build_model("resnet10", 5, 2, dropout=0.0)


def backward(model: Recognizer, seed: int = 0) -> None:
    generator = torch.Generator().manual_seed(seed)
    clips = torch.randint(256, (3, 2, 5, 3, 32, 32), dtype=torch.uint8, generator=generator)
    model.zero_grad()
    F.cross_entropy(model(clips), torch.tensor([0, 3, 4])).backward()


def values(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def norm_parameters(model: nn.Module) -> dict[str, list[str]]:
    """Names of the parameters of each BatchNorm, in the order of the network."""
    norms = [(prefix, m) for prefix, m in model.named_modules() if isinstance(m, NORMS)]
    return {prefix: [f"{prefix}.{n}" for n, _ in m.named_parameters()] for prefix, m in norms}


def tsn_rule(model: nn.Module, name: str) -> tuple[float, float]:
    """(factor on the learning rate, weight decay) of a parameter, by its name."""
    owner, leaf = model.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2]
    if isinstance(owner, NORMS):
        return 1, 0
    mult, decay = (2, 0) if leaf == "bias" else (1, DECAY)
    return (5 * mult, decay) if name.startswith("head.") else (mult, decay)


class TestParameterGroups:
    @pytest.mark.parametrize("kind", ["single", "tsn"])
    @pytest.mark.parametrize("network", ["msn", "tdn", "tsm", "tsn"])
    def test_every_parameter_in_exactly_one_group(self, kind: str, network: str) -> None:
        model = build_model("resnet10", 5, 2, model=network)
        counts = Counter(id(p) for group in parameter_groups(model, kind, DECAY) for p in group["params"])
        assert set(counts) == {id(p) for p in model.parameters()}
        assert set(counts.values()) == {1}

    def test_single(self, model: Recognizer) -> None:
        groups = parameter_groups(model, "single", DECAY)
        assert [(g["lr_mult"], g["weight_decay"]) for g in groups] == [(1, DECAY)]

    @pytest.mark.parametrize("network", ["msn", "tdn"])
    def test_tsn(self, network: str) -> None:
        model = build_model("resnet10", 5, 2, model=network)
        settings = {
            id(p): (g["lr_mult"], g["weight_decay"]) for g in parameter_groups(model, "tsn", DECAY) for p in g["params"]
        }
        for name, parameter in model.named_parameters():
            assert settings[id(parameter)] == tsn_rule(model, name), name

    @pytest.mark.parametrize("network", ["tsm", "tsn"])
    def test_tsn_reaches_the_groups_of_tsm(self, network: str) -> None:
        """By the names of torchvision's ResNet-50: 53 convolutions, 53 BatchNorms, and the head."""
        model = build_model("resnet50", 174, 8, model=network)
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        optimizer = build_optimizer(model, "tsn", LR, MOMENTUM, DECAY)
        set_learning_rate(optimizer, LR)
        found = {
            names[id(p)]: (group["lr"], group["weight_decay"])
            for group in optimizer.param_groups
            for p in group["params"]
        }
        expected = {}
        for name in names.values():
            norm = re.fullmatch(r"backbone\.(bn1|layer\d\.\d+\.(bn[123]|downsample\.1))\.(weight|bias)", name)
            conv = re.fullmatch(r"backbone\.(conv1|layer\d\.\d+\.(conv[123]|downsample\.0))\.weight", name)
            head = {"head.weight": (5 * LR, DECAY), "head.bias": (10 * LR, 0)}
            expected[name] = (LR, 0) if norm else (LR, DECAY) if conv else head[name]
        assert found == expected
        counts = Counter(expected.values())
        assert counts == {(LR, DECAY): 53, (LR, 0): 106, (5 * LR, DECAY): 1, (10 * LR, 0): 1}

    def test_tsn_has_every_kind(self, model: Recognizer) -> None:
        assert {tsn_rule(model, name) for name, _ in model.named_parameters()} == {
            (1, DECAY), (2, 0), (1, 0), (5, DECAY), (10, 0),
        }  # fmt: skip

    @pytest.mark.parametrize("kind", ["single", "tsn"])
    def test_deformable_weights_reach_the_optimiser(self, model: Recognizer, kind: str) -> None:
        optimizer = build_optimizer(model, kind, LR, MOMENTUM, DECAY)
        optimised = {id(p) for group in optimizer.param_groups for p in group["params"]}
        convolutions = [m for m in model.modules() if isinstance(m, DeformConv2d)]
        assert len(convolutions) == 6  # two kernel sizes in each of the three motion blocks
        for convolution in convolutions:
            parameters = dict(convolution.named_parameters())
            assert {"weight", "bias", "offset.weight", "offset.bias"} == set(parameters)
            assert all(id(p) in optimised for p in parameters.values())


class TestSteps:
    def test_every_parameter_has_a_gradient_and_moves(self, model: Recognizer) -> None:
        optimizer = build_optimizer(model, "single", LR, MOMENTUM, DECAY)
        before = values(model)
        backward(model)
        optimizer.step()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None and parameter.grad.abs().max() > 0, name
            assert not torch.equal(parameter, before[name]), name

    @pytest.mark.parametrize("kind", ["single", "tsn"])
    def test_two_steps_by_the_formula(self, model: Recognizer, kind: str) -> None:
        """b = m b + (g + decay p), p -= lr mult b, from b = 0; the rate changes in between."""
        optimizer = build_optimizer(model, kind, LR, MOMENTUM, DECAY)
        rules = {
            name: (1, DECAY) if kind == "single" else tsn_rule(model, name) for name, _ in model.named_parameters()
        }
        expected, buffers = values(model), {name: torch.zeros(()) for name in rules}
        for step, lr in enumerate((LR, LR / 10)):
            set_learning_rate(optimizer, lr)
            backward(model, step)
            for name, parameter in model.named_parameters():
                mult, decay = rules[name]
                buffers[name] = MOMENTUM * buffers[name] + parameter.grad + decay * expected[name]
                expected[name] = expected[name] - lr * mult * buffers[name]
            optimizer.step()
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(parameter.detach(), expected[name], rtol=1e-5, atol=1e-6, msg=name)

    def test_learning_rate_of_each_group(self, model: Recognizer) -> None:
        optimizer = build_optimizer(model, "tsn", LR, MOMENTUM, DECAY)
        set_learning_rate(optimizer, 0.3)
        rates = {group["name"]: group["lr"] for group in optimizer.param_groups}
        expected = {"weight": 0.3, "bias": 0.6, "batch_norm": 0.3, "head_weight": 1.5, "head_bias": 3.0}
        assert rates == pytest.approx(expected)


class TestLoadOptimizer:
    @pytest.mark.parametrize(("saved_last", "last"), [(False, True), (True, False), (True, True)])
    def test_another_memory_format(self, model: Recognizer, saved_last: bool, last: bool) -> None:
        """A run that goes on with or without --channels_last takes the steps that it would have taken."""
        if saved_last:
            use_channels_last(model)
        optimizer = build_optimizer(model, "single", LR, MOMENTUM, DECAY)
        backward(model)
        optimizer.step()
        resumed = build_model("resnet10", 5, 2, dropout=0.0)
        if last:
            use_channels_last(resumed)
        resumed.load_state_dict(model.state_dict())
        again = build_optimizer(resumed, "single", LR, MOMENTUM, DECAY)
        load_optimizer(again, copy.deepcopy(optimizer.state_dict()))
        for network, its in ((model, optimizer), (resumed, again)):
            backward(network, seed=1)
            assert all(p.grad is not None and p.grad.stride() == p.stride() for p in network.parameters())
            its.step()
        expected = values(model)
        for name, parameter in resumed.named_parameters():
            torch.testing.assert_close(parameter.detach(), expected[name], rtol=1e-4, atol=1e-5, msg=name)

    def test_a_run_without_momentum_goes_on_with_it(self, model: Recognizer) -> None:
        """A first step that is held back must not leave momentum to what the memory held before."""
        saved = copy.deepcopy(build_optimizer(model, "single", LR, 0, DECAY).state_dict())
        optimizer = build_optimizer(model, "single", LR, MOMENTUM, DECAY)
        load_optimizer(optimizer, saved)
        for parameter in model.parameters():
            assert not optimizer.state[parameter]["momentum_buffer"].any()

    @pytest.mark.parametrize("buffer", [torch.zeros(()), torch.zeros(1, 1), 3])
    def test_momentum_of_other_parameters(self, model: Recognizer, buffer: object) -> None:
        optimizer = build_optimizer(model, "single", LR, MOMENTUM, DECAY)
        state = copy.deepcopy(optimizer.state_dict())
        state["state"][0]["momentum_buffer"] = buffer
        with pytest.raises(ValueError, match="no momentum for a parameter"):
            load_optimizer(optimizer, state)


class TestFreezeBatchNorms:
    @pytest.mark.parametrize("kind", ["single", "tsn"])
    def test_all_but_the_first_keep_statistics_and_parameters(self, model: Recognizer, kind: str) -> None:
        freeze_batch_norms(model)
        optimizer = build_optimizer(model, kind, LR, MOMENTUM, DECAY)
        model.train()
        hold_batch_statistics(model)
        first, *others = norm_parameters(model).items()
        assert first[0] == "backbone.bn1"
        frozen = {name for _, names in others for name in names}
        before = {name: t.clone() for name, t in model.state_dict().items()}
        for step in range(2):
            backward(model, step)
            optimizer.step()
        after = model.state_dict()
        for name, _ in model.named_parameters():
            assert torch.equal(before[name], after[name]) == (name in frozen), name
        statistics = ("running_mean", "running_var", "num_batches_tracked")
        for prefix in norm_parameters(model):
            kept = [torch.equal(before[f"{prefix}.{s}"], after[f"{prefix}.{s}"]) for s in statistics]
            assert kept == [prefix != first[0]] * 3, prefix

    def test_without_it_every_statistic_moves(self, model: Recognizer) -> None:
        model.train()
        backward(model)
        for name, buffer in model.named_buffers():
            if name.endswith("num_batches_tracked"):
                assert buffer == 1, name
