"""Commands of the README and the docs, taken from the pages and run as they stand, but for what makes them short.

A tiny ``something`` (frames), ``kinetics`` (videos), ``motion`` and ``mine`` (class folders) lie where the commands
expect them, and a file of random weights where torchvision keeps its downloads.
"""

import re
import shutil
import sys
from pathlib import Path

import pytest
import torch
import torchvision

import test_models_center_crop as centre_script
import test_models_three_crops as three_script
from ops.settings import parse_results, parse_test, parse_train
from tests.commands import REPOSITORY, run, run_script, succeeded
from tests.pages import PAGES, README, commands, commands_with, page_id

SHORT = ("--epochs", "1", "--input_size", "32")
SMALL_SET = ("--train", "4", "--val", "2", "--frames", "14", "--width", "56", "--height", "40")
DATASETS, TRAINING, TESTING, PICTURES = (
    REPOSITORY / "docs" / f"{name}.md" for name in ("datasets", "training", "testing", "pictures")
)
STARTED: set[str] = set()
PARSERS = {
    "main.py": parse_train,
    "test_models_center_crop.py": lambda words: parse_test(centre_script.SCRIPT, words),
    "test_models_three_crops.py": lambda words: parse_test(three_script.SCRIPT, words),
    "pkl_to_results.py": parse_results,
}


def run_command(command: list[str], folder: Path, *extra: str, **replaced: str) -> str:
    """Run a command of a page in ``folder`` with this Python and the repository's scripts.

    The first command of each script starts a Python of its own, as a user's does; the others are forked.
    """
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
    if words[1] in STARTED:
        return succeeded(run_script(*words[1:], *extra, cwd=folder, **environment))
    STARTED.update(words[1:2] if words[1].startswith(str(REPOSITORY)) else ())
    return succeeded(run(*words, *extra, cwd=folder, **environment))


