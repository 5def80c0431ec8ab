"""The networks beside MSN: trained, and tested with nothing but their weights, alone and as an ensemble."""

import json
import math
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as tvf

import test_models_center_crop as center_script
import test_models_three_crops as three_script
from ops.checkpoints.description import describe
from ops.checkpoints.file import read_checkpoint
from ops.checkpoints.filling import load_weights
from ops.evaluation.score_files.score_pickle import read_view
from ops.evaluation.testing import score_views
from ops.models.build import build_model
from ops.models.names import FRAMES_PER_SEGMENT, NETWORKS
from ops.settings.command_lines import parse_test
from tests.commands import REPOSITORY, SMALL_TRAINING, run_script, succeeded
from tests.golden_weights import fill
from tests.oracle.networks import ORACLES

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


def plain_indices(length: int, dense: bool, clips: int) -> list[list[int]]:
    """Frames of each clip, as TSM's tests are written down; 8 segments of one frame."""
    if dense:
        starts = np.linspace(0, max(length - 64, 0), 10).astype(int).tolist()
        return [[(start + k * (64 // 8)) % length for k in range(8)] for start in starts]
    centres = [math.floor((k + 1 / 2) * length / 8) for k in range(8)]
    return [centres, [math.floor(k * length / 8) for k in range(8)]][:clips]


def plain_crops(frames: list[np.ndarray], full_res: bool, crops: int, size: int = 32) -> list[torch.Tensor]:
    """Short side to 256/224 of the size, crops in the centre, or at left, right and centre of the long side."""
    scale = size * 256 // 224
    pixels = torch.from_numpy(np.stack(frames)).movedim(-1, 1)  # (T, 3, H, W)
    height, width = pixels.shape[-2:]
    short = min(height, width)
    pixels = tvf.resize(pixels, [scale * height // short, scale * width // short], antialias=True)
    height, width, size = *pixels.shape[-2:], scale if full_res else size
    if crops == 1:
        places = [((height - size) // 2, (width - size) // 2)]
    else:
        y, x = (height - size) // 4, (width - size) // 4
        places = [(n * y, 2 * x) if height > width else (2 * y, n * x) for n in (0, 4, 2)]
    return [pixels[..., top : top + size, left : left + size] for top, left in places]


@pytest.mark.parametrize(
    ("script", "recipe", "dense", "full_res", "crops", "clips"),
    [
        (CENTRE, "center_crop/one_clip", False, False, 1, 1),
        ("test_models_three_crops.py", "three_crops/twice_sample", False, True, 3, 2),
        ("test_models_three_crops.py", "three_crops/ten_dense_clips", True, True, 3, 10),
    ],
)
def test_protocols_of_tsm(
    folder: Path, monkeypatch: pytest.MonkeyPatch, script: str, recipe: str, dense: bool, full_res: bool,
    crops: int, clips: int,
) -> None:  # fmt: skip
    """The scores of each view are those of the network on frames that were decoded one by one."""
    monkeypatch.chdir(folder)
    output = Path(recipe).name
    command = (f"@{REPOSITORY}/recipes/{recipe}.args", "motion", "--weights", weights_of("tsm"), "--test_segments", "8")
    tested = {CENTRE: center_script, "test_models_three_crops.py": three_script}[script].SCRIPT
    score_views(
        parse_test(tested, [*command, "--max_num", "2", "--output_dir", output, "-j", "0"]), torch.device("cpu")
    )
    network = build_model("resnet10", 8, 8, model="tsm").eval()
    load_weights(network, torch.load(weights_of("tsm"), weights_only=True), "tsm")
    for number, line in enumerate(Path("data/motion/val_videos.txt").read_text().splitlines()[:2]):
        with av.open(f"data/motion/{line.split()[0]}") as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        for clip, indices in enumerate(plain_indices(len(frames), dense, clips)):
            for crop, pixels in enumerate(plain_crops([frames[i] for i in indices], full_res, crops)):
                with torch.inference_mode():
                    expected = network(pixels[None, :, None])[0].numpy()  # (1, T, 1, 3, s, s)
                found = read_view(Path(output) / f"{clip}_crop{crop}.pkl").scores[number]
                np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    assert len(list(Path(output).glob("*.pkl"))) == clips * crops


@pytest.mark.parametrize(("network", "arch"), [("tsm", "resnet10"), ("tdn", "resnet50")])
def test_a_file_in_published_keys_needs_nothing_else(folder: Path, network: str, arch: str) -> None:
    """Its keys and its name say all; the scores are the logits of the plain network that wrote it."""
    oracle = fill(ORACLES[network](arch, 8, 2)).eval()
    path = folder / f"{network.upper()}_motion_RGB_{arch}_avg_segment2_e50.pth"
    state = {f"module.{name}": value for name, value in oracle.state_dict().items()}
    torch.save({"epoch": 50, "arch": arch, "state_dict": state, "best_prec1": 50.0}, path)
    said = succeeded(run_script(CENTRE, "--weights", path.name, "--max_num", "3", *QUIET, cwd=folder))
    assert f"{path.name}: taken from the file's name: " in said and "2 frames x 1 crop x 1 clip, 224 x 224 px" in said
    found = scores(folder / "results" / f"{path.stem}_1x1")
    mean, std = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    per_segment = FRAMES_PER_SEGMENT[network]
    for number, line in enumerate((folder / "data/motion/val_videos.txt").read_text().splitlines()[:3]):
        with av.open(str(folder / "data/motion" / line.split()[0])) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        starts = [math.floor((k + 1 / 2) * (len(frames) - per_segment + 1) / 2) for k in range(2)]
        (pixels,) = plain_crops([frames[s + i] for s in starts for i in range(per_segment)], False, 1, 224)
        clips = ((pixels / 255 - mean) / std).unflatten(0, (1, 2, per_segment))  # (1, T, F, 3, 224, 224)
        with torch.inference_mode():
            np.testing.assert_allclose(found[number], oracle(clips)[0].numpy(), rtol=1e-3, atol=1e-3)
    assert len(found) == 3
