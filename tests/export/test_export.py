"""export.py: what it writes gives the checkpoint's scores, says what the checkpoint says, and is read by predict.py."""

import json
import logging
import sys
from dataclasses import asdict
from itertools import product
from pathlib import Path

import pytest
import torch
import yaml

from ops.checkpoints.description import describe
from ops.checkpoints.file import read_checkpoint
from ops.checkpoints.filling import load_state_dict
from ops.evaluation.testing import score_views
from ops.export.exporting import export
from ops.inference.predictor import Predictor
from ops.inference.pretrained import from_pretrained
from ops.inference.sources import find_sources
from ops.models.build import build_model
from ops.models.names import NETWORKS
from ops.runtime.distributed import pick_device
from ops.runtime.errors import InputError
from ops.settings.command_lines import export_parser, parse, parse_test
from ops.settings.testing import TestScript
from ops.settings.trained.exporting import ExportConfig
from tests.clip_files import write_broken
from tests.commands import REPOSITORY, run_script, succeeded
from tests.pages import commands_with

VIDEO = "data/motion/videos/val/00000.mp4"
HERE = ("onnx", "onnxscript", "onnxruntime")


def run(*words: str | Path) -> int:
    """export.py in this process; its exit status."""
    return export(parse(export_parser(), ExportConfig, [*map(str, words)]))


@pytest.fixture
def folder(trained_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(trained_folder)
    return trained_folder


@pytest.fixture
def trained(folder: Path) -> Path:
    return next((folder / "checkpoint").glob("MSN_motion_RGB_*segment2/best.pth.tar"))


def untrained(network: str, path: Path) -> Path:
    """A checkpoint of any network whose scores are far from equal, with class names."""
    torch.manual_seed(0)
    state = build_model("resnet10", 8, 3, model=network).state_dict()
    state["head.weight"] *= 100
    about = {"network": network, "num_segments": 3, "input_size": 32, "class_names": list("abcdefgh")}
    torch.save({"state_dict": state, "about": about}, path)
    return path


@pytest.fixture(scope="module")
def tsn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained("tsn", tmp_path_factory.mktemp("tsn") / "tsn.pth.tar")


@pytest.fixture(scope="module")
def onnx(tsn: Path, trained_folder: Path) -> Path:
    """``tsn`` as an ONNX file, with half precision: the rarer of all ways."""
    for package in HERE:
        pytest.importorskip(package)
    out = tsn.with_name("tsn.onnx")
    assert run(tsn, out, "--fp16", "--input", "float", "--videos", trained_folder / VIDEO) == 0
    return out


class TestFolder:
    def test_as_a_user_runs_it(self, trained: Path, folder: Path, tmp_path: Path) -> None:
        """Compared on the validation list; read back the weights are the same, bit by bit."""
        results = {"top1": 12.5, "top5": None, "protocol": "of my own"}
        (tmp_path / "results.json").write_text(json.dumps(results))
        out = tmp_path / "msn_motion"
        words = (str(trained), str(out), "--results", str(tmp_path / "results.json"))
        said = succeeded(run_script("scripts/export.py", *words, cwd=folder))
        assert "compared on 7 of the videos: largest difference of logits 0 " in said and "same class in 7 of 7" in said
        assert sorted(path.name for path in tmp_path.iterdir()) == ["msn_motion", "results.json"]
        before, after = read_checkpoint(trained), read_checkpoint(out)
        said = [json.dumps(asdict(describe(content, out))) for content in (before, after)]  # JSON has no tuples
        assert said[0] == said[1]
        weights = load_state_dict(before, "")
        assert from_pretrained(out).state_dict().keys() == weights.keys()
        assert all(torch.equal(weight, weights[name]) for name, weight in from_pretrained(out).state_dict().items())
        assert str(Predictor(out)(VIDEO)) == str(Predictor(trained)(VIDEO))
        self.check_card((out / "README.md").read_text(), before["about"]["accuracy"])
        assert str(folder) not in (out / "config.json").read_text()  # nothing of this machine

    def check_card(self, card: str, accuracy: dict) -> None:
        """The measured protocol stands in it, for people and for the hub."""
        _, head, text = card.split("---\n", 2)
        first, second = yaml.safe_load(head)["model-index"][0]["results"]
        assert first["metrics"][0]["value"] == round(accuracy["top1"], 2)
        assert accuracy["measured"] in first["metrics"][0]["name"] and accuracy["measured"] in text
        assert [metric["value"] for metric in second["metrics"]] == [12.5] and "| 12.50 % |  | of my own |" in text

    def test_the_test_scripts_take_it(self, trained: Path, folder: Path, tmp_path: Path) -> None:
        """As a folder and as a file, in an ensemble: the scores of the checkpoint, to the last bit."""
        assert run(trained, tmp_path / "out", "--num_videos", "1") == 0
        scores = []
        for name, weights in (("a", (trained, trained)), ("b", (tmp_path / "out", tmp_path / "out/model.safetensors"))):
            words = (
                "motion",
                "--weights",
                ",".join(map(str, weights)),
                "--output_dir",
                str(tmp_path / name),
                "-j",
                "0",
            )
            score_views(parse_test(TestScript("test.py", 1, 1, ""), [*words]), pick_device(None))
            scores.append((tmp_path / name / "0_crop0.pkl").read_bytes())
        assert scores[0] == scores[1]

    def test_smaller_with_half_precision(self, trained: Path, folder: Path, tmp_path: Path, capsys) -> None:
        assert run(trained, tmp_path / "half", "--fp16") == 0
        assert "the same class in 7 of 7" in capsys.readouterr().out
        assert read_checkpoint(tmp_path / "half")["state_dict"]["head.weight"].dtype == torch.float16


class TestOnnx:
    def test_answers_like_the_checkpoint(self, tsn: Path, onnx: Path, trained_folder: Path) -> None:
        videos = find_sources([str(trained_folder / "data/motion/videos/val")])
        ours, theirs = Predictor(tsn, device="cpu"), Predictor(onnx, device="cpu")
        assert theirs.class_names == tuple("abcdefgh") and theirs.settings == ours.settings
        for size in (1, 4, 16):  # the batch is free
            found = [dict(p.each(videos, batch_size=size)) for p in (ours, theirs)]
            for source, answer in found[0].items():
                assert abs(answer.probabilities - found[1][source].probabilities).max() < 2e-3
        assert onnx.stat().st_size < 0.6 * tsn.stat().st_size

    def test_predict_takes_it(self, onnx: Path, folder: Path) -> None:
        said = succeeded(run_script("scripts/predict.py", str(onnx), VIDEO, cwd=folder))
        assert said.endswith(f"\n{Predictor(onnx)(VIDEO)}\n")

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"num_segments": 4}, "expected num_segments 3, for which it was exported, got 4"),
            ({"amp": "bf16"}, "expected neither --amp nor --compile with .*, got one of them"),
        ],
    )
    def test_what_is_fixed_in_it(self, onnx: Path, settings: dict, message: str) -> None:
        with pytest.raises(InputError, match=message):
            Predictor(onnx, **settings)

    def test_other_onnx_files(self, tmp_path: Path) -> None:
        helper = pytest.importorskip("onnx").helper
        value = helper.make_tensor_value_info("x", 1, [1])
        graph = helper.make_graph([helper.make_node("Abs", ["x"], ["y"])], "g", [value], [
            helper.make_tensor_value_info("y", 1, [1])])  # fmt: skip
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        (tmp_path / "other.onnx").write_bytes(model.SerializeToString())
        (tmp_path / "text.onnx").write_text("no network")
        for name, message in (("other", "got one that says nothing of itself"), ("text", "expected an ONNX file, got"),
                              ("none", "expected an ONNX file, got nothing there")):  # fmt: skip
            with pytest.raises(InputError, match=message) as caught:
                Predictor(tmp_path / f"{name}.onnx")
            assert "\n" not in str(caught.value)

    def test_what_to_install(self, tsn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "a.onnx").touch()
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
        with pytest.raises(InputError, match="pip install onnxruntime"):
            Predictor(tmp_path / "a.onnx")
        monkeypatch.setattr("ops.export.onnx_file.PACKAGES", ("torch", "no_such_package"))
        with pytest.raises(InputError, match="got no no_such_package; pip install no_such_package"):
            run(tsn, tmp_path / "b.onnx", "--num_videos", "1")
        assert not (tmp_path / "b.onnx").exists()

    @pytest.mark.slow
    @pytest.mark.parametrize(("network", "half", "kind"), [*product(NETWORKS, (False, True), ("uint8", "float"))])
    def test_of_each_network(
        self, network: str, half: bool, kind: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
    ) -> None:
        weights = untrained(network, tmp_path / "a.pth.tar")
        options = ("--input", kind, *(("--fp16",) if half else ()))
        assert run(weights, tmp_path / "a.onnx", "--videos", "data/motion/videos/val", *options) == 0
        said = capsys.readouterr().out
        assert "compared on 7 of the videos" in said
        logging.getLogger("msn").info("%s %s %s: %s", network, half, kind, said)


