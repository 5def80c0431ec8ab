"""The recipes: that each says what was published, and that each runs, on miniature data sets on a CPU.

The commands that a recipe starts are recorded by a stand-in for Python and read by the project's own parsers.
"""

import json
import re
import shutil
import stat
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

import test_models_center_crop as centre_script
import test_models_three_crops as three_script
from ops.settings.config import TestConfig, TrainConfig
from ops.settings.options import parse_results, parse_test, parse_train
from tests.commands import REPOSITORY, run, succeeded
from tests.settings.test_options import KINETICS, SOMETHING

SCRIPTS = REPOSITORY / "scripts"
SHARED = ("launch.sh", "fine_tune_splits.sh", "test_splits.sh")  # what recipes have in common
RECIPES = sorted(path.name for path in SCRIPTS.glob("*.sh") if path.name not in SHARED)
TRAIN = ("something_v1_8f", "something_v1_16f", "something_v2_8f", "something_v2_16f", "kinetics_8f")
FINE_TUNE = ("ucf101_8f", "hmdb51_8f")
TEST = (*TRAIN, *FINE_TUNE, "something_v1_8f_16f", "something_v2_8f_16f")
RECORDER = '#!/bin/sh\nfor word in "$@"; do printf "%s\\n" "$word" >> commands; done\necho >> commands\n'


def recorded(tmp_path: Path, recipe: str, *arguments: str, **environment: str) -> list[list[str]]:
    """The commands of a recipe, as words; what starts several processes first."""
    python = tmp_path / "python"
    python.write_text(RECORDER)
    python.chmod(0o755)
    succeeded(run("bash", str(SCRIPTS / recipe), *arguments, cwd=tmp_path, PYTHON=str(python), **environment))
    text = (tmp_path / "commands").read_text()
    (tmp_path / "commands").unlink()
    return [command.split("\n") for command in text.strip().split("\n\n")]


