"""What a checkpoint says of itself: enough to build its network and to test it as it was trained."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.checkpoints.filling import model_weights
from ops.checkpoints.weights_of import weights_of
from ops.runtime import InputError


@dataclass(frozen=True)
class Description:
    """What a checkpoint says; None where it does not.

    Weights tell network, arch, num_classes and motion; settings saved beside them tell the rest; where there are none,
    as in published files, the file's name may.

    Args:
        network: ``msn``, ``tdn``, ``tsm`` or ``tsn``.
        arch: like resnet50.
        num_classes: of the head.
        motion: the motion modules in place.
        num_segments: T.
        motion_window: how many segments DS-ME took as one clip.
        motion_weight: weight of motion in the stem.
        input_size: of a training crop, in pixels.
        dense_sample: whether clips were 64 consecutive frames.
        dataset: name of the data set.
        class_names: in label order; empty where they were not known.
        mirror_pairs: labels that a horizontal flip exchanges; None where the file does not say.
        frames_per_segment: F.
        mean, std: of normalisation, of red, green and blue in 0 to 1.
        accuracy: of these weights in validation: ``epoch``, ``top1``, ``top5``, ``measured`` (views and data, in words)
            and ``measurement`` (the same, by name).
        version: of the project that wrote the file.
        from_name: which of these are of the file's name alone.
    """

    network: str | None
    arch: str | None
    num_classes: int | None
    motion: tuple[str, ...]
    num_segments: int | None = None
    motion_window: int | None = None
    motion_weight: float | None = None
    input_size: int | None = None
    dense_sample: bool | None = None
    dataset: str | None = None
    class_names: tuple[str, ...] = ()
    mirror_pairs: tuple[tuple[int, int], ...] | None = None
    frames_per_segment: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    accuracy: Mapping[str, Any] | None = None
    version: str | None = None
    from_name: tuple[str, ...] = ()


# Where a checkpoint that has no ``about`` saves settings, and of which kind each is.
_SAVED: dict[str, tuple[tuple[str, ...], type]] = {
    "network": (("model", "network"), str),
    "num_segments": (("model", "num_segments"), int),
    "motion_window": (("model", "motion_window"), int),
    "motion_weight": (("model", "motion_weight"), float),
    "input_size": (("input_size",), int),
    "dense_sample": (("dense_sample",), bool),
    "dataset": (("dataset", "name"), str),
    "class_names": (("dataset", "class_names"), list),
    "mirror_pairs": ((), list),
    "frames_per_segment": ((), int),
    "mean": ((), list),
    "std": ((), list),
    "accuracy": ((), dict),
    "version": ((), str),
}


def describe(content: Mapping[str, Any], path: Path) -> Description:
    """Read what a checkpoint says of itself, be it of this project or a published one.

    Raises:
        InputError: it holds no weights, those of a network that is not here, or settings of a wrong kind.
    """
    return _complete(vars(weights_of(model_weights(content, str(path)))), content, path)


def describe_without_weights(content: Mapping[str, Any], path: Path) -> Description:
    """``describe`` of a file that says in ``about`` what weights say elsewhere, as an ONNX file of export.py does.

    Raises:
        InputError: it does not.
    """
    about = content.get("about")
    kinds = {"network": str, "arch": str, "num_classes": int, "motion": list}
    for key, kind in kinds.items():
        value = about.get(key) if isinstance(about, Mapping) else None
        if type(value) is not kind:
            raise InputError(f"{path}: expected about.{key} as export.py writes it, got {ascii(value)[:100]}")
    assert isinstance(about, Mapping)
    return _complete({**{key: about[key] for key in kinds}, "motion": tuple(about["motion"])}, content, path)


def _complete(known: Mapping[str, Any], content: Mapping[str, Any], path: Path) -> Description:
    """What weights are known to say, and what stands beside them."""
    values = dict(known)
    saved = {key: value for key in _SAVED if (value := _saved(content, key, path)) is not None}
    named = {} if "num_segments" in saved else _of_name(path.name)
    config = content.get("config")
    if isinstance(config, Mapping) and isinstance(config.get("model"), Mapping):
        values["network"] = "msn"  # of a time when there was no other
    values |= named | saved
    values["class_names"] = tuple(map(str, values.get("class_names", ())))
    for key in values.keys() & {"mirror_pairs", "mean", "std"}:
        values[key] = tuple(tuple(value) if isinstance(value, list) else value for value in values[key])
    return Description(**values, from_name=tuple(named))


def _saved(content: Mapping[str, Any], key: str, path: Path) -> Any:
    """What main.py saved under a key of ``about``, or in an older file's settings, if it did."""
    place, kind = _SAVED[key]
    about = content.get("about")
    if isinstance(about, Mapping):
        place, value = ("about", key), about.get(key)
    else:
        value = content.get("config") if place else None
        for part in place:
            value = value.get(part) if isinstance(value, Mapping) else None
    if kind is float and type(value) is int:
        value = float(value)
    if value is not None and (type(value) is not kind or (isinstance(value, int) and kind is int and value < 1)):
        raise InputError(f"{path}: expected {'.'.join(place)} as main.py saves it, got {ascii(value)[:100]}")
    return value


def _of_name(name: str) -> dict[str, Any]:
    """``TSM_kinetics_RGB_resnet50_shift8_blockres_avg_segment8_e100_dense.pth``: data, 8 segments, dense sampling."""
    found: dict[str, Any] = {}
    dataset = re.match(r"(?:MSN|TDN|TSM|TSN)_([a-z0-9]+)_RGB_", name, re.IGNORECASE)
    if dataset is not None:
        found["dataset"] = dataset[1].lower()
    segments = re.search(r"segment(\d+)|(?<![a-z0-9])(\d+)f(?:rames?)?(?![a-z0-9])", name, re.IGNORECASE)
    if segments is not None:
        found["num_segments"] = int(segments[1] or segments[2])
    if re.search(r"(?<![a-z])dense(?![a-z])", name, re.IGNORECASE):
        found["dense_sample"] = True
    return found
