"""Published checkpoints of all four networks: recognised by their names, loaded exactly, refused in one line."""

import functools
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ops.checkpoints.description import describe
from ops.checkpoints.file import read_checkpoint
from ops.checkpoints.filling import load_weights, tune_from
from ops.checkpoints.published.recognition import TABLES, convert_reference, is_reference
from ops.checkpoints.weights_of import weights_of
from ops.models.build import build_model
from ops.models.names import ARCHS, FRAMES_PER_SEGMENT, NETWORKS
from ops.models.recognizer import Recognizer
from ops.runtime.errors import InputError
from tests.golden_weights import fill, published_shapes, relative_error, shapes_of
from tests.oracle.networks import ORACLES

TINY, CLASSES = "resnet14", 5
State = dict[str, Tensor]


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """An arch of one bottleneck a stage, which only the tests know."""
    monkeypatch.setitem(ARCHS, TINY, (ARCHS["resnet50"][0], (1, 1, 1, 1)))


def _published(network: str, arch: str = TINY, segments: int = 2) -> State:
    return dict(_filled(network, arch, segments))


@functools.cache
def _filled(network: str, arch: str, segments: int) -> State:
    return dict(fill(ORACLES[network](arch, CLASSES, segments)).state_dict())


def _build(network: str, arch: str = TINY, classes: int = CLASSES, segments: int = 2) -> Recognizer:
    return build_model(arch, classes, segments, model=network).eval()


def _agrees(network: str, state: State, plain: State | None = None) -> bool:
    """Whether a state that is loaded gives the logits of the oracle with it, or with ``plain``."""
    oracle, model = ORACLES[network](TINY, CLASSES, 2).eval(), _build(network)
    oracle.load_state_dict(state if plain is None else plain)
    load_weights(model, {"state_dict": state})
    shape = (1, 2, FRAMES_PER_SEGMENT[network], 3, 32, 32)
    clips = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return relative_error(model(clips), oracle(clips)) < 1e-5


class TestNames:
    @pytest.mark.parametrize("network", NETWORKS)
    def test_all_of_a_resnet50_find_their_place(self, network):
        state = {name: torch.empty(shape, device="meta") for name, shape in published_shapes(network).items()}
        with torch.device("meta"):
            own = shapes_of(_build(network, "resnet50", 174, 8))
        conversion = convert_reference(state)
        assert {name: tuple(value.shape) for name, value in conversion.state_dict.items()} == own
        added = sum(name.endswith(".fold") for name in own)
        assert len(own) - added + len(conversion.folded) + len(conversion.dropped) == len(state)

    def test_each_table_marks_its_own_network_first(self):
        assert [table.network for table in TABLES] == list(NETWORKS)
        for number, table in enumerate(TABLES):
            names = published_shapes(table.network)
            marked = [other.network for other in TABLES[: number + 1] if _matches(other.mark, names)]
            assert marked == [table.network]

    @pytest.mark.parametrize("network", NETWORKS)
    def test_this_projects_names_are_not_published_ones(self, network):
        assert not is_reference(_build(network).state_dict())


def _matches(mark: str, names: Iterable[str]) -> bool:
    return any(re.search(mark, name) for name in names)


class TestLogits:
    @pytest.mark.parametrize("prefix", ["", "module."])
    @pytest.mark.parametrize("network", NETWORKS)
    def test_are_the_oracles(self, network, prefix, tmp_path):
        state = _published(network)
        torch.save({"state_dict": {prefix + k: v for k, v in state.items()}, "epoch": 50}, tmp_path / "a.pth")
        assert _agrees(network, read_checkpoint(tmp_path / "a.pth")["state_dict"] if not prefix else state)
        assert load_weights(_build(network), tmp_path / "a.pth") == {"epoch": 50}

    @pytest.mark.parametrize("network", NETWORKS)
    def test_with_the_head_under_the_backbone(self, network):
        state = _published(network)
        moved = {k.replace("new_fc.", "base_model.fc."): v for k, v in state.items()}
        assert moved.keys() != state.keys() and _agrees(network, moved, state)

    @pytest.mark.parametrize("network", ["tsm", "tsn"])
    @pytest.mark.parametrize("head", ["new_fc.", "fc."])
    def test_of_resnet_names_without_the_prefix(self, network, head):
        state = _published(network)
        bare = {k.removeprefix("base_model.").replace("new_fc.", head): v for k, v in state.items()}
        assert _agrees(network, bare, state)

    @pytest.mark.parametrize("network", ["msn", "tdn"])
    def test_what_is_dropped_has_no_effect(self, network):
        state = _published(network)
        dropped = convert_reference(state).dropped
        assert any("conv1_temp" in name for name in dropped)
        assert _agrees(network, state, {k: v + 1 if k in dropped else v for k, v in state.items()})

    @pytest.mark.parametrize("network", ["msn", "tdn"])
    def test_biases_in_front_of_batch_norms_matter_before_they_are_folded(self, network):
        state = _published(network)
        folded = convert_reference(state).folded
        assert not _agrees(network, state, {k: v * 0 if k in folded else v for k, v in state.items()})


