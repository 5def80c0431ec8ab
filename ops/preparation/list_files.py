"""Lists, class names and dataset.toml as files: all of them are checked before the first is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ops.runtime import InputError, write_atomically


def toml_text(values: Mapping[str, Any]) -> str:
    """A flat TOML file; a JSON string is a TOML string."""
    lines = ["# Written by scripts/preparation/make_lists.py. Paths are relative to the folder of this file."]
    lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    return "".join(f"{line}\n" for line in lines)


def encoded(files: Mapping[Path, str]) -> dict[Path, bytes]:
    """The contents in UTF-8.

    Raises:
        InputError: a name in them is not text.
    """
    contents = {}
    for path, text in files.items():
        try:
            contents[path] = text.encode()
        except UnicodeEncodeError as error:
            line = text[text.rfind("\n", 0, error.start) + 1 :].split("\n")[0]
            raise InputError(f"{path}: expected names in UTF-8, got {line!a}") from None
    return contents


def check_files(files: Mapping[Path, bytes], overwrite: bool) -> None:
    """Raise if a file exists with another content, unless it may be overwritten."""
    for path, content in files.items():
        try:
            other = path.is_dir() or (path.exists() and not overwrite)
            other = other and path.read_bytes() != content  # a folder is an error, to be found before the first write
        except OSError as error:
            raise InputError(f"{path}: expected no file or a readable one, got {error.strerror}") from None
        if other:
            raise InputError(
                f"{path}: expected no file or the same content, got other content; --overwrite replaces the file"
            )


def write_files(files: Mapping[Path, bytes]) -> None:
    """Writes the files, each complete whenever it exists."""
    for path, content in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{path}: expected a folder to write to (--root), got {error.strerror}") from None
        write_atomically(path, content)
