"""extract_features.py: features times the head's weights are the logits of the test scripts; the same bytes always."""

import json
import pickle
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from ops.evaluation.testing import score_views
from ops.inference.features.extraction import extract_features
from ops.inference.predictor import Predictor
from ops.inference.pretrained import from_pretrained
from ops.inference.sources import find_source
from ops.models.build import build_model
from ops.runtime.distributed import pick_device
from ops.runtime.errors import InputError
from ops.settings.command_lines import features_parser, parse, parse_test
from ops.settings.testing import TestScript
from ops.settings.trained.features import FeatureConfig
from tests.clip_files import write_broken
from tests.commands import REPOSITORY, run_ranks, run_script, succeeded
from tests.pages import commands_with

SCRIPT = "scripts/extract_features.py"
LIST = "data/motion/val_videos.txt"


def extract(*words: str | Path) -> None:
    """extract_features.py in this process."""
    extract_features(parse(features_parser(), FeatureConfig, [*map(str, words), "-j", "0"]))


def arrays(folder: Path) -> dict[str, np.ndarray]:
    """What the NumPy files of a folder hold together."""
    parts = [np.load(path) for path in sorted(folder.glob("*.npz"))]
    return {name: np.concatenate([part[name] for part in parts]) for name in ("features", "labels", "videos")}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def folder(trained_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(trained_folder)
    return trained_folder


@pytest.fixture
def trained(folder: Path) -> Path:
    return folder / "checkpoint/MSN_motion_RGB_resnet10_avg_segment2/best.pth.tar"


@pytest.fixture(scope="module")
def tsn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    state = build_model("resnet10", 8, 3, model="tsn").state_dict()
    path = tmp_path_factory.mktemp("tsn") / "tsn.pth.tar"
    torch.save(
        {"state_dict": state, "config": {"input_size": 32, "model": {"network": "tsn", "num_segments": 3}}}, path
    )
    return path


class TestOracles:
    @pytest.mark.parametrize(("per", "crops", "clips"), [("video", 1, 1), ("segment", 1, 1), ("segment", 3, 2)])
    def test_times_the_head_they_are_the_logits(
        self, trained: Path, tmp_path: Path, per: str, crops: int, clips: int
    ) -> None:
        """Of the score files of the test scripts, mean over views and segments."""
        views = ("--test_crops", str(crops), "--num_clips", str(clips))
        extract(trained, LIST, "--output_dir", tmp_path / "features", "--per", per, *views)
        script = TestScript("test.py", crops, clips, "")
        words = ("motion", "--weights", str(trained), "--output_dir", str(tmp_path / "scores"), "-j", "0")
        score_views(parse_test(script, [*words, "--clip_index", "all"]), pick_device(None))
        pickles = [pickle.loads(path.read_bytes()) for path in sorted((tmp_path / "scores").glob("*.pkl"))]
        assert len(pickles) == crops * clips
        logits = np.mean([[scores[0] for scores, _ in rows] for rows in pickles], axis=0)
        found = arrays(tmp_path / "features")
        assert found["features"].shape == ((7, 512) if per == "video" else (7, 2 * clips, 512))
        assert found["features"].dtype == np.float32
        head = from_pretrained(trained).head
        products = found["features"] @ head.weight.detach().numpy().T + head.bias.detach().numpy()
        assert np.allclose(products.reshape(7, -1, 8).mean(axis=1), logits, rtol=0, atol=1e-5)
        assert found["labels"].tolist() == [label for _, label in pickles[0]]
        assert found["videos"].tolist() == [line.split()[0] for line in Path(LIST).read_text().splitlines()]

    def test_of_a_layer(self, tsn: Path, folder: Path, tmp_path: Path) -> None:
        """The modules up to it, called one after the other."""
        options = ("--dataset", "motion", "--layer", "backbone.layer2", "--per", "segment")
        extract(tsn, LIST, "--output_dir", tmp_path, *options)
        predictor, network = Predictor(tsn, device="cpu"), from_pretrained(tsn)
        source = find_source("data/motion/videos/val/00004.mp4")
        pixels = (predictor.clip(source).flatten(0, 1) - network.image_mean[0]) / network.image_std[0]
        backbone = network.backbone
        with torch.no_grad():
            x = torch.max_pool2d(torch.relu(backbone.bn1(backbone.conv1(pixels))), 3, 2, 1)
            expected = backbone.layer2(backbone.layer1(x)).mean(dim=(2, 3))
        found = arrays(tmp_path)["features"][4]
        assert found.shape == (3, 128) and np.allclose(found, expected.numpy(), rtol=1e-5, atol=1e-6)


class TestFiles:
    def test_forms_hold_the_same(self, tsn: Path, folder: Path, tmp_path: Path) -> None:
        h5py = pytest.importorskip("h5py")
        for form in ("npz", "safetensors", "h5"):
            extract(tsn, LIST, "--dataset", "motion", "--output_dir", tmp_path / form, "--format", form)
        expected = arrays(tmp_path / "npz")
        assert load_file(tmp_path / "safetensors/features_00000.safetensors").keys() == {"features", "labels"}
        found = load_file(tmp_path / "safetensors/features_00000.safetensors")
        with h5py.File(tmp_path / "h5/features_00000.h5") as file:
            for name in ("features", "labels"):
                assert np.array_equal(file[name][:], expected[name]) and np.array_equal(found[name], expected[name])
            assert file["videos"].asstr()[:].tolist() == expected["videos"].tolist()

    def test_any_number_of_processes_and_a_kill_in_the_middle(self, tsn: Path, folder: Path, tmp_path: Path) -> None:
        """The command as users run it: alone, in two processes, and killed as the fourth video is written down."""
        options = (str(tsn), LIST, "--dataset", "motion", "-j", "1", "--shard_size", "3", "--format", "safetensors",
                   "--batch_size", "2", "--output_dir")  # fmt: skip
        alone, several, killed = (tmp_path / name for name in ("alone", "several", "killed"))
        succeeded(run_script(SCRIPT, *options, str(alone), cwd=folder))
        succeeded(run_ranks(2, SCRIPT, *options, str(several), cwd=folder))
        killing = ("tests/processes/at_call.py", "score_journal.append:4", "SIGKILL", str(REPOSITORY / SCRIPT))
        assert run_script(*killing, *options, str(killed), cwd=folder).returncode == -signal.SIGKILL
        assert not list(killed.glob("features*"))
        refused = run_script(SCRIPT, *options, str(killed), cwd=folder)
        assert refused.returncode == 2 and "got its partial features; pass --resume to resume it" in refused.stderr
        output = succeeded(run_script(SCRIPT, *options, str(killed), "--resume", cwd=folder))
        assert "3 of 7 videos are already done" in output
        assert contents(alone).keys() == {*(f"features_{i:05d}.safetensors" for i in range(3)), "features.json"}
        assert contents(alone) == contents(several) == contents(killed)

    def test_a_finished_run_and_other_settings(self, tsn: Path, folder: Path, tmp_path: Path, caplog) -> None:
        words = (tsn, LIST, "--dataset", "motion", "--output_dir", tmp_path, "--shard_size", "3")
        extract(*words)
        first = contents(tmp_path)
        times = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
        extract(*words, "--resume")
        assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == times  # nothing to do
        with pytest.raises(InputError, match="got those of other settings; choose another --output_dir or pass"):
            extract(*words, "--per", "segment")
        assert contents(tmp_path) == first
        extract(*words[:-2], "--per", "segment", "--overwrite")
        assert contents(tmp_path).keys() == {"features_00000.npz", "features.json"}  # the other two are gone


class TestBadInput:
    def test_broken_videos(self, tsn: Path, folder: Path, tmp_path: Path) -> None:
        """One line and status 2; skipped where that is asked for, and named in the summary."""
        write_broken(tmp_path / "broken.mp4")
        lines = [f"{tmp_path}/broken.mp4 0", f"{folder}/data/motion/videos/val/00001.mp4 1"]
        (tmp_path / "list.txt").write_text("\n".join(lines))
        data = ("--dataset", "mine", "--root_path", str(tmp_path), "--storage", "videos", "-j", "0")
        words = (str(tsn), str(tmp_path / "list.txt"), *data, "--output_dir", str(tmp_path / "out"))
        done = run_script(SCRIPT, *words, cwd=folder)
        errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
        assert done.returncode == 2 and len(errors) == 1 and "broken.mp4" in errors[0]
        assert "Traceback" not in done.stderr
        extract(*words, "--resume", "--on_bad_video", "skip", "--max_bad", "1")
        assert arrays(tmp_path / "out")["labels"].tolist() == [1]
        assert json.loads((tmp_path / "out/features.json").read_text())["skipped"] == [f"{tmp_path}/broken.mp4"]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (
                ("--layer", "backbone.layr3"),
                r"like backbone\.layer3, got 'backbone\.layr3'; did you mean 'backbone",
            ),
            (("--output_dir", "data/motion/classes.txt/x"), "expected a folder to write to, got Not a directory"),
            (("--dataset", ""), r"^expected --dataset NAME, as .*tsn\.pth\.tar does not say which data set it is of"),
            (("--test_list", "a.txt"), "unrecognized arguments: --test_list"),
        ],
    )
    def test_is_one_line(self, tsn: Path, folder: Path, tmp_path: Path, options: tuple, message: str) -> None:
        with pytest.raises(InputError, match=message):
            extract(tsn, LIST, "--dataset", "motion", "--output_dir", tmp_path / "out", *options)

    def test_a_layer_of_pairs_of_segments(self, trained: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"each of the 2 segments, .*, got backbone\.stpme\.embed, which gives"):
            extract(trained, LIST, "--output_dir", tmp_path / "out", "--layer", "backbone.stpme.embed")
        assert not (tmp_path / "out").exists()

    def test_what_to_install(self, tsn: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "h5py", None)
        with pytest.raises(InputError, match="expected h5py for --format h5, got none; pip install h5py"):
            extract(tsn, LIST, "--dataset", "motion", "--output_dir", tmp_path, "--format", "h5")

    def test_commands_of_the_page(self) -> None:
        for words in commands_with(REPOSITORY / "docs/inference.md", SCRIPT):
            assert isinstance(parse(features_parser(), FeatureConfig, words[words.index(SCRIPT) + 1 :]), FeatureConfig)
