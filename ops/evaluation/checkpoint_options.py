"""What a checkpoint knows is the default of every script that takes one; what the command line says comes first."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ops.checkpoints import Description
from ops.data import DatasetSpec
from ops.models import published_motion_weight
from ops.runtime import InputError

# Its option, for each setting that the shapes of weights depend on ...
FITTING = {"network": "--model", "arch": "--arch", "motion": "--motion"}
# ... and for each that they do not: weights run with any value, but were trained with one.
MEASURING = {
    "num_segments": "--num_segments",
    "motion_window": "--motion_window",
    "motion_weight": "--motion_weight",
    "input_size": "--input_size",
    "dense_sample": "--dense_sample",
}
# Where neither the command line nor the checkpoint says it. There is no right number of segments to test with.
DEFAULTS = {"network": "msn", "arch": "resnet50", "input_size": 224, "dense_sample": False, "motion_window": None}
WITH_STEM = ("msn", "tdn")  # networks that add motion to appearance in the stem


@dataclass(frozen=True)
class Resolved:
    """The settings of a network, and what is to be said of them.

    Args:
        network, arch, motion, num_segments, motion_window, motion_weight, input_size, dense_sample: as in Description.
        contradictions: what the weights were trained with, where that was something else, in words.
        guesses: settings that the file's name alone says, in words.
    """

    network: str
    arch: str
    motion: tuple[str, ...] | None
    num_segments: int
    motion_window: int | None
    motion_weight: float | None
    input_size: int
    dense_sample: bool
    contradictions: tuple[str, ...] = ()
    guesses: tuple[str, ...] = ()


def resolve(
    given: Mapping[str, Any], found: Description, file: object, defaults: Mapping[str, Any] = DEFAULTS
) -> Resolved:
    """Decide on each setting: the command line's, else the checkpoint's, else the default.

    Args:
        given: what the command line says, by name; nothing for what it does not.
        found: what the checkpoint says.
        file: its name, for errors.
        defaults: for what neither says.

    Raises:
        InputError: the weights do not fit what is asked for, or nobody says how many segments.
    """
    _check_fit(given, found, file)
    said = {name: value for name in (*FITTING, *MEASURING) if (value := getattr(found, name)) is not None}
    values = {**defaults, **said, **given}
    if "num_segments" not in values:
        raise InputError(f"expected --test_segments T, as {file} does not say with how many segments it was trained")
    if values["network"] in WITH_STEM:
        rule = published_motion_weight(said.get("num_segments", values["num_segments"]))
        said.setdefault("motion_weight", rule)
        values.setdefault("motion_weight", rule)
    wrong = [name for name in MEASURING if name in given and said.get(name, given[name]) != given[name]]
    guessed = [name for name in found.from_name if name in MEASURING and name not in given]
    return Resolved(
        **{"motion": None, "motion_weight": None, **values},
        contradictions=tuple(f"{_words(name, given[name])} ({_words(name, said[name])} in training)" for name in wrong),
        guesses=tuple(_words(name, said[name]) for name in guessed),
    )


def about_data(dataset: DatasetSpec, found: Description) -> tuple[str, ...]:
    """What contradicts a checkpoint in the data set that it meets, in words: its name, or the names of its classes."""
    remarks = []
    if found.dataset is not None and dataset.name != found.dataset and "dataset" not in found.from_name:
        remarks.append(f"data set {dataset.name} ({found.dataset} in training)")
    if dataset.class_names and len(dataset.class_names) == len(found.class_names):
        for number, (now, then) in enumerate(zip(dataset.class_names, found.class_names, strict=True)):
            if now != then:
                remarks.append(f"class {number} is {now!r} ({then!r} in training)")
                break
    return tuple(remarks)


def _check_fit(given: Mapping[str, Any], found: Description, file: object) -> None:
    for name, option in FITTING.items():
        wanted, there = given.get(name), getattr(found, name)
        if wanted is None or there is None or wanted == there:
            continue
        if name == "network" and _share_weights({wanted, there}, found.motion):
            continue
        raise InputError(
            f"{file}: expected weights of {option} {_words(name, wanted)}, got those of {_words(name, there)}; leave "
            f"{option} out to take what the checkpoint says"
        )


def _share_weights(networks: set[str], motion: tuple[str, ...]) -> bool:
    """Whether networks with these modules have the same weights: they differ in frames and modules alone."""
    return (not motion and "tsm" not in networks) or (motion == ("shift",) and networks == {"msn", "tdn"})


def _words(name: str, value: Any) -> str:
    """A setting's value as people say it: ``8 segments``."""
    if name == "motion":
        return ",".join(value) or "none"
    if name == "dense_sample":
        return "dense clips" if value else "clips of the whole video"
    words = {"num_segments": "{} segments", "input_size": "{0} x {0} pixels", "motion_window": "motion window {}",
             "motion_weight": "motion weight {:g}"}  # fmt: skip
    return words.get(name, "{}").format(value)
