"""Labels after a horizontal flip, from class names: what moves left moves right in a mirror."""

import re
from collections.abc import Container, Sequence

from ops.runtime import InputError

NO_MIRROR = -1
FLIPS = ("auto", "on", "off")
_WITH_SIDES = ("something", "jester")  # in names of data sets whose labels name a side
# Words of class names and what they become in a mirror, in two spellings.
MIRROR_WORDS = {
    "left": ("right", "right"),
    "right": ("left", "left"),
    "leftward": ("rightward", "rightward"),
    "rightward": ("leftward", "leftward"),
    "leftwards": ("rightwards", "rightwards"),
    "rightwards": ("leftwards", "leftwards"),
    "clockwise": ("anticlockwise", "counterclockwise"),
    "anticlockwise": ("clockwise", "clockwise"),
    "counterclockwise": ("clockwise", "clockwise"),
}
# A whole word: "turn left", "turn_left", "turnLeft" and "TurnLeft2" have one, "upright" and "leftovers" do not.
_WORD = re.compile(r"(?:(?<![^\W\d_])|(?<=[a-z])(?=[A-Z]))(?i:" + "|".join(MIRROR_WORDS) + r")(?![^\W\d_A-Z])")


def flips(choice: str, network: str, dataset: str) -> bool:
    """Whether training clips are flipped, by --flip.

    ``auto`` is as published: TSM's code, which swaps no labels, flips no clip of Something-Something and Jester.
    """
    if choice != "auto":
        return choice == "on"
    return network not in ("tsm", "tsn") or not any(name in dataset for name in _WITH_SIDES)


def mirror_labels_of_names(names: Sequence[str]) -> tuple[int, ...]:
    """Labels after a horizontal flip: the words of MIRROR_WORDS are exchanged and the result is looked up.

    A name that changes into one that is not there has no mirror label (NO_MIRROR): its clips must not be flipped.
    """
    label_of = {name.casefold(): label for label, name in enumerate(names)}
    mirror = []
    for label, name in enumerate(names):
        mirrored = [_mirror_words(name, spelling).casefold() for spelling in range(2)]
        found = [label_of[m] for m in mirrored if m in label_of]
        unchanged = mirrored[0] == name.casefold()
        mirror.append(label if unchanged else found[0] if found else NO_MIRROR)
    return tuple(mirror)


def check_forms(names: Sequence[str], known: Container[int] = ()) -> None:
    """Raise InputError where a name becomes that of several classes in a mirror: nobody knows which is meant.

    Args:
        known: labels whose mirror labels come from elsewhere.
    """
    forms: dict[str, list[str]] = {}
    for name in names:
        forms.setdefault(name.casefold(), []).append(name)
    for label, name in enumerate(names):
        mirrored = dict.fromkeys(_mirror_words(name, spelling).casefold() for spelling in range(2))
        found = [form for key in mirrored if key != name.casefold() for form in forms.get(key, ())]
        if len(found) > 1 and label not in known:
            raise InputError(
                f"class names: expected one mirror label of {name!r}, got one label in several forms: "
                f"{' and '.join(map(repr, found))}; rename them, or pass --flip off"
            )


def _mirror_words(text: str, spelling: int) -> str:
    """``text`` with every whole word that has a mirror word exchanged, in one of the spellings of that."""
    return _WORD.sub(lambda match: MIRROR_WORDS[match[0].casefold()][spelling], text)
