"""The networks beside MSN: trained, and tested with nothing but their weights, alone and as an ensemble."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from ops.checkpoints.description import describe
from ops.checkpoints.file import read_checkpoint
from ops.evaluation.score_files.score_pickle import read_view
from ops.models.names import NETWORKS
from tests.commands import SMALL_TRAINING, run_script, succeeded

OTHERS = ("tdn", "tsm", "tsn")
QUIET = ("-j", "1", "--gpus", "0")
CENTRE = "test_models_center_crop.py"


@pytest.fixture(scope="module")
def folder(motion_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which each of the networks was trained for an epoch."""
    folder = tmp_path_factory.mktemp("networks")
    shutil.copytree(motion_folder / "data", folder / "data")
    for network in OTHERS:
        command = ("motion", "RGB", "--model", network, *SMALL_TRAINING, "--epochs", "1")
        assert f"training {run_of(network)}" in succeeded(run_script("main.py", *command, cwd=folder))
    return folder


def run_of(network: str) -> str:
    return f"{network.upper()}_motion_RGB_resnet10_avg_segment2"


def weights_of(network: str) -> str:
    return f"checkpoint/{run_of(network)}/best.pth.tar"


def scores(folder: Path) -> np.ndarray:
    return read_view(folder / "0_crop0.pkl").scores


@pytest.mark.parametrize("network", OTHERS)
def test_its_weights_say_what_it_is(network: str, folder: Path) -> None:
    path = folder / weights_of(network)
    content = read_checkpoint(path)
    found = describe(content, path)
    assert (found.network, found.arch, found.num_segments) == (network, "resnet10", 2)
    assert (found.num_classes, found.motion, found.dataset) == (8, NETWORKS[network], "motion")
    saved = json.loads((folder / "log" / run_of(network) / "config.json").read_text())["model"]
    assert saved["network"] == network and saved["motion"] == list(NETWORKS[network])
    assert saved["motion_weight"] == (0.25 if network == "tdn" else None)


def test_tested_alone_and_together(folder: Path) -> None:
    """An ensemble reads of each video the frames that each network sees: its scores are the mean of theirs."""
    for network in OTHERS:
        said = succeeded(run_script(CENTRE, "--weights", weights_of(network), *QUIET, cwd=folder))
        assert f"{weights_of(network)}: data set motion" in said
        assert "2 frames x 1 crop x 1 clip, 32 x 32 px" in said and "in training" not in said
    several = ",".join(map(weights_of, OTHERS))
    command = ("--weights", several, "--model", ",".join(OTHERS), "--coeff", "1,2,3", "--output_dir", "all")
    succeeded(run_script(CENTRE, *command, *QUIET, cwd=folder))
    alone = [scores(folder / "results" / f"{run_of(network)}_best_1x1") for network in OTHERS]
    expected = np.tensordot([1 / 3, 2 / 3, 1], alone, axes=1)
    np.testing.assert_allclose(scores(folder / "all"), expected, rtol=1e-5, atol=1e-6)
    assert not np.allclose(alone[0], alone[1], atol=1e-3) and not np.allclose(alone[1], alone[2], atol=1e-3)


def test_another_network_than_asked_for(folder: Path) -> None:
    command = ("motion", "--weights", weights_of("tdn"), "--model", "msn", "--output_dir", "other", *QUIET)
    result = run_script(CENTRE, *command, cwd=folder)
    assert result.returncode == 2 and result.stderr.count("\n") == 1
    assert "expected weights of --model msn, got those of tdn" in result.stderr
    assert not (folder / "other").exists()
