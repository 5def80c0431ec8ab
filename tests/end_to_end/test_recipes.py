"""The recipes: that each says what was published, and that each runs, on miniature data sets on a CPU.

The commands that train.sh and test.sh start are recorded by a stand-in for Python and read by the project's parsers.
"""

import itertools
import json
import re
import shutil
import stat
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import test_models_center_crop as center_script
import test_models_three_crops as three_script
from ops.models.names import NETWORKS
from ops.runtime.options.option_files import read_option_file
from ops.settings.command_lines import parse_results, parse_test, parse_train
from ops.settings.saved import config_dict
from ops.settings.training import TrainConfig
from tests.commands import REPOSITORY, run, succeeded
from tests.settings.test_command_lines import KINETICS, SOMETHING

SCRIPTS = REPOSITORY / "scripts"
RECIPES = REPOSITORY / "recipes"
# What the scripts that each recipe once was started: script, number of processes, settings.
BEFORE = json.loads((Path(__file__).parent / "recipes.json").read_text())
RECORDER = '#!/bin/sh\nfor word in "$@"; do printf "%s\\n" "$word" >> commands; done\necho >> commands\n'
TEST_SCRIPTS = {module.SCRIPT.prog: module.SCRIPT for module in (center_script, three_script)}


def recorded(tmp_path: Path, script: str, *arguments: str, **environment: str) -> list[tuple[str, int, list[str]]]:
    """The commands that a script starts: Python script, number of processes, arguments."""
    python = tmp_path / "python"
    python.write_text(RECORDER)
    python.chmod(0o755)
    succeeded(run("bash", str(SCRIPTS / script), *arguments, cwd=tmp_path, PYTHON=str(python), **environment))
    text = (tmp_path / "commands").read_text()
    (tmp_path / "commands").unlink()
    return [started(command.split("\n")) for command in text.strip().split("\n\n")]


def started(command: list[str]) -> tuple[str, int, list[str]]:
    processes = 1
    if command[0].endswith("/torchrun.py"):
        assert command[1] == "--standalone"
        processes = int(command[2].removeprefix("--nproc_per_node="))
        command = command[3:]
    return Path(command[0]).name, processes, command[1:]


def settings_of(script: str, arguments: list[str]) -> Any:
    """What a command asks for, in the shape of BEFORE."""
    if script == "main.py":
        return of_before(parse_train(arguments))
    if script in TEST_SCRIPTS:
        config = parse_test(TEST_SCRIPTS[script], arguments)
        models = [config_dict(model) for model in config.models]
        return of_before(config) | {"models": models, "clips": list(config.clips)}
    if script == "pkl_to_results.py":
        for option, folder in itertools.pairwise(arguments):
            if option.startswith("--output_dir"):
                Path(folder).mkdir(parents=True, exist_ok=True)  # as if the test had been made
        results = parse_results(arguments)
        return of_before(results) | {"folders": [str(folder) for folder in results.folders]}
    return arguments


def of_before(config: Any) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(config_dict(config)))
    return values


def shared(now: Any, was: Any) -> Any:
    """What settings say now of those that there were before."""
    if isinstance(was, list) and len(now) == len(was):
        return [shared(*pair) for pair in zip(now, was, strict=True)]
    return {key: shared(now[key], was[key]) for key in was} if isinstance(was, dict) else now


