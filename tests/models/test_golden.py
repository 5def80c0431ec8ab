"""The network and DS-ME against values computed with the published reference implementation (golden/README.md)."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ops.checkpoints.file import load_weights
from ops.models.build import build_model
from ops.models.msn import DSME
from tests.golden_weights import (
    DSME_NORMS,
    GOLDEN,
    MOST_KEPT,
    dsme_from_reference,
    dsme_name,
    golden_input,
    golden_state,
    read_shapes,
    relative_error,
    shapes_of,
    subsample,
)
from tests.oracle.msn_oracle import MotionExcitation, MSNOracle

TOLERANCE = 1e-4
FEATURES = ("stpme_out", "layer1_in", "dsme_in", "dsme_out", "shift_out", "layer4_out")
Arrays = dict[str, np.ndarray]
Values = dict[str, Tensor]
NETWORK_SHAPES = read_shapes(GOLDEN / "msn_resnet50_reference_keys.tsv.gz")
DSME_SHAPES = read_shapes(GOLDEN / "dsme_train_mode_keys.tsv")


def _load(folder: Path, name: str) -> Arrays:
    with np.load(folder / name) as file:
        return dict(file)


def _full(name: str) -> Arrays:
    folder = os.environ.get("MSN_GOLDEN")
    if not folder:
        pytest.skip("MSN_GOLDEN does not name the folder of the full golden values")
    return _load(Path(folder), name)


def _record(module: nn.Module, into: Values, name: str, what: str) -> None:
    """Keep a module's first input or its output."""
    module.register_forward_hook(lambda _, args, out: into.update({name: args[0] if what == "input" else out}))


@pytest.fixture(scope="module")
def reference_state() -> Values:
    return golden_state(NETWORK_SHAPES)


@pytest.fixture(scope="module")
def clips() -> Tensor:
    return golden_input(7, (2, 120, 64, 64)).view(2, 8, 5, 3, 64, 64)


@pytest.fixture(scope="module")
def network(reference_state: Values, clips: Tensor) -> Values:
    """Logits and features of this project's network."""
    model = build_model("resnet50", 174, 8).eval()
    load_weights(model, {"state_dict": reference_state})
    backbone, found = model.backbone, {}
    _record(backbone.stpme, found, "stpme_out", "output")
    _record(backbone.layer1, found, "layer1_in", "input")
    _record(backbone.layer2[0].motion, found, "dsme_in", "input")
    _record(backbone.layer2[0].motion.shift, found, "shift_out", "output")
    _record(backbone.layer4, found, "layer4_out", "output")
    with torch.no_grad():
        logits = model(clips)
        found["dsme_out"] = backbone.layer2[0].motion.dsme(found["dsme_in"])  # which the network never makes whole
    return _as_stored(found) | {"logits": logits}


@pytest.fixture(scope="module")
def oracle(reference_state: Values, clips: Tensor) -> Values:
    """Logits and features of the oracle, the yardstick of the other tests."""
    model = MSNOracle("resnet50", 174, 8).eval()
    model.load_state_dict(reference_state)
    backbone, found = model.base_model, {}
    _record(backbone.resnext_layer1, found, "stpme_out", "input")
    _record(backbone.layer1_bak, found, "layer1_in", "input")
    _record(backbone.layer2_bak[0].motion_layer, found, "dsme_in", "input")
    _record(backbone.layer2_bak[0].motion_layer, found, "dsme_out", "output")
    _record(backbone.layer2_bak[0].shift, found, "shift_out", "output")
    _record(backbone.layer4_bak, found, "layer4_out", "output")
    with torch.no_grad():
        logits = model(clips)
    return _as_stored(found) | {"logits": logits}


def _as_stored(found: Values) -> Values:
    """Four features are stored for the first 8 segments only."""
    whole = ("stpme_out", "layer4_out")
    return {name: value if name in whole else value[:8] for name, value in found.items()}


class TestGoldenFiles:
    def test_the_oracle_has_the_reference_parameters(self):
        with torch.device("meta"):
            assert shapes_of(MSNOracle("resnet50", 174, 8)) == NETWORK_SHAPES
            assert shapes_of(MotionExcitation(64, 8)) == DSME_SHAPES

    def test_subsample_keeps_small_arrays_whole_and_visits_every_channel_row_and_column_of_large_ones(self):
        assert subsample(np.arange(MOST_KEPT)).size == MOST_KEPT
        shape = (16, 64, 14, 14)
        kept = subsample(np.arange(np.prod(shape)))
        assert kept.size <= MOST_KEPT
        for axis, size in zip(np.unravel_index(kept, shape), shape, strict=True):
            assert len(np.unique(axis)) == size

    @pytest.mark.parametrize("name", ["msn_resnet50_t8.npz", "dsme_train_mode.npz"])
    def test_the_stored_values_are_those_of_the_full_files(self, name):
        full, stored = _full(name), _load(GOLDEN, name)
        assert full.keys() == stored.keys()
        for key, value in full.items():
            np.testing.assert_array_equal(stored[key], subsample(value))


