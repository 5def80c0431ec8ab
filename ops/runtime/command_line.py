"""What all scripts share: reading command lines, printing counts and progress."""

from __future__ import annotations

import argparse
import difflib
import io
import math
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from tqdm import tqdm

from ops.runtime.errors import InputError
from ops.runtime.worker_pool import Failure

SHOWN = 10  # lines of a long list that are printed
SPELLING = 0.75  # share of the letters, in order, that a word has in common with what it is taken for
QUIET_INTERVAL = 30.0  # seconds between progress lines where there is no terminal


class OneLineParser(argparse.ArgumentParser):
    """Reports a wrong command line as bad input, in one line that suggests what may have been meant.

    Options are written out whole; where one is spelled with ``-``, ``_`` is as good, and the other way round.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **settings})

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{self.prog}: {message} (see {self.prog} --help)")

    def parse_args(  # type: ignore[override]
        self, arguments: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        parsed, unknown = self.parse_known_args(arguments, namespace)
        if unknown:
            name = unknown[0].partition("=")[0]
            self.error(f"unrecognized arguments: {' '.join(unknown)}{suggestion(name, self._options())}")
        return parsed

    def parse_known_args(  # type: ignore[override]
        self, arguments: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        words = sys.argv[1:] if arguments is None else arguments
        declared = {option.replace("_", "-"): option for option in self._option_string_actions}

        def as_declared(word: str) -> str:
            name, *value = word.split("=", 1)
            return "=".join([declared.get(name.replace("_", "-"), name), *value]) if word.startswith("--") else word

        return super().parse_known_args([as_declared(word) for word in words], namespace)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            error.message += suggestion(str(value), map(str, action.choices or ()))
            raise

    def _options(self) -> list[str]:
        """Every option, those of subcommands included."""
        commands = [action.choices for action in self._actions if isinstance(action, argparse._SubParsersAction)]
        below = [option for parsers in commands for parser in parsers.values() for option in parser._options()]
        return [*self._option_string_actions, *below]


def suggestion(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'folders'?`` where a known word begins with ``word`` or is spelled alike, else nothing."""
    names = {plain_name(name): name for name in known}
    word = plain_name(word)
    begun = [name for name in names if len(word) > 2 and name.startswith(word)]
    close = difflib.get_close_matches(word, names, n=1, cutoff=SPELLING) or sorted(begun, key=len)
    return f"; did you mean {names[close[0]]!r}?" if close else ""


def plain_name(option: str) -> str:
    """``batchsize`` for ``--batch-size``."""
    return option.replace("-", "").replace("_", "").lower()


def number_type(kind: Callable[[str], Any], low: float, high: float = math.inf) -> Callable[[str], Any]:
    """An argparse type: a number from ``low`` to ``high``."""

    def parse(text: str) -> Any:
        expected = f"expected a number from {low:g}" + (f" to {high:g}" if high < math.inf else "")
        try:
            value = kind(text)
        except (ValueError, ZeroDivisionError):
            raise argparse.ArgumentTypeError(f"{expected}, got {text!r}") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{expected}, got {text}")
        return value

    return parse


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def plural(count: int, noun: str) -> str:
    """``1 video``, ``2,000 videos``, ``3 classes``."""
    ending = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{count:,} {noun}{ending}"


def progress_bar(total: int, unit: str) -> tqdm:
    """A bar with rate and time left on a terminal, now and then a line elsewhere."""
    interval = 0.1 if sys.stderr.isatty() else QUIET_INTERVAL
    return tqdm(total=total, unit=unit, mininterval=interval, dynamic_ncols=True, disable=total == 0)


def print_any_name() -> None:
    """Lets print show file names that are in no encoding of this terminal."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def show(title: str, entries: Sequence[Failure]) -> None:
    """Prints the first of some entries on stderr, in order."""
    if not entries:
        return
    print(f"{title}:", file=sys.stderr)
    for entry in sorted(entries, key=lambda entry: entry.name)[:SHOWN]:
        print(f"  {entry.name}: {entry.reason}", file=sys.stderr)
    if len(entries) > SHOWN:
        print(f"  ... and {len(entries) - SHOWN:,} more", file=sys.stderr)
