"""Settings are declared once: what follows from the declarations, today as before they were."""

import ast
import json
import re
import subprocess
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import pytest

import test_models_center_crop as center_script
import test_models_three_crops as three_script
from ops.runtime.errors import InputError
from ops.runtime.options.declaration import declared, setting
from ops.runtime.options.option_files import SettingsParser
from ops.runtime.options.values import at_least
from ops.settings import published_options as published
from ops.settings.command_lines import parse, results_parser, settings_parser, test_parser, train_parser
from ops.settings.network import ModelConfig
from ops.settings.results import ResultsConfig
from ops.settings.saved import config_changes, config_dict
from ops.settings.testing import TestConfig, TestModel
from ops.settings.training import TrainConfig

REPOSITORY = Path(__file__).resolve().parents[2]
PARSERS = {
    "main.py": (train_parser, TrainConfig, ["motion", "RGB"]),
    "test_models_center_crop.py": (
        lambda: test_parser(center_script.SCRIPT), TestConfig, ["motion", "--weights", "a", "--output_dir", "b"],
    ),
    "test_models_three_crops.py": (
        lambda: test_parser(three_script.SCRIPT), TestConfig, ["motion", "--weights", "a", "--output_dir", "b"],
    ),
    "pkl_to_results.py": (results_parser, ResultsConfig, ["--output_dir", "."]),
}  # fmt: skip
# Flags, defaults, choices and numbers of values as they were when each was written out by hand.
BEFORE = json.loads((Path(__file__).parent / "flags.json").read_text())
# What the test scripts asked for once and now take from the checkpoint, or from its name.
TESTS, NOW_OPTIONAL = ("test_models_center_crop.py", "test_models_three_crops.py"), ("dataset", "output_dir")
# Defaults that were texts, split later, or that a field says in another way.
SAME_DEFAULTS = {
    "archs": ("resnet50", None), "test_segments": ("8", None), "coeff": (None, [1.0]), "clip_index": ("0", [0]),
    "model.motion": (["stpme", "dsme", "shift"], None),  # all, of whichever network
    "channels_last": (False, None),  # the same numbers, but for their last digits
}  # fmt: skip

LATER = (
    "--channels_first",
    "--motion_weight",
    "--weights_kind",
    "--recompute",
)  # whose beginnings meant something else before


def options_of(parser: SettingsParser) -> list[Any]:
    return [action for action in parser._actions if action.dest != "help"]


def action_of(parser: SettingsParser, before: dict[str, Any]) -> Any:
    """Today's action of an option of before."""
    if before["flags"]:
        return parser._option_string_actions[before["flags"][0]]
    (found,) = [a for a in options_of(parser) if not a.option_strings and a.metavar == before["dest"]]
    return found


def plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return str(value) if isinstance(value, Path) else value


@pytest.mark.parametrize("script", PARSERS)
class TestAsBefore:
    def test_every_flag(self, script: str) -> None:
        parser = PARSERS[script][0]()
        for before in BEFORE[script]:
            action = action_of(parser, before)
            assert set(before["flags"]) <= set(action.option_strings)
            assert (action.nargs != 0) == before["takes_value"]
            if script in TESTS and before["dest"] in NOW_OPTIONAL:
                continue
            assert action.required == before["required"] and action.nargs == before["nargs"]
            assert plain(action.choices) == before["choices"]
            if before["dest"] != "local_rank":
                was, now = SAME_DEFAULTS.get(action.dest, (before["default"], before["default"]))
                assert (before["default"], plain(action.default)) == (was, now)

    def test_no_flag_means_two_things(self, script: str) -> None:
        parser = PARSERS[script][0]()
        groups = [before["flags"] for before in BEFORE[script]]
        assert len({id(parser._option_string_actions[f]) for flags in groups for f in flags[:1]}) == len(
            [flags for flags in groups if flags]
        )

    def test_cut_short(self, script: str) -> None:
        """Every beginning of an option that was clear still is, and means the same, but for those of LATER."""
        parser = PARSERS[script][0]()
        flags = [flag for before in BEFORE[script] for flag in before["flags"] if flag.startswith("--")]
        first = {flag: before["flags"][0] for before in BEFORE[script] for flag in before["flags"]}
        for short in {flag[:length] for flag in flags for length in range(3, len(flag))}:
            meant = [flag for flag in flags if flag.startswith(short)]
            if any(flag.startswith(short) for flag in LATER):
                continue
            if len(meant) == 1 and short not in (*flags, "--h", "--he", "--hel") and short not in parser.advice:
                action = parser._option_string_actions[parser._option(short)]
                assert first[meant[0]] in action.option_strings, short


