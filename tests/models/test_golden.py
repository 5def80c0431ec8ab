"""The networks and DS-ME against values computed with the published implementations (golden/README.md)."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ops.checkpoints.filling import load_weights
from ops.models.build import build_model
from ops.models.msn import DSME
from ops.models.names import FRAMES_PER_SEGMENT, NETWORKS
from tests.golden_weights import (
    DSME_NORMS,
    GOLDEN,
    GOLDEN_FILES,
    MOST_KEPT,
    dsme_from_reference,
    dsme_name,
    golden_input,
    golden_state,
    published_shapes,
    read_shapes,
    relative_error,
    shapes_of,
    subsample,
)
from tests.oracle.msn_oracle import MotionExcitation
from tests.oracle.networks import ORACLES

TOLERANCE = 1e-4
Arrays = dict[str, np.ndarray]
Values = dict[str, Tensor]
DSME_SHAPES = read_shapes(GOLDEN / "dsme_train_mode_keys.tsv")
# Golden arrays, and of which module's first input or output they are: of this project's backbone, and of the oracle's.
FEATURES = {
    "msn": {
        "stpme_out": ("stpme output", "resnext_layer1 input"),
        "layer1_in": ("layer1 input", "layer1_bak input"),
        "dsme_in": ("layer2.0.motion input", "layer2_bak.0.motion_layer input"),
        "dsme_out": (None, "layer2_bak.0.motion_layer output"),  # which the network never makes whole
        "shift_out": ("layer2.0.motion.shift output", "layer2_bak.0.shift output"),
        "layer4_out": ("layer4 output", "layer4_bak output"),
    },
    "tdn": {
        "stdm_out": ("stdm output", "resnext_layer1 input"),
        "layer1_in": ("layer1 input", "layer1_bak input"),
        "layer2_in": ("layer2 input", "layer2_bak input"),
        "ltdm_in": ("layer2.0.motion.ltdm input", "layer2_bak.0.mse input"),
        "ltdm_out": ("layer2.0.motion.ltdm output", "layer2_bak.0.mse output"),
        "shift_out": ("layer2.0.motion.shift output", "layer2_bak.0.shift output"),
        "layer4_out": ("layer4 output", "layer4_bak output"),
    },
    "tsm": {"layer1_out": ("layer1 output", "layer1 output"), "layer4_out": ("layer4 output", "layer4 output")},
    "tsn": {"layer1_out": ("layer1 output", "layer1 output"), "layer4_out": ("layer4 output", "layer4 output")},
}
COMPARED = [(network, name) for network, features in FEATURES.items() for name in ("logits", *features)]
WHOLE = ("msn", "stpme_out"), ("msn", "layer4_out")  # of all 16 segments; the others of the first 8


def _load(folder: Path, name: str) -> Arrays:
    with np.load(folder / name) as file:
        return dict(file)


def _golden(network: str) -> Arrays:
    return _load(GOLDEN, f"{network}_resnet50_t8.npz")


def _full(name: str) -> Arrays:
    folder = os.environ.get("MSN_GOLDEN")
    if not folder:
        pytest.skip("MSN_GOLDEN does not name the folder of the full golden values")
    return _load(Path(folder), name)


def _values(network: str, model: nn.Module, backbone: nn.Module, which: int) -> Values:
    """Logits and features."""
    found: Values = {}
    for name, places in FEATURES[network].items():
        if places[which] is not None:
            _record(backbone, places[which], found, name)
    frames = FRAMES_PER_SEGMENT[network]
    with torch.no_grad():
        logits = model(golden_input(7, (2, 8 * frames * 3, 64, 64)).view(2, 8, frames, 3, 64, 64))
        if "dsme_out" in FEATURES[network] and "dsme_out" not in found:
            found["dsme_out"] = backbone.layer2[0].motion.dsme(found["dsme_in"])
    stored = {name: value if (network, name) in WHOLE else value[:8] for name, value in found.items()}
    return stored | {"logits": logits}


def _record(backbone: nn.Module, place: str, into: Values, name: str) -> None:
    module, what = place.split()
    backbone.get_submodule(module).register_forward_hook(
        lambda _, args, out: into.update({name: args[0].clone() if what == "input" else out.clone()})
    )


@pytest.fixture(scope="module")
def values() -> Callable[[str, bool], Values]:
    """What a network of this project, or its oracle, makes of the golden input with the golden weights."""
    known: dict[tuple[str, bool], Values] = {}

    def get(network: str, of_oracle: bool = False) -> Values:
        if (network, of_oracle) not in known:
            state = golden_state(published_shapes(network))
            if of_oracle:
                model = ORACLES[network]("resnet50", 174, 8).eval()
                model.load_state_dict(state)
                known[network, True] = _values(network, model, model.base_model, 1)
            else:
                model = build_model("resnet50", 174, 8, model=network).eval()
                load_weights(model, {"state_dict": state})
                known[network, False] = _values(network, model, model.backbone, 0)
        return known[network, of_oracle]

    return get


class TestGoldenFiles:
    @pytest.mark.parametrize("network", NETWORKS)
    def test_the_oracle_has_the_published_parameters(self, network):
        with torch.device("meta"):
            assert shapes_of(ORACLES[network]("resnet50", 174, 8)) == published_shapes(network)

    def test_the_oracle_of_dsme_has_the_published_parameters(self):
        assert shapes_of(MotionExcitation(64, 8)) == DSME_SHAPES

    def test_subsample_keeps_small_arrays_whole_and_visits_every_channel_row_and_column_of_large_ones(self):
        assert subsample(np.arange(MOST_KEPT)).size == MOST_KEPT
        shape = (16, 64, 14, 14)
        kept = subsample(np.arange(np.prod(shape)))
        assert kept.size <= MOST_KEPT
        for axis, size in zip(np.unravel_index(kept, shape), shape, strict=True):
            assert len(np.unique(axis)) == size

    @pytest.mark.parametrize("name", GOLDEN_FILES)
    def test_the_stored_values_are_those_of_the_full_files(self, name):
        full, stored = _full(name), _load(GOLDEN, name)
        assert full.keys() == stored.keys()
        for key, value in full.items():
            np.testing.assert_array_equal(stored[key], subsample(value))

    @pytest.mark.parametrize("network", NETWORKS)
    def test_every_stored_array_is_compared(self, network):
        assert _golden(network).keys() == {"logits", *FEATURES[network]}


class TestNetworks:
    @pytest.mark.parametrize(("network", "name"), COMPARED)
    def test_agrees_with_the_published_code(self, values, network, name):
        assert relative_error(subsample(values(network)[name].numpy()), _golden(network)[name]) < TOLERANCE

    @pytest.mark.parametrize("network", NETWORKS)
    def test_agrees_with_the_published_code_in_full(self, values, network):
        full, found = _full(f"{network}_resnet50_t8.npz"), values(network)
        assert set(full) == set(found)
        assert {name: e for name in full if (e := relative_error(found[name], full[name])) >= TOLERANCE} == {}

    @pytest.mark.parametrize(("network", "name"), COMPARED)
    def test_the_oracle_agrees_with_the_published_code(self, values, network, name):
        found = values(network, True)[name].numpy()
        assert relative_error(subsample(found), _golden(network)[name]) < TOLERANCE

    @pytest.mark.parametrize("network", NETWORKS)
    def test_predicts_the_same_classes(self, values, network):
        expected = torch.from_numpy(_golden(network)["logits"]).view(2, 174)
        assert torch.equal(values(network)["logits"].argsort(dim=1)[:, -5:], expected.argsort(dim=1)[:, -5:])


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