def without_launcher(command: list[str], processes: int) -> list[str]:
    """A command from its script on; it must have started so many processes."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    if processes > 1:
        assert command[:4] == launcher
        command = command[4:]
    assert command[0].endswith(".py")
    return [Path(command[0]).name, *command[1:]]


def training(command: list[str], processes: int = 2) -> TrainConfig:
    script, *arguments = without_launcher(command, processes)
    assert script == "main.py"
    return parse_train(arguments)


def views_of(command: list[str]) -> TestConfig:
    script, *arguments = without_launcher(command, 1)
    scripts = {f"{module.SCRIPT.prog}": module.SCRIPT for module in (centre_script, three_script)}
    return parse_test(scripts[script], arguments)


def differing(a: TrainConfig, b: TrainConfig) -> dict[str, object]:
    """Fields of the first that the second has not."""
    return {f.name: getattr(a, f.name) for f in fields(a) if getattr(a, f.name) != getattr(b, f.name)}


class TestPublished:
    """Without variables and options, on two GPUs."""

    def test_there_is_one_for_everything(self) -> None:
        wanted = [f"train_{name}.sh" for name in (*TRAIN, *FINE_TUNE)] + [f"test_{name}.sh" for name in TEST]
        assert sorted(wanted) == RECIPES

    @pytest.mark.parametrize(("name", "dataset"), [("something_v1", "something"), ("something_v2", "somethingv2")])
    def test_something(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, dataset: str) -> None:
        monkeypatch.chdir(tmp_path)
        published = parse_train(SOMETHING.replace("something", dataset, 1).split())
        (eight,) = recorded(tmp_path, f"train_{name}_8f.sh")
        config = training(eight)
        assert differing(config, published) == {"lr_batch_size": 16, "resume": "auto", "workers": 8}
        assert config.scaled_lr(2 * config.batch_size) == published.lr == 0.01
        (sixteen,) = recorded(tmp_path, f"train_{name}_16f.sh")
        changed = differing(training(sixteen), config)
        assert changed.pop("model").num_segments == 16  # type: ignore[attr-defined]
        assert changed == {"batch_size": 4}

    def test_kinetics(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        (command,) = recorded(tmp_path, "train_kinetics_8f.sh")
        config, published = training(command), parse_train(KINETICS.split())
        assert differing(config, published) == {"lr_batch_size": 16, "resume": "auto", "workers": 8}

    @pytest.mark.parametrize("name", ["ucf101", "hmdb51"])
    def test_fine_tuning(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        monkeypatch.chdir(tmp_path)
        commands = recorded(tmp_path, f"train_{name}_8f.sh")
        assert len(commands) == 3
        for split, command in enumerate(commands, 1):
            config = training(command)
            assert config.dataset.train_list == Path(f"data/{name}/train_videos_split{split}.txt")
            assert config.run_name.endswith(f"segment8_split{split}")
            assert (config.lr, config.lr_batch_size, config.epochs) == (0.001, 16, 25)
            assert config.tune_from == "checkpoint/MSN_kinetics_RGB_resnet50_avg_segment8/best.pth.tar"
        chosen = recorded(tmp_path, f"train_{name}_8f.sh", "--storage", "frames", "--lr", "0.1", SPLITS="3 1")
        configs = [training(command) for command in chosen]
        assert [config.dataset.val_list.name for config in configs] == [f"val_frames_split{n}.txt" for n in (3, 1)]
        assert {config.lr for config in configs} == {0.1}

    @pytest.mark.parametrize("name", TEST)
    def test_testing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        """Views as published, weights where the training recipe puts them, results of the same folders and views."""
        monkeypatch.chdir(tmp_path)
        commands = recorded(tmp_path, f"test_{name}.sh")
        tests = [views_of(c) for c in commands if "test_models" in c[0]]
        for config in tests:
            segments = config.models[0].num_segments
            run_name = f"MSN_{config.dataset.name}_RGB_resnet50_avg_segment{segments}"
            assert re.fullmatch(run_name + r"(_split\d)?", config.models[0].weights.parent.name)
            views = (config.num_crops, config.num_clips, config.clips, config.full_res)
            assert views == ((1, 1, (0,), False) if "something" in name else (3, 10, tuple(range(10)), True))
            assert config.resume_scores
        for command in commands:
            for folder in command[2:]:  # as if the tests had been made
                if folder.startswith("results") and not folder.endswith(".json"):
                    Path(folder).mkdir(parents=True, exist_ok=True)
        results = [parse_results(c[1:]) for c in commands if c[0].endswith("pkl_to_results.py")]
        folders = [config.output_dir for config in tests]
        assert [r.folders for r in results[: len(tests)]] == [(folder,) for folder in folders]
        assert {(r.num_crops, r.num_clips) for r in results} == {(tests[0].num_crops, tests[0].num_clips)}
        if name.endswith("8f_16f"):
            assert [config.models[0].num_segments for config in tests] == [8, 16]
            assert results[2].folders == tuple(folders)
        if name in FINE_TUNE:
            assert commands[-1][0].endswith("mean_results.py")
            assert commands[-1][1:] == [f"results/{name}_split{split}/results.json" for split in (1, 2, 3)]


class TestVariables:
    def test_they_and_further_options_are_passed_on(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        variables = {"NUM_GPUS": "4", "BATCH_SIZE": "6", "WORKERS": "3", "ROOT": "my data", "PRETRAIN": "none"}
        (command,) = recorded(tmp_path, "train_something_v1_8f.sh", "--amp", "bf16", "--lr", "0.5", **variables)
        config = training(command, 4)
        assert (config.batch_size, config.workers, config.dataset.root) == (6, 3, Path("my data"))
        assert (config.pretrain, config.amp, config.lr) == ("none", "bf16", 0.5)
        variables = {"WEIGHTS_8F": "a", "WEIGHTS_16F": "b", "OUTPUT": "o", "ROOT": "r"}
        commands = recorded(tmp_path, "test_something_v2_8f_16f.sh", "--max_num", "7", **variables)
        tests = [views_of(c) for c in commands if "test_models" in c[0]]
        found = [(t.models[0].weights, t.output_dir, t.dataset.root, t.max_num) for t in tests]
        assert found == [(Path("a"), Path("o/8f"), Path("r"), 7), (Path("b"), Path("o/16f"), Path("r"), 7)]

    def test_a_step_that_fails_ends_the_recipe(self, tmp_path: Path) -> None:
        result = run("bash", str(SCRIPTS / "test_ucf101_8f.sh"), cwd=tmp_path, PYTHON="false")
        assert result.returncode == 1


class TestMean:
    def test_of_several_results(self, tmp_path: Path) -> None:
        for number, accuracy in enumerate((10.0, 20.0, 60.0)):
            content = {"top1": accuracy, "top5": 2 * accuracy, "mean_class_accuracy": accuracy / 2}
            (tmp_path / f"{number}.json").write_text(json.dumps(content))
        command = (sys.executable, str(SCRIPTS / "mean_results.py"))
        output = succeeded(run(*command, "0.json", "1.json", "2.json", cwd=tmp_path))
        lines = output.splitlines()
        assert lines[1] == "1.json: top-1 20.00 %, top-5 40.00 %, mean class accuracy 10.00 %"
        assert lines[3] == "mean of 3 results: top-1 30.00 %, top-5 60.00 %, mean class accuracy 15.00 %"
        (tmp_path / "bad.json").write_text('{"top1": 1}')
        for name in ("bad.json", "none.json"):
            result = run(*command, "0.json", name, cwd=tmp_path)
            assert result.returncode == 2 and f"{name}: expected results of pkl_to_results.py" in result.stderr
            assert len(result.stderr.splitlines()) == 1


class TestStyle:
    @pytest.mark.parametrize("name", [*RECIPES, *SHARED])
    def test_header_and_safety(self, name: str) -> None:
        path = SCRIPTS / name
        lines = path.read_text().splitlines()
        assert lines[0] == "#!/usr/bin/env bash" and "set -euo pipefail" in lines
        header = "\n".join(lines[: lines.index("set -euo pipefail")])
        assert f"bash scripts/{name}" in header
        assert path.stat().st_mode & stat.S_IXUSR

    def test_shellcheck(self) -> None:
        if shutil.which("shellcheck") is None:
            pytest.skip("shellcheck is not installed")
        paths = [str(path) for path in SCRIPTS.glob("*.sh")]
        done = subprocess.run(["shellcheck", *paths], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


SMALL = ("--input_size", "32")
TINY = (*SMALL, "--arch", "resnet10", "--epochs", "1", "--print-freq", "1")


@pytest.fixture(scope="module")
def data(motion_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the five data sets, made of 4 and 3 clips of the motion set."""
    folder = tmp_path_factory.mktemp("recipes")
    motion = motion_folder / "data" / "motion"
    layouts = {"something": "frames", "somethingv2": "frames", "kinetics": "videos", "ucf101": "videos",
               "hmdb51": "videos"}  # fmt: skip
    for name, form in layouts.items():
        root = folder / "data" / name
        root.mkdir(parents=True)
        (root / form).symlink_to(motion / form)
        shutil.copy(motion / "classes.txt", root)
        for split, count in (("train", 4), ("val", 3)):
            lines = "".join((motion / f"{split}_{form}.txt").read_text().splitlines(keepends=True)[:count])
            names = [f"{split}_{form}_split{n}.txt" for n in (1, 2, 3)] if "1" in name else [f"{split}.txt"]
            for list_name in names:
                (root / list_name).write_text(lines)
    return folder