@pytest.mark.parametrize("script", PARSERS)
class TestNothingVanishes:
    def test_every_destination_is_one_field(self, script: str) -> None:
        make, kind, needed = PARSERS[script]
        paths = [path for path, *_ in declared(kind)]
        assert len(set(paths)) == len(paths)
        assert sorted(vars(make().parse_args(needed))) == sorted(paths)

    def test_an_option_without_a_field_is_an_error(self, script: str) -> None:
        make, kind, needed = PARSERS[script]
        parser = make()
        parser.add_argument("--lost", default=1)
        with pytest.raises(TypeError, match="lost"):
            parse(parser, kind, needed)

    def test_every_setting_is_read(self, script: str) -> None:
        kinds = (PARSERS[script][1], ModelConfig, TestModel)
        unread = {field.name for kind in kinds for field in fields(kind)} - attributes_read()
        assert unread <= {"loss_type"}  # it can only be nll


def attributes_read() -> set[str]:
    """Names that are read as an attribute anywhere but where settings are checked."""
    names = set()
    for path in [*(REPOSITORY / "ops").rglob("*.py"), *REPOSITORY.glob("*.py")]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        checks = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == "__post_init__"]
        checking = {id(n) for check in checks for n in ast.walk(check)} if path.parent.name == "settings" else set()
        reads = (n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Load))
        names |= {n.attr for n in reads if id(n) not in checking}
    return names


@dataclass(frozen=True, kw_only=True)
class WithOneMore(TrainConfig):
    """What it takes to add a setting."""

    group: ClassVar[str] = "learning"

    patience: int = setting(
        "--patience", default=5, limit=at_least(1), metavar="EPOCHS", help="epochs without progress before stopping"
    )


class TestOneMore:
    def parse(self, text: str) -> WithOneMore:
        made: WithOneMore = parse(settings_parser(WithOneMore, "main.py", "Train."), WithOneMore, text.split())
        return made

    def test_parser(self) -> None:
        assert self.parse("motion RGB").patience == 5
        assert self.parse("motion RGB --patience 7").patience == 7

    def test_help(self) -> None:
        text = " ".join(settings_parser(WithOneMore, "main.py", "Train.").format_help().split())
        assert "--patience EPOCHS epochs without progress before stopping (default: 5)" in text

    def test_check(self) -> None:
        with pytest.raises(InputError, match="expected --patience of at least 1, got 0"):
            self.parse("motion RGB --patience 0")

    def test_json(self) -> None:
        assert json.loads(json.dumps(config_dict(self.parse("motion RGB --patience 7"))))["patience"] == 7

    def test_line_on_resume(self) -> None:
        old, new = (config_dict(self.parse(f"motion RGB --patience {number}")) for number in (7, 9))
        assert config_changes(old, new) == ["patience 7 -> 9"]


@pytest.mark.parametrize("script", PARSERS)
class TestNames:
    def test_limits_are_on_the_flag_that_is_named(self, script: str) -> None:
        parser = PARSERS[script][0]()
        for _, what, *_ in declared(PARSERS[script][1]):
            assert what.name.startswith("--") or what.name in ("dataset", "modality")
            assert what.name in parser.format_help()

    def test_advice_is_for_what_is_not_there(self, script: str) -> None:
        parser = PARSERS[script][0]()
        for name, advice in parser.advice.items():
            assert name not in parser._option_string_actions
            for option in re.findall(r"--\w+", advice):
                assert any(option in other()._option_string_actions for other, *_ in PARSERS.values()), option


