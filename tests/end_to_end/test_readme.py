"""The commands of the README, taken from it and run as they stand, but for what makes them short.

A tiny ``something`` (frames) and ``kinetics`` (videos) are rendered where the commands expect them, and a file of
random weights lies where torchvision keeps its downloads.
"""

import re
import shlex
import sys
from pathlib import Path

import pytest
import torch
import torchvision

from tests.commands import REPOSITORY, run, succeeded

SHORT = ("--epochs", "1", "--input_size", "32")


def readme_commands() -> list[list[str]]:
    """Commands of the README's shell blocks that run one of the scripts, as words."""
    text = (REPOSITORY / "README.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    commands = [shlex.split(line, comments=True) for line in lines]
    return [c for c in commands if any(word.endswith(".py") and "/" not in word for word in c)]


def command_with(*words: str) -> list[str]:
    found = [c for c in readme_commands() if all(word in c for word in words)]
    assert found, words
    return found[0]


def run_command(command: list[str], folder: Path, *extra: str, replaced: dict[str, str]) -> str:
    """Run a README command in ``folder`` with this Python and the repository's scripts."""
    environment = {"TORCH_HOME": str(folder / "torch"), "PYTHONPATH": str(REPOSITORY)}
    while "=" in command[0]:
        name, value = command[0].split("=", 1)
        environment[name] = value
        command = command[1:]
    words = [replaced.get(word, word) for word in command]
    words = [sys.executable if word in ("python", "python3") else word for word in words]
    words = [
        str(REPOSITORY / word) if (REPOSITORY / word).is_file() and word.endswith(".py") else word for word in words
    ]
    return succeeded(run(*words, *extra, cwd=folder, **environment))


@pytest.fixture(scope="module")
def readme_folder(motion_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/something, data/kinetics and ImageNet-shaped random weights."""
    folder = tmp_path_factory.mktemp("readme")
    for name, form in (("something", "frames"), ("kinetics", "videos")):
        root = folder / "data" / name
        root.mkdir(parents=True)
        (root / form).symlink_to(motion_folder / "data" / "motion" / form)
        for split in ("train", "val"):
            lines = (motion_folder / "data" / "motion" / f"{split}_{form}.txt").read_text()
            (root / f"{split}.txt").write_text(lines)
    cache = folder / "torch" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    torch.manual_seed(0)
    weights = torchvision.models.get_model_weights("resnet50")["IMAGENET1K_V1"]
    torch.save(torchvision.models.resnet50().state_dict(), cache / weights.url.rsplit("/", 1)[1])
    return folder


@pytest.fixture(scope="module")
def trained(readme_folder: Path) -> dict[str, str]:
    """What to put for CKPT and DIR after the training command has run."""
    output = run_command(command_with("main.py", "something", "RGB"), readme_folder, *SHORT, replaced={})
    assert "epoch 1/1 step 1/1" in output and "something val.txt (7 videos)" in output
    return {"CKPT": "checkpoint/MSN_something_RGB_resnet50_avg_segment8/best.pth.tar", "DIR": "results"}


class TestReadme:
    def test_has_the_published_recipes(self):
        scripts = [word for command in readme_commands() for word in command if word.endswith(".py")]
        wanted = {"main.py", "test_models_center_crop.py", "test_models_three_crops.py", "pkl_to_results.py"}
        assert wanted <= set(scripts)

    def test_centre_crop(self, readme_folder, trained):
        test = command_with("test_models_center_crop.py")
        output = run_command(test, readme_folder, "--input_size", "32", replaced=trained)
        assert "8 frames x 1 crop x 1 clip, 32 x 32 of short side 36, something val.txt (7 videos)" in output
        results = command_with("pkl_to_results.py", "1", "--num_clips")
        assert "best.pth.tar (epoch 1)" in run_command(results, readme_folder, replaced=trained)

    def test_three_crops_of_ten_clips(self, readme_folder, trained):
        """All ten clips in one run, with the classifier of another data set's size in place."""
        content = torch.load(readme_folder / trained["CKPT"], weights_only=True)
        state = content["state_dict"]
        for name in ("head.weight", "head.bias"):
            state[name] = torch.randn(400, *state[name].shape[1:])
        torch.save(content, readme_folder / "kinetics.pth.tar")
        replaced = {"CKPT": "kinetics.pth.tar", "DIR": "results_kinetics"}
        test = command_with("test_models_three_crops.py")
        extra = ("--input_size", "32", "--clip_index", "all", "--max_num", "2")
        run_command(test, readme_folder, *extra, replaced=replaced)
        results = run_command(command_with("pkl_to_results.py", "10"), readme_folder, replaced=replaced)
        assert "8 frames x 3 crops x 10 clips, 36 x 36 of short side 36, kinetics val.txt (2 videos)" in results
