"""Options that stand in files: ``python main.py @recipes/msn_something_v1_8f.args --epochs 10``.

One option a line, as on the command line; ``#`` begins a comment; values with spaces stand in quotes; ``@FILE`` reads
another file, relative to the one it stands in. What comes later overrides what came before.
"""

import argparse
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.runtime.command_line import OneLineParser, suggestion
from ops.runtime.errors import InputError

_WORD = re.compile(r"""(?:[^\s"']|"[^"]*"|'[^']*')+""")
_QUOTED = re.compile(r""""([^"]*)"|'([^']*)'""")


@dataclass(frozen=True)
class OptionFile:
    """A file of options that was read: its lines without comments."""

    path: str
    options: tuple[str, ...]


def split_line(line: str) -> list[str]:
    """The words of a line, without quotes and comment.

    Raises:
        ValueError: a quote is not closed.
    """
    words, position = [], 0
    while position < len(line):
        if line[position].isspace():
            position += 1
        elif line[position] == "#":
            break
        else:
            found = _WORD.match(line, position)
            if found is None or not (line[found.end() :][:1] or " ").isspace():
                raise ValueError("a quote that is not closed")
            words.append(_QUOTED.sub(lambda quoted: quoted[1] or quoted[2] or "", found[0]))
            position = found.end()
    return words


def read_option_file(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Number and words of each line that holds options.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{path}: expected a file of options in UTF-8, got other bytes") from None
    except (OSError, ValueError) as error:  # the second for a name with a null byte
        raise InputError(f"{path}: expected a file of options, got {getattr(error, 'strerror', error)}") from None
    for number, line in enumerate(lines, 1):
        try:
            words = split_line(line)
        except ValueError as error:
            raise InputError(f"{path}, line {number}: expected options, got {error}") from None
        if words:
            yield number, words


class SettingsParser(OneLineParser):
    """A parser that reads files of options, and knows how options are called elsewhere.

    An option may be cut short as long as it is clear which is meant; ``-`` and ``_`` in it are the same.

    Args:
        advice: options (and other words) that this script does not have, and what to use instead.
        settings: of the parser.
    """

    def __init__(self, advice: Mapping[str, str] | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self.advice = dict(advice or {})
        self.aliases: dict[str, str] = {}  # further names of options
        self.files: list[OptionFile] = []  # that were read
        self.given: frozenset[str] = frozenset()  # what the command line said; the rest has its default

    def parse_args(self, words: Sequence[str] | None = None) -> Any:  # type: ignore[override]
        actions = [a for a in self._actions if argparse.SUPPRESS not in (a.dest, a.default)]
        defaults = {action.dest: action.default for action in actions}
        unsaid = object()
        parsed, unknown = self.parse_known_args(words, argparse.Namespace(**dict.fromkeys(defaults, unsaid)))
        for action in actions:  # argparse takes an optional positional argument only in front of all options
            if action.nargs == "?" and getattr(parsed, action.dest) == action.default:
                is_there = bool(unknown) and not unknown[0].startswith("-")
                setattr(parsed, action.dest, unknown.pop(0) if is_there else unsaid)
        if unknown:
            advice = self.advice.get(unknown[0], self.advice.get(Path(unknown[0]).suffix, ""))
            self.error(f"unrecognized arguments: {' '.join(unknown)}{advice and f'; {advice}'}")
        self.given = frozenset(name for name in defaults if getattr(parsed, name) is not unsaid)
        for name, default in defaults.items():
            if getattr(parsed, name) is unsaid:
                setattr(parsed, name, default)
        return parsed

    def parse_known_args(self, words: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        self.files = []
        return super().parse_known_args(self._words(sys.argv[1:] if words is None else words), namespace)

    def _words(self, words: Sequence[str], reading: tuple[Path, ...] = ()) -> list[str]:
        """Words of a command line with their options' full names, those of files included."""
        found: list[str] = []
        for place, word in enumerate(words):
            if word == "--":
                return found + list(words[place:])
            if word.startswith("@") and len(word) > 1:
                found += self._words_of(Path(*(path.parent for path in reading[-1:]), word[1:]), reading)
            else:
                found.append(self._in_full(word))
        return found

    def _words_of(self, path: Path, reading: tuple[Path, ...]) -> list[str]:
        """The words of a file of options, which the files ``reading`` led to."""
        if os.path.abspath(path) in map(os.path.abspath, reading):
            raise InputError(f"{path}: expected options, got a file that includes itself")
        lines = list(read_option_file(path))
        self.files.append(OptionFile(str(path), tuple(" ".join(words) for _, words in lines)))
        found: list[str] = []
        for number, words in lines:
            try:
                found += self._words(words, (*reading, path))
            except InputError as error:
                raise InputError(f"{path}, line {number}: {error}") from None
        return found

    def _in_full(self, word: str) -> str:
        """A word; an option with its full name."""
        name, equals, value = word.partition("=")
        is_option = name.startswith("--") and not re.search(r"\s", name)
        return self._option(name) + equals + value if is_option or name in self.aliases else word

    def _option(self, name: str) -> str:
        """The full name of the option that a word means; an error where there is none, or more than one."""
        flags = [flag for flag in self._option_string_actions if flag.startswith("--")]
        names = {flag: flag for flag in flags} | self.aliases
        if name in names:
            return names[name]
        for known, flag in names.items():
            if _alike(known) == _alike(name):
                return flag
        for known, advice in self.advice.items():
            if _alike(known) == _alike(name):
                self.error(f"there is no option {name} here; {advice}")
        for spelled in (str, _alike):
            found = [flag for flag in flags if spelled(flag).startswith(spelled(name))]
            if len({id(self._option_string_actions[flag]) for flag in found}) == 1:
                return found[0]
            if found:
                self.error(f"ambiguous option: {name} could match {', '.join(found)}")
        return self.error(f"unrecognized arguments: {name}{suggestion(name, names)}")


def _alike(name: str) -> str:
    return name.replace("_", "-")
