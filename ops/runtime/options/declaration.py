"""Settings that are declared once, as fields of frozen dataclasses.

    @dataclass(frozen=True, kw_only=True)
    class Learning(Settings):
        group: ClassVar[str] = "learning"
        epochs: int = setting("--epochs", default=60, limit=at_least(1), help="number of epochs to train")

From the fields follow the options of a command line with their help (``add_options``), the instance that a command
line asks for (``take``), and the check of its values, which every instance makes. A field may also be a dataclass of
settings itself, or what is built from one (``part``).
"""

import argparse
import inspect
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, ClassVar, NamedTuple, get_args, get_origin

from ops.runtime.errors import require
from ops.runtime.options.values import Limit

REQUIRED: Any = object()  # a default: there is none


@dataclass(frozen=True)
class Setting:
    """One setting.

    Args:
        flags: its names on the command line; a name without dashes is a positional argument.
        help: what it does, with unit; the default is appended.
        default: of the command line; REQUIRED where there is none.
        unset: what None or an empty text, the default, amounts to, in words.
        kind: argparse type of a value; default: the type of the field. Its ``show`` gives a value's text.
        limit: what each number must fulfil.
        choices: the allowed values.
        metavar: stands for the value in the help.
        aliases: further names, accepted when written in full and not shown.
        off: of a switch: flags that switch it off again; ``off_help`` says what that does.
        of_one_start: says how a run is started, not what it is: it may change when a run resumes.
        in_checkpoint: where a checkpoint is given, the default is what that says.
    """

    flags: tuple[str, ...]
    help: str
    default: Any = REQUIRED
    unset: str = ""
    kind: Callable[[str], Any] | None = None
    limit: Limit | None = None
    choices: tuple[Any, ...] = ()
    metavar: str | None = None
    aliases: tuple[str, ...] = ()
    off: tuple[str, ...] = ()
    off_help: str = ""
    of_one_start: bool = False
    in_checkpoint: bool = False

    @property
    def name(self) -> str:
        """The flag that errors name."""
        return next((flag for flag in self.flags if flag.startswith("--")), self.flags[0])

    @property
    def full_help(self) -> str:
        return f"{self.help} ({self._default_words()})".replace("%", "%%")

    def _default_words(self) -> str:
        if self.default is REQUIRED:
            return "required"
        return f"default: {'as the checkpoint says, or ' if self.in_checkpoint else ''}{self._default_value()}"

    def _default_value(self) -> str:
        if self.default is None or self.default == "":
            return self.unset
        if isinstance(self.default, bool):
            return "on" if self.default else "off"
        show = getattr(self.kind, "show", None)
        if show is not None:
            return str(show(self.default))
        values = self.default if isinstance(self.default, tuple) else (self.default,)
        return " ".join(map(str, values))

    @property
    def off_default(self) -> str:
        """Whether the option that excludes this one holds."""
        return {True: "off", False: "on", None: "the opposite"}[self.default]

    def check(self, value: Any) -> None:
        """Raise InputError unless the value is allowed."""
        for part in value if isinstance(value, tuple) else (value,):
            if part is not None and self.limit is not None:
                require(self.limit.holds(part), f"{self.name} {self.limit.words}", part)
            if part is not None and self.choices:
                require(
                    part in self.choices, f"{self.name} to be one of {', '.join(map(str, self.choices))}", repr(part)
                )


class Part(NamedTuple):
    """A field that consists of settings, and what makes its value of them."""

    kind: type
    build: Callable[[Any], Any]


def setting(*flags: str, optional: bool = False, **what: Any) -> Any:
    """A dataclass field that is a Setting.

    Its default is the command line's: code must name every value, but for an ``optional`` one, which is None then.
    """
    metadata = {"setting": Setting(flags, **what)}
    return field(default=None, metadata=metadata) if optional else field(metadata=metadata)


