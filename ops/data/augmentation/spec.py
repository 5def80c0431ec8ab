"""What ``--augment`` asks for: operations separated by commas, each with its parameters, or the name of a set of them.

    randaugment:magnitude=9:geometric=off,erase:probability=0.5

RandAugment: Cubuk et al., NeurIPS 2020. Random erasing: Zhong et al., AAAI 2020. This file imports no torch: it is read
with the command line.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from ops.runtime import InputError, from_to, require

NO_AUGMENT = "none"
PROBABILITY = from_to(0, 1)


def _parameter(default: Any, low: float, high: float) -> Any:
    return field(default=default, metadata={"limit": from_to(low, high)})


@dataclass(frozen=True)
class Operation:
    """One operation of a specification.

    Raises:
        InputError: a parameter is out of range.
    """

    name: ClassVar[str]

    def __post_init__(self) -> None:
        for each in fields(self):
            value, limit = getattr(self, each.name), each.metadata.get("limit")
            if limit is not None:
                require(limit.holds(value), f"{each.name} of {self.name} in --augment {limit.words}", value)

    def __str__(self) -> str:
        return ":".join((self.name, *(f"{each.name}={_text(getattr(self, each.name))}" for each in fields(self))))


@dataclass(frozen=True)
class RandAugment(Operation):
    """``number`` different operations of torchvision's RandAugment, at ``magnitude`` of its 30.

    None is taken twice, so that turning and shearing together stay below a right angle: left never becomes right.
    Without ``geometric``, no operation moves pixels.
    """

    name = "randaugment"
    magnitude: float = _parameter(9.0, 0, 30)
    number: int = _parameter(2, 1, 9)
    geometric: bool = True


@dataclass(frozen=True)
class ColorJitter(Operation):
    """Brightness, contrast and saturation times 1 plus or minus at most these, hue turned by a part of a circle."""

    name = "jitter"
    probability: float = _parameter(0.8, 0, 1)
    brightness: float = _parameter(0.4, 0, 1)
    contrast: float = _parameter(0.4, 0, 1)
    saturation: float = _parameter(0.4, 0, 1)
    hue: float = _parameter(0.0, 0, 0.5)


@dataclass(frozen=True)
class Grayscale(Operation):
    """No colour."""

    name = "grayscale"
    probability: float = _parameter(0.2, 0, 1)


@dataclass(frozen=True)
class Blur(Operation):
    """Gaussian blur of a standard deviation from 0.1 to ``sigma`` pixels."""

    name = "blur"
    probability: float = _parameter(0.2, 0, 1)
    sigma: float = _parameter(2.0, 0.1, 5)


@dataclass(frozen=True)
class RandomErasing(Operation):
    """A rectangle of ``smallest`` to ``largest`` parts of the picture becomes grey: a tube through the clip."""

    name = "erase"
    probability: float = _parameter(0.25, 0, 1)
    smallest: float = _parameter(0.02, 0, 1)
    largest: float = _parameter(0.33, 0, 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.smallest <= self.largest, "smallest of erase in --augment of at most its largest", self.smallest)


OPERATIONS: dict[str, type[Operation]] = {
    kind.name: kind for kind in (RandAugment, ColorJitter, Grayscale, Blur, RandomErasing)
}
SETS = {"color": "jitter,grayscale,blur", "strong": "randaugment,erase"}


def parse_augment(text: str) -> tuple[Operation, ...]:
    """The operations of a specification, in order; none for ``none``.

    Raises:
        InputError: it names an operation or a parameter that is not there, one of them twice, or a wrong value.
    """
    operations = tuple(_operations(text)) if text != NO_AUGMENT else ()
    names = [operation.name for operation in operations]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"--augment {text}: expected each operation once, got {', '.join(twice)} twice")
    return operations


def describe_augment(operations: tuple[Operation, ...]) -> str:
    """A specification of these operations with all their parameters, for ``parse_augment``."""
    return ",".join(map(str, operations)) or NO_AUGMENT


def _operations(text: str) -> Iterator[Operation]:
    for part in text.split(","):
        if part in SETS:
            yield from _operations(SETS[part])
            continue
        name, *settings = part.split(":")
        if name not in OPERATIONS:
            raise InputError(
                f"--augment {text}: expected {NO_AUGMENT}, a set ({', '.join(SETS)}) or operations of "
                f"{', '.join(OPERATIONS)}, got {name!r}"
            )
        yield _operation(OPERATIONS[name], settings, text)


def _operation(kind: type[Operation], settings: list[str], text: str) -> Operation:
    kinds = {each.name: each.type for each in fields(kind)}
    values: dict[str, Any] = {}
    for setting in settings:
        key, _, value = setting.partition("=")
        if key not in kinds or key in values:
            raise InputError(
                f"--augment {text}: expected {kind.name} with {', '.join(f'{each}=VALUE' for each in kinds)}, once "
                f"each, got {setting!r}"
            )
        try:
            values[key] = {"on": True, "off": False}[value] if kinds[key] is bool else kinds[key](value)  # type: ignore[operator]
        except (KeyError, ValueError):
            expected = {bool: "on or off", int: "a whole number", float: "a number"}[kinds[key]]  # type: ignore[index]
            raise InputError(f"--augment {text}: expected {key} to be {expected}, got {value!r}") from None
    return kind(**values)


def _text(value: Any) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else f"{value:g}"
