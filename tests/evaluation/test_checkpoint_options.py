"""What the command line says comes first, then what the checkpoint says, then the default: case by case."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ops.checkpoints.description import Description
from ops.data.dataset_config import DatasetSpec
from ops.evaluation.checkpoint_options import DEFAULTS, about_data, resolve
from ops.runtime.errors import InputError

MSN = ("stpme", "dsme", "shift")
OURS = Description("msn", "resnet10", 3, MSN, 4, None, 0.25, 64, False, "mine", ("a", "b", "c"))
OLDER = replace(OURS, motion_weight=None)  # before the weight was saved
BARE = Description("msn", "resnet50", 174, MSN)  # weights alone
TSM = Description("tsm", "resnet50", 400, ("shift",), 8, dense_sample=True, from_name=("num_segments", "dense_sample"))
TSN = Description("tsn", "resnet50", 400, ())

CASES: list[tuple[dict[str, Any], Description, dict[str, Any], tuple[str, ...]]] = [
    # said, found, some of what follows, what is said beside the accuracy
    ({}, OURS, {"network": "msn", "arch": "resnet10", "motion": MSN, "num_segments": 4, "motion_window": None,
                "motion_weight": 0.25, "input_size": 64, "dense_sample": False}, ()),
    ({"num_segments": 4, "arch": "resnet10", "input_size": 64}, OURS, {"num_segments": 4, "input_size": 64}, ()),
    ({"num_segments": 8}, OURS, {"num_segments": 8, "motion_weight": 0.25}, ("8 segments (4 segments in training)",)),
    ({"num_segments": 8}, OLDER, {"num_segments": 8, "motion_weight": 0.25}, ("8 segments (4 segments in training)",)),
    ({"num_segments": 16}, replace(OLDER, num_segments=8), {"motion_weight": 0.5},
     ("16 segments (8 segments in training)",)),
    ({"motion_weight": 0.5}, OURS, {"motion_weight": 0.5}, ("motion weight 0.5 (motion weight 0.25 in training)",)),
    ({"motion_weight": 0.25}, OLDER, {"motion_weight": 0.25}, ()),
    ({"input_size": 224}, OURS, {"input_size": 224}, ("224 x 224 pixels (64 x 64 pixels in training)",)),
    ({"dense_sample": True}, OURS, {"dense_sample": True}, ("dense clips (clips of the whole video in training)",)),
    ({"dense_sample": False}, replace(OURS, dense_sample=True), {"dense_sample": False},
     ("clips of the whole video (dense clips in training)",)),
    ({"motion_window": 2}, replace(OURS, motion_window=4), {"motion_window": 2},
     ("motion window 2 (motion window 4 in training)",)),
    ({"num_segments": 8}, replace(OURS, motion_window=4), {"num_segments": 8, "motion_window": 4},
     ("8 segments (4 segments in training)",)),
    ({"num_segments": 8}, BARE, {"arch": "resnet50", "input_size": 224, "dense_sample": False, "motion_weight": 0.5},
     ()),
    ({"num_segments": 16}, BARE, {"motion_weight": 0.25}, ()),
    ({}, TSM, {"network": "tsm", "num_segments": 8, "dense_sample": True, "motion_weight": None, "input_size": 224},
     ()),
    # Without motion modules MSN, TDN and TSN have the same weights, and see other frames.
    ({"network": "msn", "num_segments": 8}, TSN, {"network": "msn", "motion": (), "motion_weight": 0.5}, ()),
    ({"network": "tdn", "num_segments": 8}, replace(BARE, motion=("shift",)), {"network": "tdn"}, ()),
]  # fmt: skip


@pytest.mark.parametrize(("given", "found", "expected", "contradictions"), CASES)
def test_case(
    given: dict[str, Any], found: Description, expected: dict[str, Any], contradictions: tuple[str, ...]
) -> None:
    resolved = resolve(given, found, "x.pth")
    assert {name: getattr(resolved, name) for name in expected} == expected
    assert resolved.contradictions == contradictions


def test_what_a_files_name_alone_says_is_said_aloud() -> None:
    assert resolve({}, TSM, "x.pth").guesses == ("8 segments", "dense clips")
    resolved = resolve({"num_segments": 16}, TSM, "x.pth")
    assert resolved.guesses == ("dense clips",)
    assert resolved.contradictions == ("16 segments (8 segments in training)",)


@pytest.mark.parametrize(
    ("given", "found", "message"),
    [
        ({"arch": "resnet50"}, OURS, "x.pth: expected weights of --arch resnet50, got those of resnet10"),
        ({"network": "tdn"}, OURS, "x.pth: expected weights of --model tdn, got those of msn"),
        ({"network": "tsn"}, TSM, "x.pth: expected weights of --model tsn, got those of tsm"),
        ({"network": "tsm"}, TSN, "x.pth: expected weights of --model tsm, got those of tsn"),
        ({"motion": ("shift",)}, OURS, "x.pth: expected weights of --motion shift, got those of stpme,dsme,shift"),
        ({"motion": ()}, TSM, "x.pth: expected weights of --motion none, got those of shift"),
        ({}, BARE, "expected --test_segments T, as x.pth does not say with how many segments it was trained"),
    ],
)
def test_refused(given: dict[str, Any], found: Description, message: str) -> None:
    with pytest.raises(InputError) as caught:
        resolve(given, found, "x.pth")
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


def test_training_may_have_a_default_for_what_testing_asks() -> None:
    assert resolve({}, BARE, "x.pth", {**DEFAULTS, "num_segments": 8}).num_segments == 8


def test_data() -> None:
    spec = DatasetSpec("mine", "videos", 3, Path(), Path("a.txt"), Path("b.txt"), ("a", "b", "c"))
    assert about_data(spec, OURS) == ()
    assert about_data(replace(spec, class_names=()), OURS) == ()
    assert about_data(replace(spec, name="other"), OURS) == ("data set other (mine in training)",)
    assert about_data(replace(spec, class_names=("a", "c", "b")), OURS) == ("class 1 is 'c' ('b' in training)",)
    assert about_data(replace(spec, name="other"), replace(OURS, dataset="x", from_name=("dataset",))) == ()