def part(kind: type, build: Callable[[Any], Any] = lambda options: options) -> Any:
    """A dataclass field whose value is built from the settings of another dataclass."""
    return field(metadata={"part": Part(kind, build)})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Base of dataclasses of settings; ``group`` is the heading of their options in the help."""

    group: ClassVar[str] = "options"

    def __post_init__(self) -> None:
        for found in fields(self):
            if "setting" in found.metadata:
                found.metadata["setting"].check(getattr(self, found.name))


class Declared(NamedTuple):
    """A setting, where its value goes (``model.arch``), the type of its field, and the heading of its option."""

    path: str
    setting: Setting
    annotation: Any
    group: str


def declared(kind: type, prefix: str = "") -> Iterator[Declared]:
    """The settings of a dataclass, those of its parts included, in order."""
    for found in fields(kind):
        path = prefix + found.name
        if "setting" in found.metadata:
            yield Declared(path, found.metadata["setting"], found.type, _owner(kind, found).group)
        elif "part" in found.metadata:
            yield from declared(found.metadata["part"].kind, f"{path}.")


def _owner(kind: type, found: "Field[Any]") -> Any:
    return next(owner for owner in kind.__mro__ if found.name in inspect.get_annotations(owner))


def add_options(
    parser: argparse.ArgumentParser,
    kind: type,
    changes: Mapping[str, Mapping[str, Any]] | None = None,
    without: Sequence[str] = (),
) -> dict[str, str]:
    """Give a parser the options of a dataclass; returns the flags that their further names stand for.

    Args:
        parser: receives them, under the headings of their groups.
        kind: the dataclass.
        changes: by path: what differs from the declaration, like the default in one of two scripts.
        without: paths that have no option here.
    """
    groups: dict[str | None, Any] = {group.title: group for group in parser._action_groups}
    aliases: dict[str, str] = {}
    for path, declaration, annotation, title in declared(kind):
        if path in without:
            continue
        what = replace(declaration, **(changes or {}).get(path, {}))
        if not what.flags[0].startswith("-"):
            _add(parser, path, what, annotation)
            continue
        if title not in groups:
            groups[title] = parser.add_argument_group(title)
        _add(groups[title], path, what, annotation)
        aliases |= dict.fromkeys(what.aliases, what.name)
    return aliases


def _add(group: Any, path: str, what: Setting, annotation: Any) -> None:
    """One setting's option, or two that exclude each other."""
    if annotation in (bool, bool | None):
        group = group.add_mutually_exclusive_group() if what.off else group
        group.add_argument(*what.flags, dest=path, action="store_true", default=what.default, help=what.full_help)
        if what.off:
            group.add_argument(*what.off, dest=path, action="store_false", default=what.default,
                               help=f"{what.off_help} (default: {what.off_default})")  # fmt: skip
        return
    kind, several = _kind(annotation)
    how: dict[str, Any] = {"type": what.kind or kind, "metavar": what.metavar, "help": what.full_help}
    if what.choices:
        how["choices"] = what.choices
    if several and what.kind is None:
        how["nargs"] = "+"
    if not what.flags[0].startswith("-"):
        if what.default is not REQUIRED:
            how |= {"nargs": "?", "default": what.default}
        group.add_argument(path, **how | {"metavar": what.metavar or what.flags[0]})
    elif what.default is REQUIRED:
        group.add_argument(*what.flags, dest=path, required=True, **how)
    else:
        group.add_argument(*what.flags, dest=path, default=what.default, **how)


def _kind(annotation: Any) -> tuple[Any, bool]:
    """The type of a value, and whether there are several: ``tuple[int, ...] | None`` gives int and True."""
    if isinstance(annotation, types.UnionType):
        annotation = next(kind for kind in get_args(annotation) if kind is not type(None))
    if get_origin(annotation) is tuple:
        return get_args(annotation)[0], True
    return annotation, False


def take(kind: type, values: dict[str, Any], prefix: str = "", **given: Any) -> Any:
    """The instance that parsed options ask for; what it takes is removed from them.

    Args:
        kind: the dataclass.
        values: by path, as the parser of ``add_options`` left them.
        prefix: of the paths.
        given: fields that come from elsewhere.
    """
    found = dict(given)
    for each in fields(kind):
        path = prefix + each.name
        if each.name in given:
            continue
        if "setting" in each.metadata:
            value = values.pop(path)
            found[each.name] = tuple(value) if isinstance(value, list) else value
        elif "part" in each.metadata:
            inner = each.metadata["part"]
            found[each.name] = inner.build(take(inner.kind, values, f"{path}."))
    return kind(**found)
