"""How a score was measured: through JSON and back, refused where it is something else, and in one line."""

import json
from dataclasses import replace
from typing import Any

import pytest

from ops.evaluation.measurement import Checkpoint, Measurement

MEASURED = Measurement(
    dataset="tiny",
    video_list="val.txt",
    num_videos=12,
    scored_videos=12,
    segments=(8,),
    motion=("stpme,dsme,shift",),
    motion_windows=(8,),
    crops=2,
    clips=3,
    sampling="even",
    scale=256,
    size=224,
    checkpoints=(Checkpoint("best.pth.tar", 12, "0123456789abcdef"),),
)


class TestMeasurement:
    @pytest.mark.parametrize(
        "measured",
        [
            MEASURED,
            replace(MEASURED, segments=(8, 16), checkpoints=(Checkpoint("a", None), Checkpoint("b", 3, "ff"))),
            replace(MEASURED, motion=("none",), scored_videos=3, sampling="dense random", seed=3, amp="fp16"),
            replace(MEASURED, coefficients=(0.5, 2.0), softmax=True, motion_windows=(4, 8), average="relu"),
        ],
    )
    def test_round_trip_through_json(self, measured: Measurement) -> None:
        assert Measurement.from_dict(json.loads(json.dumps(measured.to_dict()))) == measured

    @pytest.mark.parametrize(
        "values",
        [None, [], "text", {}, {**MEASURED.to_dict(), "more": 1}, {**MEASURED.to_dict(), "checkpoints": [{"x": 1}]},
         {**MEASURED.to_dict(), "checkpoints": None}, {**MEASURED.to_dict(), "segments": 8},
         {k: v for k, v in MEASURED.to_dict().items() if k != "size"}, {**MEASURED.to_dict(), "coefficients": [1]},
         {**MEASURED.to_dict(), "amp": 1}, {**MEASURED.to_dict(), "softmax": 0},
         {**MEASURED.to_dict(), "networks": ["i3d"]},
         {**MEASURED.to_dict(), "average": "max"}, {**MEASURED.to_dict(), "average": 1}],
        ids=range(15),
    )  # fmt: skip
    def test_anything_else_is_a_value_error(self, values: Any) -> None:
        with pytest.raises(ValueError, match="measurement"):
            Measurement.from_dict(values)

    def test_older_ones_were_averaged_after_the_softmax(self) -> None:
        older = {key: value for key, value in MEASURED.to_dict().items() if key not in ("average", "remarks")}
        assert Measurement.from_dict(older) == MEASURED

    def test_older_ones_were_of_msn(self) -> None:
        several = replace(MEASURED, networks=("msn", "msn"), checkpoints=MEASURED.checkpoints * 2)
        older = {key: value for key, value in several.to_dict().items() if key != "networks"}
        assert Measurement.from_dict(older) == several

    def test_a_whole_network_goes_without_its_modules(self) -> None:
        several = replace(MEASURED, networks=("tsm", "tdn", "tsn"), motion=("shift", "stdm,ltdm,shift", "none"))
        assert several.line().endswith(", TSM + TDN + TSN, views averaged after the softmax")

    def test_one_view_has_no_average(self) -> None:
        assert "averaged" not in replace(MEASURED, crops=1, clips=1).line()

    def test_line_says_how_it_was_measured(self) -> None:
        line = MEASURED.line()
        for part in ("8 frames", "2 crops", "3 clips", "224", "256", "tiny", "val.txt", "12 videos", "best.pth.tar",
                     "epoch 12"):  # fmt: skip
            assert part in line
        assert "\n" not in line and "motion" not in line and "even" not in line

    @pytest.mark.parametrize(
        ("changes", "part"),
        [
            ({"crops": 1, "clips": 1}, "1 crop x 1 clip,"),
            ({"segments": (8, 16)}, "8+16 frames"),
            ({"scored_videos": 5}, "5 of 12 videos"),
            ({"sampling": "random"}, "(random)"),
            ({"motion": ("none",)}, ", motion none"),
            ({"networks": ("tdn",), "motion": ("ltdm",)}, ", TDN, motion ltdm"),
            (
                {"motion": ("stpme,dsme,shift", "stpme,shift"), "networks": ("msn", "msn")},
                ", motion stpme,dsme,shift + stpme,shift",
            ),
            ({"motion_windows": (4,)}, ", motion window 4"),
            ({"coefficients": (1.0, 0.5)}, ", factors 1, 0.5"),
            ({"softmax": True, "segments": (8, 8)}, ", networks averaged after the softmax"),
            ({"average": "logits"}, ", views averaged as logits"),
            ({"average": "relu", "crops": 1, "clips": 1}, ", views averaged as max(logit, 0)"),
            ({}, ", views averaged after the softmax"),
            ({"amp": "bf16"}, ", bf16"),
            ({"sampling": "random", "seed": 3}, "(random, seed 3)"),
            ({"checkpoints": (Checkpoint("x.pth", None),)}, "x.pth (epoch unknown)"),
        ],
    )
    def test_line_says_what_is_unusual(self, changes: dict[str, Any], part: str) -> None:
        assert part in replace(MEASURED, **changes).line()
