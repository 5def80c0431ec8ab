"""The help of every script: what each option does, and its default."""

import argparse
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import test_models_center_crop as center_script
import test_models_three_crops as three_script
from ops.settings.command_lines import results_parser, test_parser, train_parser

REPOSITORY = Path(__file__).resolve().parents[2]
AT_THE_TOP = {
    "main.py": train_parser,
    "test_models_center_crop.py": lambda: test_parser(center_script.SCRIPT),
    "test_models_three_crops.py": lambda: test_parser(three_script.SCRIPT),
    "pkl_to_results.py": results_parser,
}
BELOW = [str(path.relative_to(REPOSITORY)) for path in sorted((REPOSITORY / "scripts").rglob("*.py"))]
SCRIPTS = [*AT_THE_TOP, *(script for script in BELOW if not script.endswith("/torchrun.py"))]  # with PyTorch's options


def parser_of(script: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser
    made = AT_THE_TOP[script]() if script in AT_THE_TOP else runpy.run_path(str(REPOSITORY / script))["parser"]()
    return made


def with_commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser, and those of its subcommands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from with_commands(command)


def options_of(parser: argparse.ArgumentParser) -> Iterator[tuple[Any, str]]:
    """Its options and arguments, each with its help as it is printed."""
    for action in parser._actions:
        if action.help != argparse.SUPPRESS and not isinstance(action, argparse._HelpAction):
            yield action, parser._get_formatter()._expand_help(action) if action.help else ""


def test_scripts_are_found() -> None:
    assert len(SCRIPTS) > 10 and "scripts/preparation/check_dataset.py" in SCRIPTS


@pytest.mark.parametrize("script", SCRIPTS)
class TestHelp:
    def test_every_option_says_what_it_does_and_its_default(self, script: str) -> None:
        for parser in with_commands(parser_of(script)):
            for action, words in options_of(parser):
                name = "/".join(action.option_strings) or str(action.metavar)
                assert re.match(r"\S+( \S+)+ \(.*(default: .+|required).*\)$", words), (
                    f"{parser.prog} {name}: {words!r}"
                )

    def test_no_word_of_the_old_tongue(self, script: str) -> None:
        """The list of the plain words that users read instead."""
        text = " ".join(word for parser in with_commands(parser_of(script)) for word in parser.format_help().split())
        for words in ("go on", "goes on", "left out", "leave out", "whole one", "made good", "%("):
            assert words not in text
