"""A checkpoint's own settings are the default of every script that takes one: as their users run them."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from ops.evaluation.score_files.score_pickle import read_view
from tests.commands import run_script, succeeded

RUN = "MSN_motion_RGB_resnet10_avg_segment2"
BEST = f"checkpoint/{RUN}/best.pth.tar"
QUIET = ("-j", "1", "--gpus", "0")
CENTRE = "test_models_center_crop.py"


def scores(folder: Path) -> np.ndarray:
    return read_view(folder / "0_crop0.pkl").scores


def top1(output: str) -> str:
    return re.findall(r"top-1 [\d.]+ %", output)[-1]


class TestTestScripts:
    def test_nothing_but_weights_says_what_all_options_say(self, trained_folder: Path, tmp_path: Path) -> None:
        long = ("--archs", "resnet10", "--test_segments", "2", "--input_size", "32")
        for name, options in (("long", long), ("short", ())):
            arguments = ("motion", "--weights", BEST, *options, *QUIET, "--output_dir", str(tmp_path / name))
            output = succeeded(run_script(CENTRE, *arguments, cwd=trained_folder))
            assert "2 frames x 1 crop x 1 clip, 32 x 32 px from short side 36" in output and "in training" not in output
        assert np.array_equal(scores(tmp_path / "long"), scores(tmp_path / "short"))
        validated = [line for line in (trained_folder / "log" / RUN / "log.txt").read_text().splitlines()
                     if "validation: " in line]  # fmt: skip
        assert any(top1(output) in line for line in validated)

    def test_contradictions_are_warnings_and_stand_beside_the_accuracy(
        self, trained_folder: Path, tmp_path: Path
    ) -> None:
        options = ("--test_segments", "4", "--input_size", "64", "--output_dir", str(tmp_path))
        output = succeeded(run_script(CENTRE, "motion", "--weights", BEST, *options, *QUIET, cwd=trained_folder))
        for remark in ("4 segments (2 segments in training)", "64 x 64 pixels (32 x 32 pixels in training)"):
            assert f"{BEST}: {remark}" in output  # the warning
            (line,) = [line for line in output.splitlines() if "top-1" in line]
            assert f"best.pth.tar: {remark}" in line
            measured = json.loads((tmp_path / "0_crop0.json").read_text())["measurement"]
            assert f"best.pth.tar: {remark}" in measured["remarks"]
        result = run_script("pkl_to_results.py", "--output_dir", str(tmp_path), cwd=trained_folder)
        assert "64 x 64 pixels (32 x 32 pixels in training)" in succeeded(result)

    def test_weights_that_cannot_fit(self, trained_folder: Path, tmp_path: Path) -> None:
        arguments = ("motion", "--weights", BEST, "--archs", "resnet18", "--output_dir", str(tmp_path / "out"))
        result = run_script(CENTRE, *arguments, cwd=trained_folder)
        assert result.returncode == 2 and result.stderr.count("\n") == 1
        assert "expected weights of --arch resnet18, got those of resnet10" in result.stderr
        assert not (tmp_path / "out").exists()

    def test_weights_alone_ask_for_their_segments(self, trained_folder: Path, tmp_path: Path) -> None:
        state = torch.load(trained_folder / BEST, weights_only=True)["state_dict"]
        torch.save(state, tmp_path / "bare.pth")
        arguments = ("motion", "--weights", str(tmp_path / "bare.pth"), "--output_dir", str(tmp_path / "out"), *QUIET)
        result = run_script(CENTRE, *arguments, cwd=trained_folder)
        assert result.returncode == 2 and result.stderr.count("\n") == 1
        assert "expected --test_segments T, as " in result.stderr
        torch.save(state, tmp_path / "MSN_motion_RGB_resnet10_segment2.pth")
        named = str(tmp_path / "MSN_motion_RGB_resnet10_segment2.pth")
        options = ("--weights", named, "--input_size", "32", "--output_dir", str(tmp_path / "named"), *QUIET)
        output = succeeded(run_script(CENTRE, "motion", *options, cwd=trained_folder))
        assert f"{named}: taken from the file's name: 2 segments" in output


class TestMain:
    def test_evaluation(self, trained_folder: Path) -> None:
        last = f"checkpoint/{RUN}/2_epoch_ckpt.pth.tar"
        output = succeeded(run_script("main.py", "motion", "RGB", "-e", "--resume", last, *QUIET, cwd=trained_folder))
        logged = (trained_folder / "log" / RUN / "log.txt").read_text().splitlines()
        was = [line for line in logged if "validation: " in line and "(epoch 2)" in line][-1]
        assert output.split("validation: ")[1].strip() == was.split("validation: ")[1].strip()

    @pytest.mark.parametrize("option", ["--tune_from", "--resume"])
    def test_training(self, trained_folder: Path, option: str) -> None:
        """The run is called what the checkpoint's network is, and is of its size; the weight of the stem is saved."""
        name = f"from{option.strip('-')}"
        arguments = ("motion", "RGB", option, f"checkpoint/{RUN}/1_epoch_ckpt.pth.tar", "--suffix", name, "-b", "4")
        epochs = ("--epochs", "1" if option == "--tune_from" else "2", *QUIET)
        output = succeeded(run_script("main.py", *arguments, *epochs, cwd=trained_folder))
        assert "32 x 32 px from short side 36" in output and "in training" not in output
        saved = torch.load(trained_folder / "checkpoint" / f"{RUN}_{name}" / "last.pth.tar", weights_only=True)
        assert saved["config"]["input_size"] == 32
        assert saved["config"]["model"]["num_segments"] == 2 and saved["config"]["model"]["motion_weight"] == 0.25
