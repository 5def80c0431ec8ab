"""recipes/finetune_small.args from a checkpoint of each network, which says what the recipe does not."""

from pathlib import Path

import pytest
import torch

from ops.checkpoints import read_checkpoint
from ops.models import build_model
from ops.settings.command_lines import parse_train
from ops.training import train
from tests.commands import REPOSITORY

RECIPE = f"@{REPOSITORY / 'recipes/finetune_small.args'}"


@pytest.mark.parametrize("network", ["tdn", "tsm", "msn"])
def test_from_kinetics(network: str, motion_folder: Path, tmp_path: Path) -> None:
    """The head is new, the first BatchNorm learns, the others keep weights and statistics."""
    torch.manual_seed(0)
    weights = build_model("resnet10", 400, 3, model=network).state_dict()
    path = tmp_path / f"{network.upper()}_kinetics_RGB_resnet10_avg_segment3.pth.tar"
    torch.save({"state_dict": weights, "arch": "resnet10"}, path)
    config = parse_train((
        RECIPE, "motion", "RGB", "--root_path", str(motion_folder / "data/motion"), "--tune_from", str(path), "-b", "8",
        "--input_size", "32", "-j", "0", "--epochs", "1", "--root_log", str(tmp_path / "log"),
        "--root_model", str(tmp_path / "checkpoint"),
    ))  # fmt: skip
    assert config.partialbn and config.model.dropout == 0.8 and config.lr_batch_size == 16
    train(config, torch.device("cpu"))
    (last,) = (tmp_path / "checkpoint").glob("*/last.pth.tar")
    content = read_checkpoint(last)
    about, tuned = content["about"], content["state_dict"]
    assert (about["network"], about["arch"], about["num_segments"]) == (network, "resnet10", 3)
    assert tuned["head.weight"].shape[0] == 8
    kept = {name for name in tuned if name in weights and torch.equal(tuned[name], weights[name])}
    assert not kept & {"backbone.bn1.weight", "backbone.bn1.running_mean", "backbone.layer4.0.conv1.weight"}
    later = [name for name in weights if name.startswith("backbone.layer") and "bn2" in name]
    assert later and set(later) <= kept
