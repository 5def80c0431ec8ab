"""A setting that is declared once is everywhere: in the parser, its help, the check, and the instance."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ops.runtime.errors import InputError
from ops.runtime.options.declaration import Settings, add_options, declared, part, setting, take
from ops.runtime.options.values import CommaList, above, at_least, from_to


@dataclass(frozen=True, kw_only=True)
class Inner(Settings):
    group: ClassVar[str] = "inside"

    depth: int = setting("--depth", default=3, limit=at_least(1), metavar="D", help="number of layers")


@dataclass(frozen=True, kw_only=True)
class Corner(Settings):
    group: ClassVar[str] = "inside"

    side: float = setting("--side", default=2.0, help="length of a side, in % of the width")


@dataclass(frozen=True, kw_only=True)
class Example(Settings):
    group: ClassVar[str] = "outside"

    name: str = setting("title", help="name of the thing")
    inner: Inner = part(Inner)
    area: float = part(Corner, lambda corner: corner.side**2)
    rate: float = setting("-r", "--rate", "--speed", help="speed", limit=above(0), aliases=("--velocity",))
    folder: Path | None = setting("--folder", default=None, unset="here", help="where")
    numbers: tuple[int, ...] = setting("--numbers", default=(1, 2), limit=from_to(0, 9), help="some")
    listed: tuple[float, ...] = setting("--listed", default=(0.5,), kind=CommaList(float), help="more")
    kind: str = setting("--kind", default="a", choices=("a", "b"), help="which")
    quiet: bool = setting("--quiet", default=False, off=("--loud",), off_help="say it", help="say nothing")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="example", exit_on_error=False)
    add_options(made, Example)
    return made


def example(text: str) -> Example:
    values = vars(parser().parse_args(text.split()))
    made: Example = take(Example, values)
    assert values == {}  # nothing that was parsed is lost
    return made


class TestParsing:
    def test_defaults(self) -> None:
        assert example("thing --rate 1") == Example(
            name="thing", inner=Inner(depth=3), area=4.0, rate=1.0, folder=None, numbers=(1, 2), listed=(0.5,),
            kind="a", quiet=False,
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("text", "field", "value"),
        [
            ("--depth 5", "inner", Inner(depth=5)), ("--side 3", "area", 9.0), ("-r 2", "rate", 2.0),
            ("--speed 2", "rate", 2.0), ("--folder a", "folder", Path("a")), ("--numbers 3 4 5", "numbers", (3, 4, 5)),
            ("--listed 1,2", "listed", (1.0, 2.0)), ("--kind b", "kind", "b"), ("--quiet", "quiet", True),
            ("--loud", "quiet", False),
        ],
    )  # fmt: skip
    def test_value(self, text: str, field: str, value: Any) -> None:
        assert getattr(example(f"thing --rate 1 {text}"), field) == value

    @pytest.mark.parametrize("text", ["--rate 1", "thing", "thing --rate 1 --kind c", "thing --rate x"])
    def test_refused_by_argparse(self, text: str) -> None:
        with pytest.raises((argparse.ArgumentError, SystemExit)):
            example(text)

    def test_every_destination_is_one_field(self) -> None:
        paths = [path for path, *_ in declared(Example)]
        assert sorted(paths) == sorted(vars(parser().parse_args(["thing", "--rate", "1"])))
        assert paths == ["name", "inner.depth", "area.side", "rate", "folder", "numbers", "listed", "kind", "quiet"]

    def test_further_names(self) -> None:
        assert add_options(argparse.ArgumentParser(), Example) == {"--velocity": "--rate"}

    def test_a_script_may_differ(self) -> None:
        made = argparse.ArgumentParser()
        add_options(made, Example, {"inner.depth": {"default": 9}}, without=("name", "rate"))
        assert vars(made.parse_args([]))["inner.depth"] == 9
        assert "(default: 9)" in made.format_help() and "--rate" not in made.format_help()


class TestHelp:
    def test_says_the_default(self) -> None:
        text = " ".join(parser().format_help().split())
        for words in (
            "name of the thing (required)", "number of layers (default: 3)", "length of a side, in % of the width "
            "(default: 2.0)", "speed (required)", "where (default: here)", "some (default: 1 2)", "more (default: 0.5)",
            "which (default: a)", "say nothing (default: off)", "say it (default: on)",
        ):  # fmt: skip
            assert words in text

    def test_under_the_heading_of_the_declaring_class(self) -> None:
        groups = {group.title: [a.dest for a in group._group_actions] for group in parser()._action_groups}
        assert groups["inside"] == ["inner.depth", "area.side"]
        assert groups["outside"][0] == "rate"


class TestCheck:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("--rate 0", "expected --rate above 0, got 0.0"),
            ("--rate nan", "expected --rate above 0, got nan"),
            ("--rate inf", "expected --rate above 0, got inf"),
            ("--rate 1 --depth 0", "expected --depth of at least 1, got 0"),
            ("--rate 1 --numbers 3 10", "expected --numbers from 0 to 9, got 10"),
        ],
    )
    def test_limits(self, text: str, message: str) -> None:
        with pytest.raises(InputError) as caught:
            example(f"thing {text}")
        assert str(caught.value) == message

    def test_without_a_command_line_too(self) -> None:
        with pytest.raises(InputError, match="expected --depth of at least 1, got 0"):
            Inner(depth=0)
        values = {"name": "x", "inner": Inner(depth=1), "area": 1, "rate": 1, "folder": None, "listed": (1,)}
        with pytest.raises(InputError, match="expected --kind to be one of a, b, got 'c'"):
            Example(**values, numbers=(1,), kind="c", quiet=False)

    def test_code_must_name_every_value(self) -> None:
        with pytest.raises(TypeError, match="depth"):
            Inner()  # type: ignore[call-arg]
