"""Settings of main.py that a checkpoint knows."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ops.models.build import build_model
from ops.models.names import NETWORKS
from ops.runtime.errors import InputError
from ops.settings.command_lines import parse_train
from ops.settings.saved import config_dict
from ops.training.checkpoint_defaults import with_checkpoint, with_named
from ops.training.run import build_network, load_network

STATE = build_model("resnet10", 8, 4).state_dict()
SAVED = {"motion": list(NETWORKS["msn"]), "motion_window": 2, "num_segments": 4}
CONTENT = {"state_dict": STATE, "config": {"model": SAVED, "input_size": 64, "dense_sample": True}}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def settled(*options: str) -> tuple[Any, tuple[str, ...]]:
    return with_checkpoint(parse_train(["motion", "RGB", *options]), Path("x.pth.tar"), CONTENT)


@pytest.mark.parametrize("source", [("-e", "--resume"), ("--resume",), ("--tune_from",)])
def test_defaults(source: tuple[str, ...]) -> None:
    config, remarks = settled(*source, "x.pth.tar")
    model = config.model
    assert (model.arch, model.num_segments, model.motion, model.motion_window) == ("resnet10", 4, NETWORKS["msn"], 2)
    assert (model.motion_weight, config.input_size, config.dense_sample, remarks) == (0.25, 64, True, ())
    assert "resnet10" in config.run_name and "segment4" in config.run_name


def test_the_command_line_comes_first() -> None:
    options = "--num_segments 8 --input_size 224 --whole_video --motion_window 4 --motion_weight 0.5"
    config, remarks = settled("-e", "--resume", "x.pth.tar", *options.split())
    assert (config.model.num_segments, config.input_size, config.dense_sample) == (8, 224, False)
    assert (config.model.motion_window, config.model.motion_weight) == (4, 0.5)
    assert len(remarks) == 5


def test_weights_that_cannot_fit() -> None:
    with pytest.raises(InputError, match="expected weights of --arch resnet18, got those of resnet10"):
        settled("--tune_from", "x.pth.tar", "--arch", "resnet18")


def test_a_new_run_has_the_published_weight_and_saves_it() -> None:
    for segments, weight in ((8, 0.5), (16, 0.25), (4, 0.25)):
        config, remarks = with_named(parse_train(["motion", "RGB", "--num_segments", str(segments)]))
        assert config.model.motion_weight == weight and remarks == ()
        assert json.loads(json.dumps(config_dict(config)))["model"]["motion_weight"] == weight
    config, _ = with_named(parse_train(["motion", "RGB", "--motion_weight", "0.3"]))
    assert config.model.motion_weight == 0.3


@pytest.mark.parametrize(("network", "weight"), [("tdn", 0.25), ("tsm", None), ("tsn", None)])
def test_of_another_network(network: str, weight: float | None) -> None:
    """A new run of it, and one from its weights, which say what they are without being told."""
    options = ("--arch", "resnet10", "--num_segments", "4")
    new, _ = with_named(parse_train(["motion", "RGB", "--model", network, *options]))
    assert (new.model.network, new.model.motion, new.model.motion_weight) == (network, NETWORKS[network], weight)
    state = build_model("resnet10", 8, 4, model=network).state_dict()
    for about in ({}, {"config": json.loads(json.dumps(config_dict(new)))}):
        config = parse_train(["motion", "RGB", "--tune_from", "x.pth", "--num_segments", "4"])
        config, remarks = with_checkpoint(config, Path("x.pth"), {"state_dict": state, **about})
        assert config.model == new.model and remarks == ()
        assert config.run_name == f"{network.upper()}_motion_RGB_resnet10_avg_segment4"
        assert build_network(config, Path("x.pth")).design.network == network


def test_of_another_network_than_asked_for() -> None:
    with pytest.raises(InputError, match="expected weights of --model tdn, got those of msn"):
        settled("--tune_from", "x.pth.tar", "--model", "tdn")


def test_modules_of_a_network_that_the_checkpoint_says() -> None:
    state = build_model("resnet10", 8, 4, model="tdn").state_dict()
    config = parse_train(["motion", "RGB", "--tune_from", "x.pth", "--motion", "stdm,ltdm,shift"])
    assert with_checkpoint(config, Path("x.pth"), {"state_dict": state})[0].model.motion == NETWORKS["tdn"]


def test_the_network_is_built_with_them() -> None:
    config, _ = settled("--resume", "x.pth.tar", "--num_segments", "8")
    design = build_network(config, Path("x.pth.tar")).design
    assert (design.arch, design.num_segments, design.motion_window, design.motion_weight) == ("resnet10", 8, 2, 0.25)


@pytest.mark.parametrize(("option", "last"), [((), True), (("--channels_last",), True), (("--channels_first",), False)])
def test_memory_order_on_a_cpu(option: tuple[str, ...], last: bool) -> None:
    config, _ = settled("--resume", "x.pth.tar", *option)
    network, _ = load_network(config, Path("x.pth.tar"), CONTENT, torch.device("cpu"))
    weights = [m.weight for m in network.modules() if isinstance(m, nn.Conv2d)]
    weights = [weight for weight in weights if weight.shape[1] > 1 and weight.shape[2] > 1]  # else it is both
    assert weights and all(w.is_contiguous(memory_format=torch.channels_last) == last for w in weights)
