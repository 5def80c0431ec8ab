"""Settings as they are saved, and what is said of them when a run resumes; those of older checkpoints too."""

import json
from pathlib import Path

import pytest

from ops.settings.command_lines import parse_train
from ops.settings.saved import config_changes, config_dict
from ops.settings.training import TrainConfig

# As checkpoints hold it that were written before every setting was declared once.
OLDER = json.loads((Path(__file__).parents[1] / "end_to_end" / "recipes.json").read_text())["train_something_v1_8f"][0][
    "settings"
]
REGULARIZATION = ("augment", "mixup", "cutmix", "label_smoothing", "ema", "recompute")  # off, as it was
SPEED = ("deform", "dist_timeout", "exact", "pixels", "reduced_jpeg")  # what is computed how, and what workers send
LIKE_OLDER = ["something", "RGB", "--gd", "20", "--lr_batch_size", "16", "--resume", "auto"]


def saved(*words: str) -> dict[str, object]:
    values: dict[str, object] = json.loads(json.dumps(config_dict(parse_train(words))))
    return values


class TestSaved:
    def test_keys_of_older_runs_are_there_with_their_values(self) -> None:
        now = saved(*LIKE_OLDER)
        assert {key: now[key] for key in OLDER} | {"model": OLDER["model"]} == {**OLDER, "channels_last": None}
        assert now["model"] == {**OLDER["model"], "network": "msn", "motion_weight": None}  # the published rule's
        assert now.keys() - OLDER.keys() == {"read_from", "modality", "flip", "weights_kind", *REGULARIZATION, *SPEED}

    def test_files_of_options(self, tmp_path: Path) -> None:
        (tmp_path / "a.args").write_text("motion RGB  # synthetic\n--lr 0.5\n")
        config = parse_train([f"@{tmp_path}/a.args", "--epochs", "7"])
        assert config_dict(config)["read_from"] == [
            {"path": f"{tmp_path}/a.args", "options": ["motion RGB", "--lr 0.5"]}
        ]
        assert config == parse_train(["motion", "RGB", "--lr", "0.5", "--epochs", "7"])  # the same settings


class TestChanges:
    @pytest.mark.parametrize(
        ("options", "changes"),
        [
            ("", []),
            ("--epochs 80", ["epochs 60 -> 80"]),
            ("--num_segments 16 --wd 0", ["model.num_segments 8 -> 16", "weight_decay 0.0005 -> 0"]),
            ("--lr_steps 5 10", ["lr_steps 30 45 55 -> 5 10"]),
            ("--motion none", ["model.motion stpme dsme shift -> none"]),
            ("--resume x.pth --pretrain none --start-epoch 3", []),
        ],
    )
    def test_since_an_older_run(self, options: str, changes: list[str]) -> None:
        assert config_changes(OLDER, saved(*LIKE_OLDER, *options.split())) == changes

    def test_where_the_options_stand_is_no_change(self, tmp_path: Path) -> None:
        (tmp_path / "a.args").write_text("something RGB\n")
        assert config_changes(saved(f"@{tmp_path}/a.args"), saved("something", "RGB")) == []

    def test_what_says_how_a_run_is_started(self) -> None:
        names = {"resume", "start_epoch", "evaluate", "tune_from", "weights_kind", "dist_timeout", "pretrain",
                 "channels_last"}  # fmt: skip
        kinds = {f.name for f in TrainConfig.__dataclass_fields__.values() if f.metadata.get("setting")
                 and f.metadata["setting"].of_one_start}  # fmt: skip
        assert kinds == names