class TestOfAnotherNetwork:
    @pytest.mark.parametrize("wanted", NETWORKS)
    @pytest.mark.parametrize("given", NETWORKS)
    @pytest.mark.parametrize("published", [True, False])
    def test_both_are_named_in_one_line(self, wanted, given, published):
        state = _published(given) if published else _build(given).state_dict()
        model = _build(wanted)
        if wanted == given:
            load_weights(model, {"state_dict": state})
            return
        before = {k: v.clone() for k, v in model.state_dict().items()}
        with pytest.raises(InputError) as caught:
            load_weights(model, {"state_dict": state}, "a.pth")
        said = [f"{network.upper()} with a resnet14, 5 classes" for network in (wanted, given)]
        assert str(caught.value) == f"a.pth: expected the weights of {said[0]}, got those of {said[1]}"
        assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())

    @pytest.mark.parametrize("network", NETWORKS)
    def test_another_depth_or_number_of_classes(self, network):
        for given in ({"arch": "resnet10"}, {"classes": 9}):
            state = _build(network, **given).state_dict()
            with pytest.raises(InputError, match=r"with a resnet14, 5 classes, got those of \w+ with a resnet1"):
                load_weights(_build(network), {"state_dict": state})

    @pytest.mark.parametrize("network", NETWORKS)
    def test_tuning_replaces_a_head_of_another_size(self, network, tmp_path):
        torch.save(_published(network), tmp_path / "a.pth")
        assert tune_from(_build(network, classes=9), tmp_path / "a.pth") == ["head.weight", "head.bias"]

    def test_tuning_from_another_network(self, tmp_path):
        torch.save(_published("tsn"), tmp_path / "a.pth")
        with pytest.raises(InputError, match=r"a\.pth: expected the weights of TSM .* got those of TSN"):
            tune_from(_build("tsm", classes=9), tmp_path / "a.pth")

    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("base_model.layer2.0.nl.theta.weight", "the non-local variant of TSM"),
            ("base_model.features.0.0.weight", "TSM with a MobileNetV2"),
            ("features.0.0.weight", "TSM with a MobileNetV2"),
        ],
    )
    @pytest.mark.parametrize("load", [load_weights, tune_from])
    def test_variants_that_are_not_here_are_refused_by_name(self, name, kind, load, tmp_path):
        torch.save({"state_dict": {f"module.{name}": torch.zeros(1)}}, tmp_path / "a.pth")
        with pytest.raises(InputError) as caught:
            load(_build("tsm"), tmp_path / "a.pth")
        start = f"{tmp_path / 'a.pth'}: expected weights of MSN, TDN, TSM or TSN with a ResNet, got those of {kind}"
        assert str(caught.value).startswith(start)


class TestDescription:
    @pytest.mark.parametrize("published", [True, False])
    @pytest.mark.parametrize("network", NETWORKS)
    def test_weights_tell_network_arch_classes_and_modules(self, network, published):
        state = _published(network) if published else _build(network).state_dict()
        said = describe({"state_dict": state}, Path("a.pth"))
        assert (said.network, said.arch, said.num_classes) == (network, TINY, CLASSES)
        assert said.motion == NETWORKS[network]
        assert (said.num_segments, said.dense_sample, said.from_name) == (None, None, ())

    @pytest.mark.parametrize("arch", [arch for arch in ARCHS if arch != TINY])
    @pytest.mark.parametrize("network", NETWORKS)
    def test_every_arch(self, network, arch):
        with torch.device("meta"):
            said = weights_of(_build(network, arch, 7).state_dict())
        assert (said.network, said.arch, said.num_classes) == (network, arch, 7)

    @pytest.mark.parametrize(
        ("name", "segments", "dense"),
        [
            ("TSM_kinetics_RGB_resnet50_shift8_blockres_avg_segment8_e50.pth", 8, None),
            ("TSM_kinetics_RGB_resnet50_shift8_blockres_avg_segment16_e100_dense.pth", 16, True),
            ("TSM_kinetics_RGB_resnet50_avg_segment5_e50.pth", 5, None),
            ("tdn_sthv2_16f.pth.tar", 16, None),
            ("best_8frames.pth", 8, None),
            ("densenet_28fps.pth", None, None),
            ("ckpt.best.pth.tar", None, None),
        ],
    )
    def test_the_name_of_a_published_file_is_a_hint(self, name, segments, dense):
        said = describe({"state_dict": _published("tsm")}, Path("folder_4f") / name)
        assert (said.num_segments, said.dense_sample) == (segments, dense)
        assert said.dataset == ("kinetics" if "kinetics" in name else None)
        hints = {"dataset": said.dataset, "num_segments": segments, "dense_sample": dense}
        assert said.from_name == tuple(key for key, value in hints.items() if value is not None)

    def test_settings_that_were_saved_are_believed_before_the_name(self):
        saved = {"network": "tdn", "num_segments": 4, "motion_weight": 0.3}
        config = {"model": saved, "input_size": 112, "dense_sample": True}
        said = describe({"state_dict": _build("tdn").state_dict(), "config": config}, Path("tdn_8f.pth"))
        assert (said.network, said.num_segments, said.motion_weight) == ("tdn", 4, 0.3)
        assert (said.input_size, said.dense_sample, said.from_name) == (112, True, ())

    def test_settings_without_a_network_are_of_msn(self):
        state = build_model(TINY, CLASSES, 2, motion=()).state_dict()
        assert describe({"state_dict": state}, Path("a.pth")).network == "tsn"
        config = {"model": {"num_segments": 2}}
        assert describe({"state_dict": state, "config": config}, Path("a.pth")).network == "msn"

    @pytest.mark.parametrize(
        "model", [{"num_segments": "8"}, {"num_segments": 0}, {"network": 3}, {"motion_weight": "half"}]
    )
    def test_settings_of_a_wrong_kind(self, model):
        content = {"state_dict": _build("tsm").state_dict(), "config": {"model": model}}
        with pytest.raises(InputError, match=rf"a\.pth: expected model\.{next(iter(model))} as main\.py saves it, got"):
            describe(content, Path("a.pth"))