@pytest.fixture(scope="module")
def folder(motion_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/something, data/kinetics, data/motion, data/mine and ImageNet-shaped random weights."""
    folder = tmp_path_factory.mktemp("readme")
    source = motion_folder / "data" / "motion"
    for name, form in (("something", "frames"), ("kinetics", "videos")):
        root = folder / "data" / name
        root.mkdir(parents=True)
        (root / form).symlink_to(source / form)
        for split in ("train", "val"):
            (root / f"{split}.txt").write_text((source / f"{split}_{form}.txt").read_text())
    (folder / "data" / "motion").symlink_to(source)
    for number, video in enumerate(sorted((source / "videos").rglob("*.mp4"))[:10]):
        target = folder / "data" / "mine" / ("jump", "run")[number % 2] / f"clip {number}.mp4"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(video, target)
    cache = folder / "torch" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    torch.manual_seed(0)
    weights = torchvision.models.get_model_weights("resnet50")["IMAGENET1K_V1"]
    torch.save(torchvision.models.resnet50().state_dict(), cache / weights.url.rsplit("/", 1)[1])
    return folder


@pytest.fixture(scope="module")
def checkpoint(folder: Path) -> str:
    """What the README's training command leaves."""
    output = run_command(commands_with(README, "main.py", "something", "RGB")[0], folder, *SHORT)
    assert "epoch 1/1 step 1/1" in output and "something val.txt (7 videos)" in output
    return "checkpoint/MSN_something_RGB_resnet50_avg_segment8/best.pth.tar"


@pytest.fixture(scope="module")
def scores(folder: Path, checkpoint: str) -> str:
    """What the README's test command leaves."""
    test = commands_with(README, "test_models_center_crop.py", "something")[0]
    output = run_command(test, folder, "--input_size", "32", CKPT=checkpoint, DIR="results")
    assert "8 frames x 1 crop x 1 clip, 32 x 32 px from short side 36, something val.txt (7 videos)" in output
    return "results"


class TestReadme:
    def test_centre_crop(self, folder: Path, scores: str):
        results = commands_with(README, "pkl_to_results.py", "1", "--num_clips")[0]
        assert "best.pth.tar (epoch 1)" in run_command(results, folder, DIR=scores)

    def test_three_crops_of_ten_clips(self, folder: Path, checkpoint: str):
        """All ten clips in one run, with the classifier of another data set's size in place."""
        content = torch.load(folder / checkpoint, weights_only=True)
        state = content["state_dict"]
        for name in ("head.weight", "head.bias"):
            state[name] = torch.randn(400, *state[name].shape[1:])
        torch.save(content, folder / "kinetics.pth.tar")
        replaced = {"CKPT": "kinetics.pth.tar", "DIR": "results_kinetics"}
        test = commands_with(README, "test_models_three_crops.py")[0]
        run_command(test, folder, "--input_size", "32", "--clip_index", "all", "--max_num", "1", **replaced)
        results = run_command(commands_with(README, "pkl_to_results.py", "10")[0], folder, **replaced)
        assert "8 frames x 3 crops x 10 clips, 36 x 36 px from short side 36, kinetics val.txt (1 video" in results

    def test_own_videos(self, folder: Path):
        """From class folders to a report with their names."""
        (lists,) = commands_with(README, "folders")
        run_command(lists, folder)
        (train,) = commands_with(README, "main.py", "mine")
        run_command(train, folder, *SHORT, "--arch", "resnet10", "--pretrain", "none")
        (test,) = commands_with(README, "test_models_center_crop.py", "mine")
        weights = {word: word.replace("resnet50", "resnet10") for word in test if word.endswith(".pth.tar")}
        output = run_command(test, folder, "--input_size", "32", "--archs", "resnet10", **weights)
        assert "mine val.txt (2 videos)" in output
        (report,) = commands_with(README, "pkl_to_results.py", "results/mine")
        run_command(report, folder)
        assert {"jump", "run"} <= set((folder / "results" / "mine" / "results.txt").read_text().split())

    def test_python(self, folder: Path, checkpoint: str):
        (code,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
        clips = "import torch\nclips = torch.zeros(1, 8, 5, 3, 32, 32, dtype=torch.uint8)\n"
        code = clips + code.replace("best.pth.tar", checkpoint) + "print(tuple(logits.shape))"
        (folder / "in_python.py").write_text(code)
        assert run_command(["python", "in_python.py"], folder) == "(1, 174)\n"


class TestDocs:
    def test_an_interrupted_run_resumes(self, folder: Path, checkpoint: str):
        (resume,) = commands_with(TRAINING, "--resume", "auto")
        assert f"resuming from {Path(checkpoint).parent}/" in run_command(resume, folder, *SHORT)

    def test_several_models(self, folder: Path, checkpoint: str):
        (test,) = commands_with(TESTING, "CKPT8,CKPT16")
        weights = {"CKPT8,CKPT16": f"{checkpoint},{checkpoint}", "DIR": "results_both"}
        output = run_command(test, folder, "--input_size", "32", "--max_num", "1", **weights)
        assert "8+16 frames x 1 crop x 1 clip" in output

    def test_several_folders(self, folder: Path, scores: str):
        (results,) = commands_with(TESTING, "--multi_segments")
        shutil.copytree(folder / scores, folder / "results_again")
        run_command(results, folder, DIR8=scores, DIR16="results_again")
        assert (folder / scores / "ensemble_results.txt").is_file()

    def test_frames_of_own_videos(self, folder: Path):
        (extract,) = commands_with(DATASETS, "scripts/preparation/extract_frames.py", "data/mine")
        (lists,) = commands_with(DATASETS, "folders", "data/mine_frames")
        run_command(extract, folder)
        run_command(lists, folder)
        assert 'storage = "frames"' in (folder / "data" / "mine_frames" / "dataset.toml").read_text()

    def test_pictures(self, folder: Path):
        drawing = [c for c in commands_with(PICTURES, "python") if any(word.endswith(".png") for word in c)]
        assert len(drawing) > 1
        for command in drawing:
            run_command(command, folder)
            picture = next(word for word in command if word.endswith(".png"))
            assert (folder / picture).read_bytes().startswith(b"\x89PNG")

    def test_pictures_of_a_network(self, folder: Path, checkpoint: str):
        explain = commands_with(PICTURES, "CHECKPOINT", "scripts/explain.py")[0]
        clip = next((folder / "data" / "mine").rglob("*.mp4"))
        run_command(explain, folder, "--what", "scores,gates", CHECKPOINT=checkpoint, **{"clip.mp4": str(clip)})
        assert len(list((folder / "explained").rglob("*.png"))) == 2

    def test_pages(self, folder: Path, scores: str):
        run_command(commands_with(PICTURES, "scripts/report.py")[0], folder, DIR=scores)
        assert (folder / scores / "report.html").is_file()
        curves = commands_with(PICTURES, "scripts/training_curves.py", "log")[0]
        run_command(curves, folder)
        assert (folder / "curves.html").is_file()

    def test_synthetic_set(self, tmp_path: Path):
        (render,) = commands_with(DATASETS, "scripts/preparation/render_motion.py")
        run_command(render, tmp_path, *SMALL_SET)
        assert (tmp_path / "data" / "motion" / "classes.txt").is_file()

    @pytest.mark.parametrize("page", PAGES, ids=page_id)
    def test_commands_of_the_four_scripts_are_whole(self, page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """Each has all that its script asks for, with values that it accepts."""
        for name in ("mine", "somethingv2"):
            (tmp_path / "data" / name).mkdir(parents=True)
            toml = 'root = "."\nstorage = "videos"\nnum_classes = 3\ntrain_list = "train.txt"\nval_list = "val.txt"\n'
            (tmp_path / "data" / name / "dataset.toml").write_text(toml)
        (tmp_path / "recipes").symlink_to(REPOSITORY / "recipes")
        monkeypatch.chdir(tmp_path)
        for folder in ("DIR", "DIR8", "DIR16", "results/mine"):
            (tmp_path / folder).mkdir(parents=True)
        for words in commands(page.read_text(encoding="utf-8")):
            for script in PARSERS.keys() & set(words):
                PARSERS[script](words[words.index(script) + 1 :])