class TestBadInput:
    def test_a_video_that_cannot_be_read_costs_nothing_else(self, tsn: Path, folder: Path, tmp_path: Path) -> None:
        write_broken(tmp_path / "broken.mp4")
        words = (str(tsn), str(tmp_path / "out"), "--videos", str(tmp_path / "broken.mp4"), VIDEO)
        done = run_script("scripts/export.py", *words, cwd=folder)
        assert done.returncode == 2 and "compared on 1 of the videos" in done.stdout
        assert [line for line in done.stderr.splitlines() if "error" in line] == done.stderr.splitlines()
        assert done.stderr.count("\n") == 1 and "broken.mp4" in done.stderr
        assert (tmp_path / "out" / "model.safetensors").exists()

    def test_one_line_each(self, tsn: Path, tmp_path: Path) -> None:
        (tmp_path / "mine").write_text("mine")
        (tmp_path / "results.json").write_text("{}")
        for words, message in (
            ((tsn, tmp_path / "mine"), "expected the name of a new file or folder, got one that exists"),
            ((tsn, tmp_path / "none" / "out"), "expected to write a file, got No such file or directory"),
            ((tmp_path / "none.pth", tmp_path / "out"), "expected a checkpoint file, got nothing there"),
            ((tsn, tmp_path / "out", "--results", tmp_path / "results.json"), "expected results.json of pkl_to"),
            ((tsn, tmp_path / "out", "--videos", tmp_path / "none.mp4"), "a video of --videos that can be read"),
            ((tsn, tmp_path / "out", "--input", "float"), r"expected OUT\.onnx with --input float"),
        ):  # fmt: skip
            with pytest.raises(InputError, match=message):
                run(*words)
        assert (tmp_path / "mine").read_text() == "mine"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "results.json"]

    def test_without_videos_noise_is_compared(self, tsn: Path, tmp_path: Path, capsys) -> None:
        assert run(tsn, tmp_path / "out", "--num_videos", "2") == 0
        assert "compared on 2 clips of noise (--videos compares on real ones)" in capsys.readouterr().out

    def test_commands_of_the_page(self) -> None:
        for words in commands_with(REPOSITORY / "docs/inference.md", "scripts/export.py"):
            assert isinstance(parse(export_parser(), ExportConfig, words[2:]), ExportConfig)
