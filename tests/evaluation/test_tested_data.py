"""The data set of a test, where the command line leaves it to the checkpoint."""

import json
from pathlib import Path
from typing import Any

import pytest

import test_models_center_crop as centre_script
from ops.checkpoints.description import Description
from ops.data.dataset_config import DatasetSpec
from ops.evaluation.tested_data import saved_data, with_data
from ops.runtime.errors import InputError
from ops.settings.command_lines import parse_test, parse_train
from ops.settings.saved import config_dict

MINE = (
    "--root_path old --train_list old/a.txt --val_list old/b.txt --num_class 3 --storage frames --image_tmpl {:d}.png"
)
OURS = Description("msn", "resnet10", 3, (), 4, dataset="mine", class_names=("a", "b", "c"))
PUBLISHED = Description("tsm", "resnet50", 400, ("shift",), 8, dataset="kinetics", from_name=("dataset",))
BARE = Description("tsn", "resnet50", 5, ())


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def saved(options: str = MINE) -> dict[str, Any]:
    """A checkpoint of main.py."""
    config: dict[str, Any] = json.loads(json.dumps(config_dict(parse_train(["mine", "RGB", *options.split()]))))
    return {"config": config}


def data_of(options: str, content: dict[str, Any], found: Description) -> DatasetSpec:
    config = parse_test(centre_script.SCRIPT, [*options.split(), "--weights", "x.pth"])
    return with_data(config, [content], [found]).data


def test_that_of_training() -> None:
    spec = data_of("", saved(), OURS)
    assert spec == DatasetSpec(
        "mine", "frames", 3, Path("old"), Path("old/a.txt"), Path("old/b.txt"), image_tmpl="{:d}.png"
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--root_path new", {"root": Path("new"), "val_list": Path("new/b.txt"), "image_tmpl": "{:d}.png"}),
        ("--test_list c.txt", {"root": Path("old"), "val_list": Path("c.txt")}),
        ("--image_tmpl {:05d}.jpg", {"image_tmpl": "{:05d}.jpg", "val_list": Path("old/b.txt")}),
        ("--storage videos --val_list v.txt --train_list v.txt", {"storage": "videos", "val_list": Path("v.txt")}),
    ],
)
def test_the_command_line_comes_first(options: str, expected: dict[str, Any]) -> None:
    spec = data_of(options, saved(), OURS)
    assert {name: getattr(spec, name) for name in expected} == expected


def test_a_list_outside_the_folder_stays_where_it_is() -> None:
    elsewhere = MINE.replace("old/b.txt", "lists/b.txt")
    assert data_of("--root_path new", saved(elsewhere), OURS).val_list == Path("lists/b.txt")


def test_the_name_of_a_published_file() -> None:
    spec = data_of("", {}, PUBLISHED)
    assert (spec.name, spec.num_classes, spec.val_list) == ("kinetics", 400, Path("data/kinetics/val.txt"))


def test_classes_of_a_data_set_that_is_named_but_not_described() -> None:
    spec = data_of("other --root_path r --storage videos --test_list t.txt", {}, BARE)
    assert (spec.name, spec.num_classes, spec.val_list, spec.root) == ("other", 5, Path("t.txt"), Path("r"))


def test_what_nobody_says_is_asked_for() -> None:
    with pytest.raises(InputError, match=r"^expected the name of a data set in front of --weights, as x.pth does not"):
        data_of("", {}, BARE)
    config = parse_test(centre_script.SCRIPT, ["--weights", "x.pth,y.pth"])
    with pytest.raises(InputError, match=r"as these say different ones: kinetics and mine$"):
        with_data(config, [saved(), {}], [OURS, PUBLISHED])
    with pytest.raises(InputError, match=r"'other' is not built in .* --storage, --root_path"):
        data_of("other", {}, BARE)


@pytest.mark.parametrize("config", [None, 3, {"dataset": 3}, {"dataset": {"root": 3, "storage": ["frames"]}}])
def test_settings_of_a_stranger_are_not_believed(config: object) -> None:
    assert saved_data({"config": config}) == {}
