"""Limits, and values separated by commas."""

import argparse
from typing import Any

import pytest

from ops.runtime.options.values import CommaList, above, at_least, from_to, from_to_below


class TestLimits:
    @pytest.mark.parametrize(
        ("limit", "allowed", "refused"),
        [
            (at_least(1), (1, 2.5), (0, float("inf"), float("nan"))),
            (above(0), (1e-9,), (0, -1, float("inf"), float("nan"))),
            (above(0, finite=False), (1, float("inf")), (0, float("nan"))),
            (from_to(0, 1), (0, 1), (-0.1, 1.1, float("nan"))),
            (from_to_below(0, 1), (0, 0.99), (-0.1, 1, float("nan"))),
        ],
    )
    def test_bounds(self, limit: Any, allowed: tuple[float, ...], refused: tuple[float, ...]) -> None:
        assert all(map(limit.holds, allowed)) and not any(map(limit.holds, refused))


class TestCommaList:
    def test_values(self) -> None:
        assert CommaList(int)("1,2") == (1, 2)
        assert CommaList.show((1, 2)) == "1,2"
        for text in ("", "1,", "x", "1.5"):
            with pytest.raises(argparse.ArgumentTypeError, match="whole numbers separated by commas"):
                CommaList(int)(text)
