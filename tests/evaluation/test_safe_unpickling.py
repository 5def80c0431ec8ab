"""Pickles made to do harm: to run something, to reach into memory, or to ask for more of it than there is."""

import pickle
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ops.evaluation.score_files.safe_unpickling import loads


def names(module: str, name: str) -> bytes:
    return b"c" + module.encode() + b"\n" + name.encode() + b"\n"


DTYPE = names("numpy", "dtype")
RECONSTRUCT = names("numpy._core.multiarray", "_reconstruct")
F4 = DTYPE + b"(X\x02\x00\x00\x00f4I00\nI01\ntR"  # dtype('f4', False, True)


def peak(function: Callable[[], object]) -> int:
    """Most bytes that Python asked for meanwhile."""
    tracemalloc.start()
    try:
        function()
    finally:
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return most


class TestWhatItMakes:
    @pytest.mark.parametrize("protocol", range(6))
    @pytest.mark.parametrize("kind", ["f2", "f4", "f8", "i1", "i8", "u2", ">f4", ">i4"])
    def test_arrays_and_numbers(self, protocol: int, kind: str) -> None:
        arrays = [np.arange(6, dtype=kind).reshape(2, 3), np.asfortranarray(np.arange(6, dtype=kind).reshape(2, 3))]
        scalar = np.dtype(kind).newbyteorder("=").type(3)
        made = loads(pickle.dumps([*arrays, np.array(2, kind), scalar, 5, 1.5], protocol))
        for array, expected in zip(made, [*arrays, np.array(2), scalar, 5, 1.5], strict=True):
            assert np.array_equal(array, expected) and np.shape(array) == np.shape(expected)
        assert made[0].dtype.newbyteorder("=") == np.dtype(kind).newbyteorder("=")


class TestWhatItRefuses:
    @pytest.mark.parametrize(
        "program",
        [
            names("os", "system") + b"(X\x04\x00\x00\x00truetR.",
            names("builtins", "eval") + b"(X\x01\x00\x00\x001tR.",
            b"(X\x04\x00\x00\x00true" + b"ios\nsystem\n.",
            b"\x80\x02" + names("os", "system") + b")\x81.",
            b"\x80\x02\x82\x01.",  # an extension of copyreg
            b"Pname\n.",  # a persistent id
            names("numpy", "ndarray") + b"(I4\ntR.",
            names("numpy", "ndarray") + b")\x81.",
            names("_codecs", "encode") + b"(X\x01\x00\x00\x00aX\x03\x00\x00\x00hextR.",
            DTYPE + b"(X\x01\x00\x00\x00OtR.",
            DTYPE + b"(X\x02\x00\x00\x00V8tR.",
            DTYPE + b"(X\x05\x00\x00\x00f4,f4tR.",
            F4 + b"(I3\nX\x01\x00\x00\x00<NX\x01\x00\x00\x00aN(tI8\nI4\nI0\ntb.",  # fields by way of the state
            RECONSTRUCT + b"}X\x08\x00\x00\x00__code__I1\nsb.",  # the state of a function
            names("numpy._core.numeric", "_frombuffer") + b"N}X\x0c\x00\x00\x00__defaults__)s\x86b.",
        ],
        ids=range(15),
    )
    def test_any_other_program(self, program: bytes) -> None:
        refused = "not part of a score file|unregistered extension|persistent id|not callable|not a type object"
        with pytest.raises((pickle.UnpicklingError, ValueError, TypeError), match=refused):
            loads(program)

    def test_objects_as_numbers(self) -> None:
        """Raw bytes as an array of pointers would be followed."""
        raw = RECONSTRUCT + b"(NNNtR(I1\n(I1\nt" + DTYPE + b"(X\x02\x00\x00\x00O8tRI00\nX\x08\x00\x00\x00aaaaaaaatb."
        with pytest.raises(pickle.UnpicklingError, match="arrays of 'O8'"):
            loads(raw)

    def test_numbers_that_are_objects(self) -> None:
        listed = RECONSTRUCT + b"(NNNtR(I1\n(I1\nt" + F4 + b"I00\n(lI1\natb."
        with pytest.raises(pickle.UnpicklingError, match="arrays of anything but numbers"):
            loads(listed)


class TestMemory:
    def test_a_place_far_out_in_the_memo(self) -> None:
        """The interpreter in C would make room for all places before it: 16 bytes each."""
        assert peak(lambda: loads(b"\x80\x04]r\xff\xff\x7f\x00.")) < 1_000_000

    @pytest.mark.parametrize(
        "program",
        [
            RECONSTRUCT + b"(N(I99999999\ntNtR.",
            RECONSTRUCT + b"(NNNtR(I1\n(I99999999\nt" + F4 + b"I00\nC\x04aaaatb.",
            names("numpy._core.numeric", "_frombuffer") + b"(C\x04aaaa" + F4 + b"(I99999999\ntX\x01\x00\x00\x00CtR.",
            b"\x80\x04B\xff\xff\xff\x7fabc.",
            b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
            b"\x80\x04\x95\xff\xff\xff\x7f\x00\x00\x00\x00abc.",
        ],
        ids=range(6),
    )  # fmt: skip
    def test_a_few_bytes_that_announce_many(self, program: bytes) -> None:
        def load() -> Any:
            try:
                return loads(b"\x80\x04" + program if not program.startswith(b"\x80") else program)
            except Exception:
                return None

        assert peak(load) < 1_000_000
        assert np.size(load()) < 10