class TestNetwork:
    @pytest.mark.parametrize("name", ["logits", *FEATURES])
    def test_agrees_with_the_reference(self, network, name):
        expected = _load(GOLDEN, "msn_resnet50_t8.npz")[name]
        assert relative_error(subsample(network[name].numpy()), expected) < TOLERANCE

    def test_agrees_with_the_reference_in_full(self, network):
        full = _full("msn_resnet50_t8.npz")
        assert set(full) == set(network)
        assert {name: e for name in full if (e := relative_error(network[name], full[name])) >= TOLERANCE} == {}

    @pytest.mark.parametrize("name", ["logits", *FEATURES])
    def test_the_oracle_agrees_with_the_reference(self, oracle, name):
        expected = _load(GOLDEN, "msn_resnet50_t8.npz")[name]
        assert relative_error(subsample(oracle[name].numpy()), expected) < TOLERANCE

    def test_predicts_the_same_classes(self, network):
        expected = torch.from_numpy(_load(GOLDEN, "msn_resnet50_t8.npz")["logits"]).view(2, 174)
        assert torch.equal(network["logits"].argsort(dim=1)[:, -5:], expected.argsort(dim=1)[:, -5:])


def _run_dsme(module: nn.Module) -> Values:
    """Forward and backward in training mode; what the golden file holds, under the module's own names."""
    x = golden_input(11, (16, 64, 14, 14)).requires_grad_()
    out = module.train()(x)
    out.backward(golden_input(12, (16, 64, 14, 14)))
    statistics = {f"after.{k}": v for k, v in module.state_dict().items() if "running_" in k}
    gradients = {f"grad.{k}": v.grad for k, v in module.named_parameters()}
    return {"out": out.detach(), "grad_input": x.grad} | gradients | statistics


@pytest.fixture(scope="module")
def dsme_state() -> Values:
    return golden_state(DSME_SHAPES, prefix="dsme.")


@pytest.fixture(scope="module")
def dsme(dsme_state: Values) -> Values:
    module = DSME(64, window=8)
    module.load_state_dict(dsme_from_reference(dsme_state), strict=True)
    return _run_dsme(module)


@pytest.fixture(scope="module")
def dsme_oracle(dsme_state: Values) -> Values:
    module = MotionExcitation(64, window=8)
    module.load_state_dict(dsme_state)
    return _run_dsme(module)


def _own_name(golden_name: str) -> str:
    """``grad.conv_down.weight`` -> ``grad.reduce.weight``."""
    kind, _, rest = golden_name.partition(".")
    return f"{kind}.{dsme_name(rest)}" if rest else kind


def _folded_bias(golden_name: str) -> str | None:
    """``after.bn1.running_mean`` -> ``conv_down.bias``, the bias that this project folds into that mean."""
    biases = {f"after.{norm}.running_mean": f"{conv}.bias" for conv, norm in DSME_NORMS.items()}
    return biases.get(golden_name)


CANCELLED = tuple(f"grad.{conv}.bias" for conv in DSME_NORMS)
DSME_NAMES = tuple(name for name in _load(GOLDEN, "dsme_train_mode.npz") if name not in CANCELLED)


class TestDSMEInTraining:
    def _check(self, found: Values, golden: Arrays, name: str, bias: Tensor | None, pick: Callable) -> None:
        expected = golden[name] if bias is None else golden[name] - bias.numpy()
        assert relative_error(pick(found[_own_name(name)].numpy()), expected) < TOLERANCE

    @pytest.mark.parametrize("name", DSME_NAMES)
    def test_agrees_with_the_reference(self, dsme, dsme_state, name):
        bias = dsme_state.get(_folded_bias(name))
        self._check(dsme, _load(GOLDEN, "dsme_train_mode.npz"), name, bias, subsample)

    def test_agrees_with_the_reference_in_full(self, dsme, dsme_state):
        full = _full("dsme_train_mode.npz")
        for name in DSME_NAMES:
            self._check(dsme, full, name, dsme_state.get(_folded_bias(name)), np.asarray)

    def test_every_parameter_and_statistic_is_compared(self, dsme):
        assert {_own_name(name) for name in DSME_NAMES} == set(dsme)

    @pytest.mark.parametrize("conv", DSME_NORMS)
    def test_biases_in_front_of_batch_norms_have_no_gradient_in_the_reference(self, conv):
        golden = _load(GOLDEN, "dsme_train_mode.npz")
        bias, weight = golden[f"grad.{conv}.bias"], golden[f"grad.{conv}.weight"]
        assert np.abs(bias).max() < TOLERANCE * np.abs(weight).max()

    @pytest.mark.parametrize("name", DSME_NAMES)
    def test_the_oracle_agrees_with_the_reference(self, dsme_oracle, name):
        expected = _load(GOLDEN, "dsme_train_mode.npz")[name]
        assert relative_error(subsample(dsme_oracle[name].numpy()), expected) < TOLERANCE