class TestPublishedOptions:
    """An old command line gets one helpful line."""

    @pytest.mark.parametrize("option", [o for o in published.TRAINING if o.startswith("-")])
    def test_of_training(self, option: str) -> None:
        with pytest.raises(InputError, match=f"there is no option {option} here; "):
            train_parser().parse_args(["something", "RGB", option, "4"])

    @pytest.mark.parametrize("option", [o for o in published.TESTING if o.startswith("-")])
    def test_of_testing(self, option: str) -> None:
        with pytest.raises(InputError, match=f"there is no option {option} here; "):
            test_parser(three_script.SCRIPT).parse_args([option, "4", "something", "--weights", "a"])

    @pytest.mark.parametrize(
        ("script", "words", "said"),
        [
            ("main.py", "ucf101 RGB train.txt val.txt", "--train_list FILE and --val_list FILE"),
            ("test_models_center_crop.py", "something RGB --weights a --output_dir b", "take no modality"),
            ("pkl_to_results.py", "--output_dir . --multi_segments True", "takes no value"),
        ],
    )
    def test_other_words(self, script: str, words: str, said: str) -> None:
        with pytest.raises(InputError, match=said):
            PARSERS[script][0]().parse_args(words.split())


class TestSpellings:
    @pytest.mark.parametrize("option", ["--arch", "--archs"])
    def test_backbone(self, option: str) -> None:
        config = parse(train_parser(), TrainConfig, ["motion", "RGB", option, "resnet18"])
        assert config.model.arch == "resnet18"
        assert self.scored(option, "resnet18").archs == ("resnet18",)

    @pytest.mark.parametrize("option", ["--num_segments", "--test_segments", "--num-segments", "--test-segments"])
    def test_segments(self, option: str) -> None:
        assert parse(train_parser(), TrainConfig, ["motion", "RGB", option, "4"]).model.num_segments == 4
        assert self.scored(option, "4").test_segments == (4,)

    @pytest.mark.parametrize("option", ["--batch-size", "--batch_size"])
    def test_batch(self, option: str) -> None:
        assert parse(train_parser(), TrainConfig, ["motion", "RGB", option, "4"]).batch_size == 4
        assert self.scored(option, "4").batch_size == 4

    @pytest.mark.parametrize("option", ["-ef", "--eval_freq", "--eval-freq"])
    def test_validation(self, option: str) -> None:
        assert parse(train_parser(), TrainConfig, ["motion", "RGB", option, "4"]).eval_freq == 4

    @staticmethod
    def scored(*words: str) -> TestConfig:
        made: TestConfig = parse(
            test_parser(center_script.SCRIPT), TestConfig, ["motion", "--weights", "a", "--output_dir", "b", *words]
        )
        return made


class TestQuick:
    @pytest.mark.parametrize("script", PARSERS)
    def test_help_and_a_wrong_command_line_import_nothing_slow(self, script: str) -> None:
        code = (
            "import runpy, sys\n"
            "sys.argv = sys.argv[1:]\n"
            "try:\n    runpy.run_path(sys.argv[0], run_name='__main__')\n"
            "except SystemExit as stop:\n    status = stop.code\n"
            "slow = {'torch', 'torchvision', 'sklearn', 'scipy', 'matplotlib', 'av'} & set(sys.modules)\n"
            "print('status', status, 'slow', sorted(slow))"
        )
        for word, status in (("--help", 0), ("--nonsense", 2)):
            command = [sys.executable, "-c", code, str(REPOSITORY / script), word]
            done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
            assert done.stdout.splitlines()[-1] == f"status {status} slow []"

    @pytest.mark.parametrize(
        ("script", "words"),
        [
            ("main.py", ("motion", "RGB", "--root_path", "nowhere", "--gpus", "99")),
            ("test_models_center_crop.py", ("motion", "--root_path", "nowhere", "--weights", "a", "--output_dir", "b")),
        ],
    )
    def test_the_first_line_comes_before_all_that(self, tmp_path: Path, script: str, words: tuple[str, ...]) -> None:
        code = (
            "import runpy, sys\n"
            "sys.path.insert(0, sys.argv[1])\n"
            "from ops.settings import announcement\n"
            "announce = announcement.announce\n"
            "def watched(config):\n"
            "    announce(config)\n"
            "    print('slow', sorted({'torch', 'torchvision', 'sklearn', 'av'} & set(sys.modules)), flush=True)\n"
            "announcement.announce = watched\n"
            "sys.argv = sys.argv[2:]\n"
            "runpy.run_path(sys.argv[0], run_name='__main__')"
        )
        command = [sys.executable, "-c", code, str(REPOSITORY), str(REPOSITORY / script), *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        first, second = done.stdout.splitlines()[:2]
        assert "on motion" in first and second == "slow []"
        assert done.returncode == 2
