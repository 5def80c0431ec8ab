"""What a checkpoint of other code may hold besides tensors and plain data, and what becomes of it.

A pickle names functions and classes to call. torch's reader (``weights_only``) calls none that it does not know; the
names below, which training scripts often leave in their checkpoints, stand for functions and classes of this file, so
that reading runs nothing of theirs: settings become dicts, paths pure ones, NumPy's numbers stay what they are.
"""

import datetime
import re
from collections.abc import Callable
from pathlib import PurePosixPath, PureWindowsPath
from pickle import UnpicklingError
from typing import Any, NoReturn

import numpy as np

# Numbers, truth values, and text or bytes of a fixed length.
_DTYPE = re.compile(r"[<>|=]?(?:[fiuc]\d\d?|b1|[US]\d{1,6})")


class _Settings(dict):
    """What an object holds that is nothing but its attributes."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.update(state)


class _DType:
    """A NumPy type, whose byte order comes after it has been named."""

    def __init__(self, name: str, *_: object) -> None:
        if not isinstance(name, str) or not _DTYPE.fullmatch(name):
            raise UnpicklingError(f"NumPy values of the type {name!r}")
        self.dtype = np.dtype(name)

    def __setstate__(self, state: tuple) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray):
    """An array that gets its shape and numbers after it has been made."""

    def __new__(cls, *_: object) -> NoReturn:
        raise UnpicklingError("a call of numpy.ndarray")

    def __setstate__(self, state: tuple) -> None:
        _, shape, kind, is_fortran, numbers = state
        if not isinstance(kind, _DType) or not isinstance(numbers, bytes):
            raise UnpicklingError("NumPy arrays of objects")
        super().__setstate__((1, shape, kind.dtype, is_fortran, numbers))


def _array(*_: object) -> np.ndarray:
    return np.empty(0, np.uint8).view(_Array)  # type: ignore[arg-type]


def _scalar(kind: _DType, number: bytes) -> Any:
    return np.frombuffer(number, kind.dtype, count=1)[0]


def _defaultdict(*_: object) -> dict:
    return {}


ADMITTED: list[Callable | tuple[Callable, str]] = [
    (_Settings, "argparse.Namespace"),
    (_Settings, "types.SimpleNamespace"),
    (_DType, "numpy.dtype"),
    (_Array, "numpy.ndarray"),
    *((_array, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
    *((_scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    *((PurePosixPath, f"pathlib.{part}{name}") for part in ("", "_local.") for name in ("PosixPath", "PurePosixPath")),
    *((PureWindowsPath, f"pathlib.{part}{n}") for part in ("", "_local.") for n in ("WindowsPath", "PureWindowsPath")),
    (_defaultdict, "collections.defaultdict"),
    # Called without arguments, as an empty array's bytes or a defaultdict's default are.
    *((kind, f"builtins.{kind.__name__}") for kind in (bytes, dict, list, int, float)),
    *((kind, f"datetime.{kind.__name__}") for kind in (datetime.datetime, datetime.date, datetime.timedelta)),
]


def plain(value: Any) -> Any:
    """What was read, with dicts and arrays in place of this file's classes."""
    if isinstance(value, _Settings) or type(value) is dict:
        return {key: plain(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(plain, value))
    return value.view(np.ndarray) if isinstance(value, _Array) else value
