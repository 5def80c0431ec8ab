"""A reader of pickled scores from strangers: it makes lists, numbers and NumPy arrays of numbers, and nothing else.

A pickle is a program that names functions and calls them. Here the few names that NumPy 1.x and 2.x write stand for
functions of this file, which check their arguments; every other name is an error. The interpreter is the standard
library's in Python, since the one in C gives memory to whoever asks for it.
"""

import io
import pickle
import re
from typing import Any

import numpy as np

MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")
NUMERIC = ("numpy.core.numeric", "numpy._core.numeric")


class _DType:
    """A type of numbers, whose byte order comes after it has been named."""

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not re.fullmatch(r"[<>|=]?[fiu][1248]", name):
            raise pickle.UnpicklingError(f"arrays of {name!r} are not part of a score file")
        self.dtype = np.dtype(name)

    def set_state(self, state: Any) -> None:
        _, order, subarray, names, fields, *_ = state
        if (subarray, names, fields) != (None, None, None):
            raise pickle.UnpicklingError("arrays of records are not part of a score file")
        self.dtype = self.dtype.newbyteorder(order)


def _dtype(name: str, align: object = False, copy: object = False) -> _DType:
    return _DType(name)


def _encode(text: str, encoding: str) -> bytes:
    """Bytes, as protocols below 3 write them."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"text in {encoding!r} is not part of a score file")
    return text.encode(encoding)


def _reconstruct(kind: object, shape: object, typecode: object) -> np.ndarray:
    """An array that gets its shape and numbers later, by ``_set_array``."""
    return np.empty(0, np.uint8)


def _set_array(array: np.ndarray, state: Any) -> None:
    _, shape, kind, is_fortran, numbers = state
    if not isinstance(kind, _DType) or not isinstance(numbers, bytes):
        raise pickle.UnpicklingError("arrays of anything but numbers are not part of a score file")
    array.__setstate__((1, shape, kind.dtype, is_fortran, numbers))


def _scalar(kind: _DType, number: bytes) -> Any:
    return np.frombuffer(number, kind.dtype, count=1)[0]


def _frombuffer(numbers: bytes, kind: _DType, shape: tuple[int, ...], order: str) -> np.ndarray:
    return np.frombuffer(numbers, kind.dtype).reshape(shape, order=order)  # type: ignore[call-overload]


_ADMITTED: dict[tuple[str, str], object] = {
    ("numpy", "ndarray"): None,  # named, and never called
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): _encode,
    **{(module, "_reconstruct"): _reconstruct for module in MULTIARRAY},
    **{(module, "scalar"): _scalar for module in MULTIARRAY},
    **{(module, "_frombuffer"): _frombuffer for module in NUMERIC},
}


_InPython: Any = pickle._Unpickler  # of whose insides type checkers know nothing


class _Unpickler(_InPython):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"{module}.{name} is not part of a score file")
        return _ADMITTED[module, name]

    def load_build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, _DType):
            target.set_state(state)
        elif isinstance(target, np.ndarray):
            _set_array(target, state)
        else:
            raise pickle.UnpicklingError(f"the state of a {type(target).__name__} is not part of a score file")

    dispatch = {**_InPython.dispatch, pickle.BUILD[0]: load_build}  # noqa: RUF012


def loads(content: bytes) -> Any:
    """What a pickle of lists, numbers and arrays holds; any exception where it is not one, or names anything else."""
    return _Unpickler(io.BytesIO(content)).load()
