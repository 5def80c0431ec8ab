"""What decides a run must be the same for all of its processes: compared by digest, a difference is one line."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from ops.runtime import distributed, exchange
from ops.runtime.errors import InputError, this_process

MOST_WORDS = 80  # characters of a value that a message shows


class Fact(NamedTuple):
    """Something that decides a run.

    Args:
        name: what messages call it, the same everywhere.
        value: JSON-able, or a digest.
        place: where it comes from here: a file, which may be elsewhere on another machine.
    """

    name: str
    value: Any
    place: str = ""

    def words(self) -> str:
        text = json.dumps(self.value)
        return text if not self.place and len(text) <= MOST_WORDS else "something else"


def require_agreement(facts: Sequence[Fact]) -> None:
    """Compare facts over all processes; every process calls it, with facts of the same names in the same order.

    Raises:
        InputError: a process differs from the first; names process, fact and place.
    """
    if distributed.world_size() == 1:
        return
    text = json.dumps([(fact.name, fact.value) for fact in facts])
    digests = exchange.from_all(hashlib.sha256(text.encode()).hexdigest())
    if len(set(digests)) == 1:
        return
    said = exchange.from_all((this_process(), list(facts)))
    first, expected = said[0]
    for who, found in said[1:]:
        for one, other in zip(expected, found, strict=True):
            if one[:2] != other[:2]:
                raise InputError(_difference(first, one, who, other))


def _difference(first: str, one: Fact, who: str, other: Fact) -> str:
    if one.place:
        return f"{other.place}, {who}: expected the same {one.name} as in {one.place}, {first}, got other content"
    return f"{who}: expected {one.name} to be {one.words()} as for {first}, got {other.words()}"