class TestAsBefore:
    """Without variables and options."""

    def test_every_recipe_is_there(self) -> None:
        there = [f"train_{path.stem}" for path in RECIPES.glob("*.args")]
        there += [
            f"test_{path.stem}" for views in ("center_crop", "three_crops") for path in (RECIPES / views).iterdir()
        ]
        pairs = [f"test_something_v{version}_8f_16f" for version in (1, 2)]  # of two recipes
        assert sorted([*pairs, *(name.replace("_msn_", "_") for name in there if "_msn_" in name)]) == sorted(BEFORE)

    @pytest.mark.parametrize("name", BEFORE)
    def test_same_settings(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        monkeypatch.chdir(tmp_path)
        kind, recipe = name.split("_", 1)
        commands = recorded(tmp_path, f"{kind}.sh", f"msn_{recipe}")
        assert [(script, processes) for script, processes, _ in commands] == [
            (before["script"], before["processes"]) for before in BEFORE[name]
        ]
        for (script, _, arguments), before in zip(commands, BEFORE[name], strict=True):
            now = settings_of(script, arguments)
            was = before["settings"]
            if script == "main.py":
                was = {**was, "channels_last": None}  # as the device needs it, since then
            assert shared(now, was) == was

    @pytest.mark.parametrize("dataset", ["something", "somethingv2"])
    def test_something_is_as_published(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset: str) -> None:
        monkeypatch.chdir(tmp_path)
        name = {"something": "v1", "somethingv2": "v2"}[dataset]
        published = parse_train(SOMETHING.replace("something", dataset, 1).split())
        config = parse_train([f"@{RECIPES}/msn_something_{name}_8f.args"])
        assert differing(config, published) == {"lr_batch_size": 16, "workers": 8}
        assert config.scaled_lr(2 * config.batch_size) == published.lr == 0.01

    def test_kinetics_is_as_published(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        config = parse_train([f"@{RECIPES}/msn_kinetics_8f.args"])
        assert differing(config, parse_train(KINETICS.split())) == {"lr_batch_size": 16, "workers": 8}


def differing(a: TrainConfig, b: TrainConfig) -> dict[str, object]:
    """Fields of the first that the second has not."""
    return {f.name: getattr(a, f.name) for f in fields(a) if f.compare and getattr(a, f.name) != getattr(b, f.name)}


SHARED = {"arch": "resnet50", "consensus": "avg", "dropout": 0.5, "clip_gradient": 20, "lr_scheduler": "step",
          "lr_decay_rate": 0.1, "momentum": 0.9, "num_segments": 8, "warmup_epoch": 0, "accumulate": 1,
          "dense_sample": False, "input_size": 224, "eval_freq": 1, "loss_type": "nll"}  # fmt: skip
SINGLE, GROUPS = {"param_groups": "single", "partialbn": False}, {"param_groups": "tsn", "partialbn": False}
SOMETHING_OF_TSM = {"lr": 0.01, "lr_batch_size": 64, "lr_steps": (20, 40), "epochs": 50, "weight_decay": 5e-4,
                    "flips": False, **GROUPS}  # fmt: skip
KINETICS_OF_TSM = {"lr": 0.02, "lr_batch_size": 128, "lr_steps": (20, 40), "epochs": 50, "weight_decay": 1e-4,
                   "flips": True, **GROUPS}  # fmt: skip
TUNING = {"lr": 0.001, "lr_steps": (10, 20), "epochs": 25, "dropout": 0.8, "weight_decay": 5e-4, "flips": True}
TUNING_OF_TSM = {**TUNING, "lr_batch_size": 64, "param_groups": "tsn", "partialbn": True}
# As their authors published them; TSN on other data than Kinetics as TSM, TDN's fine-tuning as MSN's.
PUBLISHED = {
    ("tdn", "something"): {"lr": 0.01, "lr_batch_size": 64, "lr_steps": (30, 45, 55), "epochs": 60,
                           "weight_decay": 5e-4, "flips": True, **SINGLE},
    ("tdn", "kinetics"): {"lr": 0.02, "lr_batch_size": 128, "lr_steps": (50, 75, 90), "epochs": 100,
                          "weight_decay": 1e-4, "flips": True, **SINGLE},
    ("tdn", "fine_tune"): {**TUNING, "lr_batch_size": 16, **SINGLE},
    ("tsm", "something"): SOMETHING_OF_TSM,
    ("tsm", "kinetics"): KINETICS_OF_TSM,
    ("tsm", "fine_tune"): TUNING_OF_TSM,
    ("tsn", "something"): SOMETHING_OF_TSM,
    ("tsn", "kinetics"): {**KINETICS_OF_TSM, "num_segments": 5},
    ("tsn", "fine_tune"): TUNING_OF_TSM,
}  # fmt: skip
DATA = {"something": ("something", "somethingv2"), "kinetics": ("kinetics",), "fine_tune": ("ucf101", "hmdb51")}


class TestOtherNetworks:
    def test_every_recipe_is_there(self) -> None:
        others = [path.stem for path in RECIPES.glob("*.args") if not path.stem.startswith("msn_")]
        assert sorted(others) == sorted(["finetune_small", *(f"{network}_{family}" for network, family in PUBLISHED)])

    @pytest.mark.parametrize(("network", "family"), PUBLISHED)
    def test_training_is_as_published(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: str, family: str
    ) -> None:
        """On each data set, in 8 processes of as many videos as are a step in the published code."""
        monkeypatch.chdir(tmp_path)
        expected = {**SHARED, **PUBLISHED[network, family], "network": network, "pretrain": "imagenet"}
        videos = expected["lr_batch_size"]
        for dataset in DATA[family]:
            named = () if family == "kinetics" else (dataset, "RGB")
            variables = {"NUM_GPUS": "8", "BATCH_SIZE": str(videos // 8), "SPLITS": "2"}
            ((script, processes, arguments),) = recorded(
                tmp_path, "train.sh", f"{network}_{family}", *named, **variables
            )
            assert (script, processes) == ("main.py", 8)
            config = parse_train(arguments)
            found = {name: getattr(config.model if hasattr(config.model, name) else config, name) for name in expected}
            assert found == expected
            assert config.scaled_lr(processes * config.batch_size) == config.lr
            assert config.dataset.name == dataset and config.model.motion == NETWORKS[network]
            if family == "fine_tune":
                segments = PUBLISHED[network, "kinetics"].get("num_segments", 8)
                run_name = f"{network.upper()}_kinetics_RGB_resnet50_avg_segment{segments}"
                assert config.tune_from == f"checkpoint/{run_name}/best.pth.tar" and config.suffix == "split2"
                assert config.dataset.val_list.name == "val_videos_split2.txt"
            else:
                assert (
                    config.run_name
                    == f"{network.upper()}_{dataset}_RGB_resnet50_avg_segment{config.model.num_segments}"
                )

    @pytest.mark.parametrize(
        ("recipe", "script", "crops", "clips", "full_res", "dense", "average"),
        [
            ("one_clip", "test_models_center_crop.py", 1, 1, False, False, "softmax"),
            ("ten_clips", "test_models_three_crops.py", 3, 10, True, False, "softmax"),
            ("twice_sample", "test_models_three_crops.py", 3, 2, True, False, "logits"),
            ("ten_dense_clips", "test_models_three_crops.py", 3, 10, True, True, "logits"),
        ],
    )
    def test_views(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: str, script: str, crops: int, clips: int,
        full_res: bool, dense: bool, average: str,
    ) -> None:  # fmt: skip
        """Of any data set and checkpoint, whose network, backbone and segments the checkpoint says."""
        monkeypatch.chdir(tmp_path)
        first, second = recorded(tmp_path, "test.sh", recipe, "somethingv2", WEIGHTS="tsm.pth")
        config = parse_test(TEST_SCRIPTS[script], first[2])
        assert first[0] == script and config.dataset.name == "somethingv2"
        assert [str(model.weights) for model in config.models] == ["tsm.pth"]
        assert (config.num_crops, config.num_clips, config.clips) == (crops, clips, tuple(range(clips)))
        assert (config.full_res, config.dense_sample, config.average) == (full_res, dense, average)
        assert config.was_given("dense_sample") is dense  # else the checkpoint says it
        assert (config.networks, config.archs, config.test_segments) == (None, None, None)
        results = settings_of(second[0], second[2])
        assert (results["num_crops"], results["num_clips"], results["average"]) == (crops, clips, None)
        assert results["folders"] == [f"results/{recipe}_somethingv2"] == [str(config.output_dir)]

    def test_8_and_16_segments_as_published(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        variables = {"WEIGHTS_8F": "a", "WEIGHTS_16F": "b", "AVERAGE": "relu"}
        commands = recorded(tmp_path, "test.sh", "one_clip_8f_16f", "something", **variables)
        tests = [parse_test(TEST_SCRIPTS[c[0]], c[2]) for c in commands if c[0] in TEST_SCRIPTS]
        together = settings_of(commands[-1][0], commands[-1][2])
        assert [str(test.models[0].weights) for test in tests] == ["a", "b"]
        assert [str(test.output_dir) for test in tests] == together["folders"]
        assert together["folders"] == [f"results/one_clip_8f_16f_something/{n}f" for n in (8, 16)]
        assert together["average"] == "relu"


class TestFiles:
    @pytest.mark.parametrize("path", sorted(RECIPES.rglob("*.args")), ids=lambda path: str(path.relative_to(RECIPES)))
    def test_header_and_options(self, path: Path) -> None:
        """A comment says what it is; parts alone, and what they are parts of, can be read."""
        lines = path.read_text().splitlines()
        assert re.fullmatch(r"# [A-Z].*", lines[0])
        assert len(list(read_option_file(path))) == len([line for line in lines if line and not line.startswith("#")])

    def test_what_was_read_is_known(self) -> None:
        config = parse_train([f"@{RECIPES}/msn_something_v1_8f.args"])
        assert [Path(file.path).name for file in config.read_from] == ["msn_something_v1_8f.args", "something.args"]
        assert "--num_segments 8" in config.read_from[0].options and "--gd 20" in config.read_from[1].options


class TestVariables:
    def test_they_and_further_options_are_passed_on(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        variables = {"NUM_GPUS": "4", "BATCH_SIZE": "6", "WORKERS": "3", "ROOT": "my data", "PRETRAIN": "none"}
        options = ("--amp", "bf16", "--lr", "0.5")
        ((_, processes, arguments),) = recorded(tmp_path, "train.sh", "msn_something_v1_8f", *options, **variables)
        config = parse_train(arguments)
        assert (processes, config.batch_size, config.workers, config.dataset.root) == (4, 6, 3, Path("my data"))
        assert (config.pretrain, config.amp, config.lr) == ("none", "bf16", 0.5)

    def test_of_two_recipes_together(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        variables = {"WEIGHTS_8F": "a", "WEIGHTS_16F": "b", "OUTPUT": "o", "ROOT": "r", "WORKERS": "0"}
        commands = recorded(tmp_path, "test.sh", "msn_something_v2_8f_16f", "--max_num", "7", **variables)
        tests = [parse_test(TEST_SCRIPTS[c[0]], c[2]) for c in commands if c[0] in TEST_SCRIPTS]
        found = [(t.models[0].weights, t.output_dir, t.dataset.root, t.max_num, t.workers) for t in tests]
        assert found == [(Path("a"), Path("o/8f"), Path("r"), 7, 0), (Path("b"), Path("o/16f"), Path("r"), 7, 0)]

    def test_of_splits(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        options = ("--storage", "frames", "--lr", "0.1")
        variables = {"SPLITS": "3 1", "TUNE_FROM": "k.pth.tar"}
        commands = recorded(tmp_path, "train.sh", "msn_ucf101_8f", *options, **variables)
        configs = [parse_train(arguments) for *_, arguments in commands]
        assert [config.dataset.val_list.name for config in configs] == [f"val_frames_split{n}.txt" for n in (3, 1)]
        assert [config.suffix for config in configs] == ["split3", "split1"]
        assert {(config.lr, config.tune_from) for config in configs} == {(0.1, "k.pth.tar")}
        variables = {"SPLITS": "2", "CHECKPOINTS": "c/run", "OUTPUT": "o"}
        (script, _, arguments), _, _ = recorded(tmp_path, "test.sh", "msn_hmdb51_8f", **variables)
        config = parse_test(TEST_SCRIPTS[script], arguments)
        assert config.models[0].weights == Path("c/run_split2/best.pth.tar") and config.output_dir == Path("o_split2")

    def test_a_file_of_ones_own(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        Path("mine.args").write_text(f"motion RGB\n@{RECIPES}/common/something.args\n--suffix mine\n")
        ((_, processes, arguments),) = recorded(tmp_path, "train.sh", "mine.args", NUM_GPUS="1")
        config = parse_train(arguments)
        assert (processes, config.suffix, config.resume, config.clip_gradient) == (1, "mine", "auto", 20)

    def test_a_step_that_fails_ends_the_recipe(self, tmp_path: Path) -> None:
        assert run("bash", str(SCRIPTS / "test.sh"), "msn_ucf101_8f", cwd=tmp_path, PYTHON="false").returncode == 1

    @pytest.mark.parametrize("script", ["train.sh", "test.sh"])
    def test_no_such_recipe(self, tmp_path: Path, script: str) -> None:
        done = run("bash", str(SCRIPTS / script), "nothing_8f", cwd=tmp_path, NUM_GPUS="1", PYTHON=sys.executable)
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
        assert "nothing_8f" in done.stderr and "expected a" in done.stderr
        assert run("bash", str(SCRIPTS / script), cwd=tmp_path).returncode != 0

    @pytest.mark.parametrize(
        ("variables", "words"),
        [
            ({"NUM_GPUS": "two"}, "expected NUM_GPUS to be a whole number from 1 to 1024, got 'two'"),
            ({"NUM_NODES": "0"}, "expected NUM_NODES to be a whole number from 1 to 65535, got '0'"),
            ({"NUM_NODES": "2"}, "expected NODE_RANK to be a whole number from 0 to 1, got ''"),
            ({"NUM_NODES": "2", "NODE_RANK": "2"}, "expected NODE_RANK to be a whole number from 0 to 1, got '2'"),
            ({"NUM_NODES": "2", "NODE_RANK": "1"}, "expected MASTER_ADDR to be the first machine, got none"),
            ({"NUM_NODES": "2", "NODE_RANK": "1", "MASTER_PORT": "99999"}, "from 1 to 65535, got '99999'"),
        ],
    )
    def test_wrong_variables(self, tmp_path: Path, variables: dict[str, str], words: str) -> None:
        done = run("bash", str(SCRIPTS / "train.sh"), "msn_ucf101_8f", cwd=tmp_path, PYTHON="false", **variables)
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and words in done.stderr


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
    @pytest.mark.parametrize("name", ["shared/launch.sh", "train.sh", "test.sh"])
    def test_header_and_safety(self, name: str) -> None:
        path = SCRIPTS / name
        lines = path.read_text().splitlines()
        assert lines[0] == "#!/usr/bin/env bash" and "set -euo pipefail" in lines
        header = "\n".join(lines[: lines.index("set -euo pipefail")])
        assert f"bash scripts/{name}" in header
        assert path.stat().st_mode & stat.S_IXUSR


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


def carry_out(folder: Path, script: str, recipe: str, *arguments: str, **environment: str) -> str:
    """Run a recipe for real, with this Python and small batches."""
    variables = {"PYTHON": sys.executable, "BATCH_SIZE": "2", "WORKERS": "1", "PRETRAIN": "none", **environment}
    recipe = f"msn_{recipe}" if recipe.startswith(("something", "kinetics", "ucf101", "hmdb51")) else recipe
    return succeeded(run("bash", str(SCRIPTS / script), recipe, *arguments, cwd=folder, **variables))


class TestRun:
    def test_train_in_two_processes_and_test(self, data: Path) -> None:
        output = carry_out(data, "train.sh", "something_v1_8f", *TINY, NUM_GPUS="2", BATCH_SIZE="1")
        assert output.count("the learning rate 0.01 for 16 videos per step becomes 0.00125 for 2 videos per step") == 1
        assert "step 2/2" in output and "lr 0.00125," in output
        run_name = "MSN_something_RGB_resnet10_avg_segment8"
        settings = json.loads((data / "log" / run_name / "config.json").read_text())
        assert (settings["lr"], settings["lr_batch_size"]) == (0.01, 16)
        first, *others = (data / "log" / run_name / "log.txt").read_text().splitlines()
        assert f"training {run_name}: resnet10, 8 segments, 32 px, on something" in first
        for file, line in zip(settings["read_from"], others, strict=False):
            assert f"options read from {file['path']}: {' '.join(file['options'])}" in line
        assert "--num_segments 8" in settings["read_from"][0]["options"]
        weights = f"checkpoint/{run_name}/best.pth.tar"
        output = carry_out(data, "test.sh", "something_v1_8f", *SMALL, "--archs", "resnet10", WEIGHTS=weights)
        assert "[8 frames x 1 crop x 1 clip, 32 x 32 px from short side 36, something val.txt (3 videos)" in output
        assert (data / "results/something_v1_8f/results.json").is_file()

    @pytest.mark.slow
    @pytest.mark.parametrize(("name", "dataset"), [("something_v1", "something"), ("something_v2", "somethingv2")])
    def test_8_and_16_segments_and_both(self, data: Path, name: str, dataset: str) -> None:
        """With folders of its own, so that it does not matter which of these tests run, and in which order."""
        runs = ("--root_model", "both", "--root_log", "both_log")
        weights = {}
        for segments in (8, 16):
            output = carry_out(data, "train.sh", f"{name}_{segments}f", *TINY, *runs, NUM_GPUS="1")
            assert "the learning rate 0.01 for 16 videos per step becomes 0.00125 for 2 videos per step" in output
            assert f"{segments} frames x 1 crop x 1 clip" in output
            weights[f"WEIGHTS_{segments}F"] = f"both/MSN_{dataset}_RGB_resnet10_avg_segment{segments}/best.pth.tar"
        output = carry_out(data, "test.sh", f"{name}_8f_16f", *SMALL, "--archs", "resnet10", **weights)
        together = output.split("8 and 16 segments together:\n")[1]
        assert "8 frames x 1 crop x 1 clip" in together and "+ 16 frames x 1 crop x 1 clip" in together

    @pytest.mark.slow
    def test_kinetics_then_fine_tuning(self, data: Path) -> None:
        carry_out(data, "train.sh", "kinetics_8f", *TINY, NUM_GPUS="1")
        checkpoints = "checkpoint/MSN_{}_RGB_resnet10_avg_segment8"
        weights = f"{checkpoints.format('kinetics')}/best.pth.tar"
        test = (*SMALL, "--archs", "resnet10")
        output = carry_out(data, "test.sh", "kinetics_8f", *test, WEIGHTS=weights)
        assert "[8 frames x 3 crops x 10 clips, 36 x 36 px from short side 36, kinetics val.txt (3 videos)" in output
        for name, splits in (("ucf101", "1 2 3"), ("hmdb51", "2")):
            numbers = splits.split()
            output = carry_out(data, "train.sh", f"{name}_8f", *TINY, NUM_GPUS="1", TUNE_FROM=weights, SPLITS=splits)
            assert output.count(f"fine-tuning from {weights}; new parameters: none") == len(numbers)
            assert output.count(
                "the learning rate 0.001 for 16 videos per step becomes 0.000125 for 2 videos per step"
            ) == len(numbers)
            folder = checkpoints.format(name)
            output = carry_out(data, "test.sh", f"{name}_8f", *test, CHECKPOINTS=folder, SPLITS=splits)
            assert f"{name} val_videos_split{numbers[-1]}.txt (3 videos)" in output
            results = [json.loads((data / f"results/{name}_8f_split{s}/results.json").read_text()) for s in numbers]
            mean = sum(result["top1"] for result in results) / len(numbers)
            assert f"mean of {len(numbers)} result{'s' * (len(numbers) > 1)}: top-1 {mean:.2f} %" in output
        again = carry_out(
            data, "train.sh", "hmdb51_8f", *TINY, "--epochs", "2", NUM_GPUS="1", TUNE_FROM=weights, SPLITS="2"
        )
        assert "after 1 epoch" in again and "tuning from" not in again

    @pytest.mark.slow
    def test_tsm_by_its_own_protocol(self, data: Path) -> None:
        output = carry_out(data, "train.sh", "tsm_something", "somethingv2", "RGB", *TINY, NUM_GPUS="1")
        assert "the learning rate 0.01 for 64 videos per step becomes 0.0003125 for 2 videos per step" in output
        assert "clips of somethingv2 are not flipped, as published for TSM" in output
        weights = "checkpoint/TSM_somethingv2_RGB_resnet10_avg_segment8/best.pth.tar"
        output = carry_out(data, "test.sh", "twice_sample", "somethingv2", WEIGHTS=weights)
        said = "8 frames x 3 crops x 2 clips, 36 x 36 px from short side 36, somethingv2 val.txt (3 videos)"
        assert output.count(said) == 3 and output.count("views averaged as logits") == 3  # begin, end, results
        results = json.loads((data / "results/twice_sample_somethingv2/results.json").read_text())
        assert results["average"] == "logits"
