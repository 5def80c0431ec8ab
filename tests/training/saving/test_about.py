"""What a checkpoint says of itself: written by training, kept by a resumed run, read by describe."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ops.checkpoints.description import describe
from ops.checkpoints.version import VERSION
from ops.data.dataset_options import SOMETHING_MIRROR_PAIRS
from ops.models.build import build_model
from ops.runtime.errors import InputError
from ops.training.saving.about import mirror_pairs
from tests.clip_files import make_spec
from tests.commands import REPOSITORY


@pytest.fixture(scope="module")
def checkpoints(trained_folder: Path) -> Path:
    return next((trained_folder / "checkpoint").glob("MSN_motion_RGB_*segment2"))


class TestOfTraining:
    def test_says_what_is_needed_to_use_it(self, checkpoints: Path) -> None:
        path = checkpoints / "2_epoch_ckpt.pth.tar"
        content = torch.load(path, weights_only=True)
        said = describe(content, path)
        assert (said.network, said.arch, said.num_classes) == ("msn", "resnet10", 8)
        assert (said.num_segments, said.frames_per_segment, said.input_size, said.dense_sample) == (2, 5, 32, False)
        assert said.class_names[:2] == ("left", "right") and said.mirror_pairs == ((0, 1), (6, 7))
        assert (said.mean, said.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        assert (said.dataset, said.version, said.from_name) == ("motion", VERSION, ())
        assert content["config"]["lr"] == 0.01

    def test_the_accuracy_is_the_one_that_was_logged(self, checkpoints: Path, trained_folder: Path) -> None:
        log = (trained_folder / "log" / checkpoints.name / "log.txt").read_text()
        for epoch in (1, 2):
            path = checkpoints / f"{epoch}_epoch_ckpt.pth.tar"
            accuracy = describe(torch.load(path, weights_only=True), path).accuracy
            assert accuracy is not None and accuracy["epoch"] == epoch
            line = f"top-1 {accuracy['top1']:.2f} %, top-5 {accuracy['top5']:.2f} %   [{accuracy['measured']}]"
            assert line in log and path.name in line
            assert accuracy["measurement"]["num_videos"] == 7


class TestMirrorPairs:
    def test_of_names_and_of_numbers(self, tmp_path: Path) -> None:
        assert mirror_pairs(make_spec(tmp_path, class_names=("turn left", "turn right", "up", "down"))) == [[0, 1]]
        built_in = make_spec(tmp_path, num_classes=174, mirror_pairs=SOMETHING_MIRROR_PAIRS)
        assert mirror_pairs(built_in) == [list(pair) for pair in SOMETHING_MIRROR_PAIRS]
        assert mirror_pairs(replace(built_in, mirror_pairs=())) == []

    def test_a_name_without_its_mirror_is_in_no_pair(self, tmp_path: Path) -> None:
        assert mirror_pairs(make_spec(tmp_path, num_classes=2, class_names=("turn left", "up"))) == []


class TestDescribe:
    def test_refuses_a_wrong_kind(self) -> None:
        content = {"state_dict": build_model("resnet10", 3, 2).state_dict(), "about": {"num_segments": "eight"}}
        with pytest.raises(InputError, match=r"x: expected about\.num_segments as main\.py saves it, got 'eight'"):
            describe(content, Path("x"))

    def test_version_is_the_projects(self) -> None:
        assert f'version = "{VERSION}"' in (REPOSITORY / "pyproject.toml").read_text()
