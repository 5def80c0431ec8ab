"""Options of regularization on main.py's command line: off by default, and what is refused in one line."""

import sys
from pathlib import Path

import pytest

import main as main_script
from ops.runtime.errors import run_script
from ops.settings.command_lines import parse_train

REFUSED = {
    "--augment rotat": "got 'rotat'",
    "--augment jitter:probability=2": "from 0 to 1, got 2",
    "--mixup 0.2 -b 1": "expected an even --batch-size with --mixup and --cutmix, which mix clips in pairs, got 1",
    "--cutmix 1 -b 7": "which mix clips in pairs, got 7",
    "--mixup 0.2 --num_class 1": "expected at least two classes with --mixup and --cutmix, got 1",
    "--mixup -1": "expected --mixup of at least 0, got -1",
    "--cutmix inf": "expected --cutmix of at least 0, got inf",
    "--label_smoothing 1": "expected --label_smoothing from 0 to below 1, got 1",
    "--ema 1": "expected --ema from 0 to below 1, got 1",
    "--recompute --compile": "expected either --recompute or --compile, got both",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the data set that the demo leaves in the repository's."""
    monkeypatch.chdir(tmp_path)


def test_all_is_off_by_default() -> None:
    config = parse_train(["motion", "RGB"])
    assert (config.augment, config.mixup, config.cutmix, config.label_smoothing, config.ema, config.recompute) == (
        "none", 0, 0, 0, None, False,
    )  # fmt: skip
    assert not config.mixes


def test_a_specification_is_saved_in_full() -> None:
    config = parse_train(["motion", "RGB", "--augment", "randaugment:geometric=off,grayscale"])
    assert config.augment == "randaugment:magnitude=9:number=2:geometric=off,grayscale:probability=0.2"


def refusal(words: list[str], capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "argv", ["main.py", *words])
    with pytest.raises(SystemExit) as stop:
        run_script(main_script.main)
    error = capsys.readouterr().err
    assert stop.value.code == 2 and error.count("\n") == 1
    return error


@pytest.mark.parametrize(("options", "message"), REFUSED.items())
def test_refused(options: str, message: str, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    assert message in refusal(["motion", "RGB", *options.split()], capsys, monkeypatch)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("Turn clockwise", "turn anticlockwise", "turn counterclockwise"),
         "expected one mirror label of 'Turn clockwise', got one label in several forms: 'turn anticlockwise' and "
         "'turn counterclockwise'"),
        (("to the left", "to the right", "To the Right"), "'to the right' and 'To the Right'"),
    ],
)  # fmt: skip
def test_a_label_in_several_forms(
    names: tuple[str, ...], said: str, tmp_path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes = tmp_path / "classes.txt"
    classes.write_text("\n".join(names))
    words = ["motion", "RGB", "--class_names", str(classes)]
    assert said in refusal(words, capsys, monkeypatch)
    assert parse_train([*words, "--flip", "off"]).dataset.class_names == names
