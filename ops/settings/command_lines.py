"""Command lines of the scripts at the top, turned into settings."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from ops.runtime import SettingsParser, add_options, take
from ops.settings import published_options as published
from ops.settings.explaining import ExplainConfig
from ops.settings.predicting import PredictConfig
from ops.settings.results import CurvesConfig, ReportConfig, ResultsConfig
from ops.settings.testing import TestConfig, TestScript
from ops.settings.training import TrainConfig

_EPILOG = (
    "Options can also be written in a file, one per line: @FILE reads them, and later options override earlier ones. "
    "An option may be abbreviated as long as the short form is unambiguous, and - and _ in its name are the same."
)


class _FromLauncher(argparse.Action):
    """An option that torch.distributed.launch adds; it says the same in the environment."""

    def __call__(self, *_: Any) -> None:
        """Keep nothing."""


def settings_parser(
    kind: type,
    prog: str,
    description: str,
    advice: Mapping[str, str] | None = None,
    changes: Mapping[str, Mapping[str, Any]] | None = None,
    launched: bool = False,
) -> SettingsParser:
    """The parser of a script.

    Args:
        kind: dataclass of its settings.
        prog: its name.
        description: what it does, in a sentence.
        advice: options and other words that it does not take, and what to use instead.
        changes: what differs from the declarations, by path.
        launched: torch.distributed.launch may start it.
    """
    parser = SettingsParser(advice, prog=prog, description=description, epilog=_EPILOG)
    parser.aliases |= add_options(parser, kind, changes)
    if launched:
        parser.add_argument(
            "--local-rank", "--local_rank", type=int, action=_FromLauncher, dest=argparse.SUPPRESS,
            default=argparse.SUPPRESS, help=argparse.SUPPRESS,
        )  # fmt: skip
    parser.usage = _usage(parser)
    return parser


def _usage(parser: SettingsParser) -> str:
    """The usage line: positional arguments and what is required, without the many optional arguments."""
    words = []
    for action in parser._actions:
        if action.required or not action.option_strings:
            word = " ".join((*action.option_strings[-1:], str(action.metavar)))
            words.append(word if action.required else f"[{word}]")
    return " ".join((parser.prog, *words, "[options]"))


def parse(parser: SettingsParser, kind: type, argv: Sequence[str] | None = None) -> Any:
    """The settings that a command line asks for: all that was parsed, in the fields that declare it."""
    values = vars(parser.parse_args(argv))
    config = take(kind, values, read_from=tuple(parser.files), given=parser.given)
    if values:
        raise TypeError(f"{kind.__name__} has no field for {', '.join(values)}")
    return config


def train_parser() -> SettingsParser:
    description = "Train a network, or validate a checkpoint."
    return settings_parser(TrainConfig, "main.py", description, published.TRAINING, launched=True)


def test_parser(script: TestScript) -> SettingsParser:
    changes = script.changes()
    return settings_parser(TestConfig, script.prog, script.description, published.TESTING, changes, launched=True)


def results_parser() -> SettingsParser:
    description = "Average scores over clips and crops (and over two folders), and report accuracies."
    return settings_parser(ResultsConfig, "pkl_to_results.py", description, published.RESULTS)


def parse_train(argv: Sequence[str] | None = None) -> TrainConfig:
    """Settings of main.py from its command line."""
    return parse(train_parser(), TrainConfig, argv)


def parse_test(script: TestScript, argv: Sequence[str] | None = None) -> TestConfig:
    """Settings of a test script from its command line."""
    return parse(test_parser(script), TestConfig, argv)


def parse_results(argv: Sequence[str] | None = None) -> ResultsConfig:
    """Settings of pkl_to_results.py from its command line."""
    return parse(results_parser(), ResultsConfig, argv)


def predict_parser() -> SettingsParser:
    description = "Say what happens in videos, long videos or live streams, with a trained network."
    return settings_parser(PredictConfig, "predict.py", description)


def explain_parser() -> SettingsParser:
    description = "Draw why a trained network gives its answer to a video."
    return settings_parser(ExplainConfig, "explain.py", description)


def report_parser() -> SettingsParser:
    description = "Make a page of all that a folder of scores says, or of how two of them differ."
    return settings_parser(ReportConfig, "report.py", description)


def curves_parser() -> SettingsParser:
    description = "Draw loss, accuracy, learning rate and time of one or several runs."
    return settings_parser(CurvesConfig, "training_curves.py", description)
