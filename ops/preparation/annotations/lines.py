"""Lines of annotation files: reading them, and saying which of them is wrong.

Files are UTF-8, with or without a byte-order mark; lines are counted from 1.
"""

from __future__ import annotations

import contextlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ops.runtime import InputError


def wrong(path: Path, line: int, expected: str, got: str) -> InputError:
    """The error for a line of a file."""
    return InputError(f"{path}, line {line}: expected {expected}, got {got}")


def find_file(folder: Path, *names: str) -> Path:
    """The first of ``names`` that is in ``folder``."""
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"{folder}: expected the file {' or '.join(names)}, got no such file")


def read_text(path: Path) -> str:
    """A file's text, UTF-8, without a byte-order mark."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: expected a readable file, got {error.strerror}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise wrong(path, line, "UTF-8", f"the byte 0x{data[error.start]:02x}") from None


def numbered_lines(path: Path) -> list[tuple[int, str]]:
    """Lines that are not blank, without surrounding white space, with their numbers from 1."""
    lines = enumerate(read_text(path).split("\n"), start=1)
    found = [(number, line.strip()) for number, line in lines if line.strip()]
    if not found:
        raise wrong(path, 1, "annotations", "an empty file")
    return found


def check_class_name(path: Path, line: int, name: str) -> None:
    """Raise unless the name can be a line of classes.txt."""
    if not name or name != name.strip() or len(name.splitlines()) != 1 or not is_text(name):
        raise wrong(path, line, "a class name in one line", ascii(name))


def is_text(name: str) -> bool:
    """Whether a name has neither control characters nor what no file of text can hold."""
    return not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name)


def class_labels(path: Path, names: Iterable[tuple[int, str]]) -> dict[str, int]:
    """Labels 0, 1, ... of class names, given with their lines in label order; each name must be a line of its own."""
    labels: dict[str, int] = {}
    for line, name in names:
        check_class_name(path, line, name)
        if name in labels:
            raise wrong(path, line, "each class once", f"{name!r} again")
        labels[name] = len(labels)
    return labels


def unquoted(text: str) -> str:
    """The text without the quotation marks that some programs put around fields with commas."""
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return text[1:-1].replace('""', '"')
    return text


@contextlib.contextmanager
def json_errors(path: Path, line: int) -> Iterator[None]:
    """Names the place of what is no JSON, or nested too deeply for Python in a value that begins in ``line``."""
    try:
        yield
    except json.JSONDecodeError as error:
        raise wrong(path, error.lineno, "JSON", error.msg) from None
    except RecursionError:
        raise wrong(path, line, "JSON", "too many brackets within brackets") from None


def json_array(path: Path) -> Iterator[tuple[int, Any]]:
    """Elements of a JSON array, each with the line that it begins in; whole numbers in them are texts."""
    text = read_text(path)
    decode = json.JSONDecoder(parse_int=str).raw_decode  # Python refuses numbers of thousands of digits
    space = re.compile(r"[ \t\n\r]*")
    line, counted = 1, 0

    def line_at(place: int) -> int:
        nonlocal line, counted
        line, counted = line + text.count("\n", counted, place), place
        return line

    def after_space(place: int) -> int:
        found = space.match(text, place)
        return found.end() if found else place

    place = after_space(0)
    if text[place : place + 1] != "[":
        raise wrong(path, line_at(place), "a JSON array", repr(text[place : place + 20]))
    place = after_space(place + 1)
    following = text[place : place + 1]
    while following != "]":
        begins = line_at(place)
        with json_errors(path, begins):
            element, end = decode(text, place)
        yield begins, element
        place = after_space(end)
        following = text[place : place + 1]
        if following == ",":
            place = after_space(place + 1)
        elif following != "]":
            raise wrong(path, line_at(place), "',' or ']'", repr(following) if following else "the end of the file")
    place = after_space(place + 1)
    if place < len(text):
        raise wrong(path, line_at(place), "the end of the file", repr(text[place : place + 20]))
