"""show_checkpoint.py: new checkpoints, those of before, published ones and files that are none."""

import json
from pathlib import Path

import torch

from ops.inference.checkpoint_page import CheckpointPage
from ops.models.build import build_model
from tests.commands import run_script, succeeded

RUN = "checkpoint/MSN_motion_RGB_resnet10_avg_segment2"  # other tests train others there


def row(page: CheckpointPage, name: str) -> str:
    return next((line[15:] for line in str(page).splitlines() if line.startswith(name)), "")


class TestPage:
    def test_of_a_trained_network(self, trained_folder: Path) -> None:
        path = trained_folder / RUN / "2_epoch_ckpt.pth.tar"
        page = CheckpointPage(path)
        assert row(page, "network") == "MSN, resnet10 (motion modules: stpme,dsme,shift)"
        assert row(page, "segments") == "2 of 5 frames" and row(page, "frame size") == "32 x 32 pixels"
        assert row(page, "classes").startswith("8: left, right, up, down")
        assert row(page, "mirror pairs") == "left - right, clockwise - anticlockwise"
        assert row(page, "trained") == "2 epochs" and row(page, "accuracy").startswith("top-1 ")
        assert "motion val_videos.txt (7 videos)" in row(page, "accuracy")
        assert "  lr 0.01" in str(page).splitlines()
        assert page.missing == [] and row(page, "not in it") == ""

    def test_of_one_of_before_says_what_it_lacks(self, tmp_path: Path, trained_folder: Path) -> None:
        content = torch.load(trained_folder / RUN / "best.pth.tar", weights_only=True)
        del content["about"]
        torch.save(content, tmp_path / "old.pth.tar")
        page = CheckpointPage(tmp_path / "old.pth.tar")
        assert page.missing == ["frames per segment", "mirror pairs", "normalization", "accuracy", "version"]
        assert row(page, "segments") == "2" and row(page, "data set") == "motion"
        assert row(page, "not in it") == ", ".join(page.missing)

    def test_of_weights_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "TSN_kinetics_RGB_resnet10_avg_segment4.pth"
        torch.save(build_model("resnet10", 3, 4, model="tsn").state_dict(), path)
        page = CheckpointPage(path)
        assert row(page, "network") == "TSN, resnet10 (motion modules: none)" and row(page, "segments") == "4"
        assert row(page, "from its name") == "dataset, num_segments" and row(page, "classes") == "3"
        assert {"class names", "recipe", "frame size", "version"} <= set(page.missing)


class TestScript:
    def test_prints_json(self, trained_folder: Path) -> None:
        path = trained_folder / RUN / "best.pth.tar"
        said = json.loads(succeeded(run_script("scripts/show_checkpoint.py", str(path), "--json", cwd=trained_folder)))
        assert (said["network"], said["num_segments"], said["recipe"]["lr"]) == ("msn", 2, 0.01)
        assert len(said["class_names"]) == 8 and said["accuracy"]["measurement"]["size"] == 32

    def test_bad_input(self, tmp_path: Path) -> None:
        (tmp_path / "a.pth").write_text("no checkpoint")
        done = run_script("scripts/show_checkpoint.py", "a.pth", cwd=tmp_path)
        assert done.returncode == 2 and done.stderr.count("\n") == 1
        assert done.stderr.startswith("error: a.pth: expected a checkpoint written by torch.save")