def carry_out(folder: Path, recipe: str, *arguments: str, **environment: str) -> str:
    """Run a recipe for real, with this Python and small batches."""
    variables = {"PYTHON": sys.executable, "BATCH_SIZE": "2", "WORKERS": "1", "PRETRAIN": "none", **environment}
    return succeeded(run("bash", str(SCRIPTS / recipe), *arguments, cwd=folder, **variables))


class TestRun:
    def test_train_in_two_processes_and_test(self, data: Path) -> None:
        output = carry_out(data, "train_something_v1_8f.sh", *TINY, NUM_GPUS="2", BATCH_SIZE="1")
        assert output.count("learning rate 0.01 for 16 videos a step -> 0.00125 for 2") == 1
        assert "step 2/2" in output and "lr 0.00125," in output
        run_name = "MSN_something_RGB_resnet10_avg_segment8"
        settings = json.loads((data / "log" / run_name / "config.json").read_text())
        assert (settings["lr"], settings["lr_batch_size"]) == (0.01, 16)
        weights = f"checkpoint/{run_name}/best.pth.tar"
        output = carry_out(data, "test_something_v1_8f.sh", *SMALL, "--archs", "resnet10", WEIGHTS=weights)
        assert "[8 frames x 1 crop x 1 clip, 32 x 32 of short side 36, something val.txt (3 videos)" in output
        assert (data / "results/something_v1_8f/results.json").is_file()

    @pytest.mark.slow
    @pytest.mark.parametrize(("name", "dataset"), [("something_v1", "something"), ("something_v2", "somethingv2")])
    def test_8_and_16_segments_and_both(self, data: Path, name: str, dataset: str) -> None:
        """With folders of its own, so that it does not matter which of these tests run, and in which order."""
        runs = ("--root_model", "both", "--root_log", "both_log")
        weights = {}
        for segments in (8, 16):
            recipe = f"train_{name}_{segments}f.sh"
            output = carry_out(data, recipe, *TINY, *runs, NUM_GPUS="1")
            assert "learning rate 0.01 for 16 videos a step -> 0.00125 for 2" in output
            assert f"{segments} frames x 1 crop x 1 clip" in output
            weights[f"WEIGHTS_{segments}F"] = f"both/MSN_{dataset}_RGB_resnet10_avg_segment{segments}/best.pth.tar"
        output = carry_out(data, f"test_{name}_8f_16f.sh", *SMALL, "--archs", "resnet10", **weights)
        together = output.split("8 and 16 segments together:\n")[1]
        assert "8 frames x 1 crop x 1 clip" in together and "+ 16 frames x 1 crop x 1 clip" in together

    @pytest.mark.slow
    def test_kinetics_then_fine_tuning(self, data: Path) -> None:
        carry_out(data, "train_kinetics_8f.sh", *TINY, NUM_GPUS="1")
        checkpoints = "checkpoint/MSN_{}_RGB_resnet10_avg_segment8"
        weights = f"{checkpoints.format('kinetics')}/best.pth.tar"
        test = (*SMALL, "--archs", "resnet10")
        output = carry_out(data, "test_kinetics_8f.sh", *test, WEIGHTS=weights)
        assert "[8 frames x 3 crops x 10 clips, 36 x 36 of short side 36, kinetics val.txt (3 videos)" in output
        for name, splits in (("ucf101", "1 2 3"), ("hmdb51", "2")):
            numbers = splits.split()
            output = carry_out(data, f"train_{name}_8f.sh", *TINY, NUM_GPUS="1", TUNE_FROM=weights, SPLITS=splits)
            assert output.count(f"tuning from {weights}; left out: nothing") == len(numbers)
            assert output.count("learning rate 0.001 for 16 videos a step -> 0.000125 for 2") == len(numbers)
            folder = checkpoints.format(name)
            output = carry_out(data, f"test_{name}_8f.sh", *test, CHECKPOINTS=folder, SPLITS=splits)
            assert f"{name} val_videos_split{numbers[-1]}.txt (3 videos)" in output
            results = [json.loads((data / f"results/{name}_8f_split{s}/results.json").read_text()) for s in numbers]
            mean = sum(result["top1"] for result in results) / len(numbers)
            assert f"mean of {len(numbers)} result{'s' * (len(numbers) > 1)}: top-1 {mean:.2f} %" in output
        again = carry_out(
            data, "train_hmdb51_8f.sh", *TINY, "--epochs", "2", NUM_GPUS="1", TUNE_FROM=weights, SPLITS="2"
        )
        assert "1 epochs and 0 steps done" in again and "tuning from" not in again
