"""A run with every option: resumed exactly, its averaged weights measured, saved and tested."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ops.checkpoints import load_state_dict, read_checkpoint, with_weights
from ops.export.exporting import export
from ops.inference.features.extraction import extract_features
from ops.inference.predicting import Prediction
from ops.inference.pretrained import from_pretrained
from ops.runtime.errors import InputError, Stopped
from ops.settings.command_lines import (
    explain_parser,
    export_parser,
    features_parser,
    parse,
    parse_train,
    predict_parser,
)
from ops.settings.trained.explaining import ExplainConfig
from ops.settings.trained.exporting import ExportConfig
from ops.settings.trained.features import FeatureConfig
from ops.settings.trained.predicting import PredictConfig
from ops.settings.training import TrainConfig
from ops.training import epoch, evaluate, train
from ops.training.ema import WeightAverage
from ops.training.run import build_network
from ops.visual.explained.explaining import Explaining
from tests.commands import SMALL_TRAINING, run_ranks, run_script, succeeded

CPU = torch.device("cpu")
OPTIONS = ("--augment", "color,strong", "--mixup", "0.4", "--cutmix", "1", "--label_smoothing", "0.1", "--ema", "0.7",
           "--recompute")  # fmt: skip


def config_of(data: Path, folder: Path, *options: str) -> TrainConfig:
    return parse_train((
        "motion", "RGB", "--root_path", str(data / "data/motion"), "--model", "tsm", "--arch", "resnet10",
        "--num_segments", "2", "--input_size", "32", "--pretrain", "none", "-b", "4", "-j", "0", "--epochs", "2",
        "--root_log", str(folder / "log"), "--root_model", str(folder / "checkpoint"), *options,
    ))  # fmt: skip


@pytest.fixture(scope="module")
def run(motion_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    config = config_of(motion_folder, tmp_path_factory.mktemp("regularized"), *OPTIONS)
    train(config, CPU)
    return config


@pytest.fixture(scope="module")
def content(run: TrainConfig) -> dict[str, Any]:
    return read_checkpoint(run.model_dir / "last.pth.tar")


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


class TestAverage:
    def test_naive(self) -> None:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
        average, expected = WeightAverage(model, 0.8), None  # type: ignore[arg-type]
        for _ in range(4):
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.add_(torch.randn_like(parameter))
            model(torch.randn(8, 3))  # moves the batch statistics
            average.update(model)
            now = {name: value.clone().double() for name, value in model.state_dict().items()}
            expected = now if expected is None else {n: 0.8 * expected[n] + 0.2 * now[n] for n in now}
        got = average.model.state_dict()
        for name in ("0.weight", "0.bias", "1.weight", "1.running_mean", "1.running_var"):
            assert torch.allclose(got[name].double(), expected[name], atol=1e-6), name


class TestRun:
    def test_interrupted_and_resumed_it_is_the_same(
        self, run: TrainConfig, content: dict[str, Any], motion_folder: Path, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        """Stopped after two steps of the second epoch."""
        steps, train_step = [], epoch.train_step

        def stopping(*arguments: Any) -> torch.Tensor:
            if len(steps) == 6:
                raise Stopped("SIGTERM")
            steps.append(arguments[3])
            return train_step(*arguments)

        config = config_of(motion_folder, tmp_path, *OPTIONS, "--resume", "auto")
        monkeypatch.setattr(epoch, "train_step", stopping)
        with pytest.raises(Stopped):
            train(config, CPU)
        saved = read_checkpoint(config.model_dir / "last.pth.tar")
        assert (saved["position"]["step"], saved["ema"]["steps"], saved["ema"]["accuracy"]) == (2, 6, None)
        monkeypatch.setattr(epoch, "train_step", train_step)
        train(config, CPU)
        resumed = read_checkpoint(config.model_dir / "last.pth.tar")
        assert_same(resumed["state_dict"], content["state_dict"])
        assert_same(resumed["ema"]["state_dict"], content["ema"]["state_dict"])
        assert resumed["ema"]["accuracy"]["top1"] == content["ema"]["accuracy"]["top1"]

    def test_what_the_log_says(self, run: TrainConfig) -> None:
        log = (run.log_dir / "log.txt").read_text()
        assert "training clips are mixed in pairs: training accuracies count the class with the larger share" in log
        assert re.search(r"epoch 1/2 step 4/4: loss .*, top-1 .* \[mixed training clips, 2 segments, 32 px\]", log)
        assert re.search(r"validation: .*2_epoch_ckpt\.pth\.tar \(epoch 2, EMA weights\)", log)
        assert re.search(r"validation: .*2_epoch_ckpt\.pth\.tar \(epoch 2\)", log)

    def test_both_weights_are_saved(self, content: dict[str, Any]) -> None:
        average = content["ema"]
        assert average["decay"] == 0.7 and average["steps"] == 8
        assert any(
            not torch.equal(average["state_dict"][name], content["state_dict"][name]) for name in average["state_dict"]
        )
        chosen = with_weights(content, "ema", Path("x"))
        assert chosen["state_dict"] is average["state_dict"] and chosen["about"]["accuracy"] == average["accuracy"]
        assert with_weights(content, "raw", Path("x")) == content

    def test_tests_take_either(self, run: TrainConfig, content: dict[str, Any], tmp_path: Path) -> None:
        path = run.model_dir / "last.pth.tar"
        for kind, accuracy in (("raw", content["about"]["accuracy"]), ("ema", content["ema"]["accuracy"])):
            test = ("--weights", str(path), "--weights_kind", kind, "--output_dir", kind, "-j", "0")
            said = succeeded(run_script("test_models_center_crop.py", *test, cwd=tmp_path))
            assert ("last.pth.tar (epoch 2, EMA weights)" in said) == (kind == "ema")
            results = succeeded(run_script("pkl_to_results.py", "--num_clips", "1", "--test_crops", "1",
                                           "--output_dir", kind, cwd=tmp_path))  # fmt: skip
            assert f"{accuracy['top1']:.2f}" in results and ("EMA weights" in results) == (kind == "ema")

    def test_main_validates_either(self, run: TrainConfig, content: dict[str, Any], motion_folder: Path) -> None:
        path = str(run.model_dir / "last.pth.tar")
        for kind, accuracy in (("raw", content["about"]["accuracy"]), ("ema", content["ema"]["accuracy"])):
            words = ("-e", "--resume", path, "--weights_kind", kind)
            found = evaluate(config_of(motion_folder, run.root_log.parent, *words), CPU)
            assert found["top1"] == pytest.approx(accuracy["top1"])
        with pytest.raises(InputError, match="expected --evaluate or --tune_from with --weights_kind ema"):
            config_of(motion_folder, run.root_log.parent, "--weights_kind", "ema")

    @pytest.mark.parametrize("kind", ["raw", "ema"])
    def test_fine_tuning_starts_from_either(
        self, run: TrainConfig, content: dict[str, Any], motion_folder: Path, tmp_path: Path, kind: str
    ) -> None:
        path = str(run.model_dir / "last.pth.tar")
        network = build_network(config_of(motion_folder, tmp_path, "--tune_from", path, "--weights_kind", kind), None)
        assert_same(network.state_dict(), with_weights(content, kind, Path(path))["state_dict"])

    @pytest.mark.parametrize("kind", ["raw", "ema"])
    def test_every_script_takes_either(
        self, run: TrainConfig, content: dict[str, Any], motion_folder: Path, tmp_path: Path, kind: str
    ) -> None:
        """The weights that it asks for are those of what it writes: compared with a checkpoint that has no others."""
        path, alone = run.model_dir / "last.pth.tar", tmp_path / "alone.pth.tar"
        torch.save({k: v for k, v in with_weights(content, kind, path).items() if k != "ema"}, alone)
        data = motion_folder / "data/motion"
        video, listed = next((data / "videos/val").iterdir()), data / "val_videos.txt"
        weights = load_state_dict(read_checkpoint(alone), "")

        def run_both(make: Callable[[Path, list[str], Path], None], result: str) -> None:
            out = [tmp_path / name / result for name in ("asked", "alone")]
            for folder in ("asked", "alone"):
                (tmp_path / folder).mkdir(exist_ok=True)
            make(path, ["--weights_kind", kind], out[0])
            make(alone, [], out[1])
            assert out[0].read_bytes() == out[1].read_bytes()

        def predicted(file: Path, words: list[str], out: Path) -> None:
            config = parse(predict_parser(), PredictConfig, [str(file), str(video), "--json", str(out), *words])
            assert Prediction(config, no_picture, no_picture).run() == 0

        def explained(file: Path, words: list[str], out: Path) -> None:
            options = ("--out", str(out.parents[1]), "--what", "scores")
            assert (
                Explaining(parse(explain_parser(), ExplainConfig, [str(file), str(video), *options, *words])).run() == 0
            )

        def taken(file: Path, words: list[str], out: Path) -> None:
            options = ("--dataset", "motion", "--root_path", str(data), "--output_dir", str(out.parent), "-j", "0")
            extract_features(parse(features_parser(), FeatureConfig, [str(file), str(listed), *options, *words]))

        run_both(predicted, "answers.json")
        run_both(explained, f"{video.stem}/scores.csv")
        run_both(taken, "features_00000.npz")
        assert (
            export(parse(export_parser(), ExportConfig, [str(path), str(tmp_path / "out"), "--weights_kind", kind]))
            == 0
        )
        exported = from_pretrained(tmp_path / "out").state_dict()
        assert all(torch.equal(exported[name], weights[name]) for name in exported)


def no_picture(*_: Any) -> Any:
    """Of a command that draws none."""


@pytest.mark.slow
class TestTwoProcesses:
    def test_every_option_works_there(self, motion_folder: Path, tmp_path: Path) -> None:
        """Both processes end with one average, which is validated and saved."""
        words = ("motion", "RGB", "--root_path", str(motion_folder / "data/motion"), *SMALL_TRAINING, "--epochs", "1")
        succeeded(run_ranks(2, "main.py", *words, *OPTIONS, cwd=tmp_path))
        (last,) = (tmp_path / "checkpoint").glob("*/last.pth.tar")
        average = read_checkpoint(last)["ema"]
        assert average["steps"] == 2 and average["accuracy"]["epoch"] == 1


class TestNoAverage:
    def test_is_refused(self, trained_folder: Path, tmp_path: Path) -> None:
        (weights,) = (trained_folder / "checkpoint").glob("MSN_motion_RGB_*segment2/last.pth.tar")
        test = ("--weights", str(weights), "--weights_kind", "ema", "--output_dir", "scores", "-j", "0")
        ended = run_script("test_models_center_crop.py", *test, cwd=tmp_path)
        assert ended.returncode == 2 and ended.stderr.count("\n") == 1
        assert f"{weights}: expected averaged weights (--weights_kind ema), got a checkpoint" in ended.stderr
        assert not (tmp_path / "scores").exists()

    def test_cannot_be_resumed(self) -> None:
        average = WeightAverage(nn.Linear(2, 2), 0.9)  # type: ignore[arg-type]
        with pytest.raises(
            InputError, match="x: expected averaged weights to resume with --ema, got a checkpoint of a"
        ):
            average.restore({"state_dict": {}}, Path("x"))
        with pytest.raises(InputError, match="x: expected averaged weights of this network, got"):
            average.restore({"ema": {"state_dict": {"weight": torch.zeros(3)}, "steps": 1}}, Path("x"))
