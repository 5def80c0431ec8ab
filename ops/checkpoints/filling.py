"""The weights of a checkpoint, and a model that is filled with them.

A published checkpoint is converted, exactly (published/). Other code saves its weights under other keys, with prefixes
of its own: those that are common are taken too.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from ops.checkpoints.file import read_checkpoint
from ops.checkpoints.published.recognition import convert_reference, is_reference
from ops.checkpoints.weights_of import weights_of
from ops.runtime import InputError

WEIGHT_KEYS = ("state_dict", "model_state_dict", "model_state", "model")
# What DataParallel puts before all names, and torch.compile before those of what it compiled.
_WRAPPER = re.compile(r"^(?:module\.|_orig_mod\.)+|(?<=\.)_orig_mod\.")


def load_state_dict(content: Mapping[str, Any], name: str) -> dict[str, Tensor]:
    """The weights of a checkpoint, bare or under one of WEIGHT_KEYS, without the prefixes of wrappers.

    Args:
        name: what errors call it.
    """
    key = _weight_key(content)
    state = content if key is None else content[key]
    if not isinstance(state, Mapping) or not state or not all(map(_is_plain_tensor, state.values())):
        raise InputError(f"{name}: expected a checkpoint's state_dict of named tensors, got something else")
    weights = {_WRAPPER.sub("", str(k)): v for k, v in state.items()}
    if len(weights) < len(state):
        raise InputError(f"{name}: expected each weight once, got some with and without the prefix of a wrapper")
    return weights


def _weight_key(content: Mapping[str, Any]) -> str | None:
    """Where a checkpoint has its weights; None where it consists of them."""
    if WEIGHT_KEYS[0] in content:
        return WEIGHT_KEYS[0]
    return next((key for key in WEIGHT_KEYS if isinstance(content.get(key), Mapping)), None)


def _is_plain_tensor(value: object) -> bool:
    """Neither sparse nor quantised nor without numbers: one number for each place."""
    if not isinstance(value, Tensor):
        return False
    return value.layout == torch.strided and not value.is_quantized and value.device.type == "cpu"


def model_weights(content: Mapping[str, Any], name: str) -> dict[str, Tensor]:
    """The weights of a checkpoint of this project or of a published one, under this project's names."""
    state = load_state_dict(content, name)
    try:
        return convert_reference(state).state_dict if is_reference(state) else state
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


@dataclass(frozen=True)
class KeyReport:
    """How weights fit a model; ``misshapen`` says both shapes."""

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.misshapen)

    def __str__(self) -> str:
        parts = [f"{len(keys)} {kind}: {_some(keys)}" for kind, keys in vars(self).items() if keys]
        return "; ".join(parts)


def _some(keys: tuple[str, ...], most: int = 8) -> str:
    return ", ".join(keys[:most]) + (", ..." if len(keys) > most else "")


def compare_keys(model: nn.Module, weights: Mapping[str, Tensor]) -> KeyReport:
    """Names and shapes of ``weights`` against the model's."""
    own = model.state_dict()
    counters = {k for k in own if k.endswith("num_batches_tracked")}
    return KeyReport(
        missing=tuple(sorted(own.keys() - weights.keys() - counters)),
        unexpected=tuple(sorted(weights.keys() - own.keys())),
        misshapen=tuple(
            f"{k} expected {tuple(own[k].shape)} got {tuple(weights[k].shape)}"
            for k in sorted(own.keys() & weights.keys())
            if own[k].shape != weights[k].shape
        ),
    )


def _refuse(where: str, expected: str, model: nn.Module, weights: Mapping[str, Tensor], report: KeyReport) -> NoReturn:
    """Say which networks weights were expected of and are of; name by name where that is the same or not to be seen."""
    wanted, found = weights_of(model.state_dict()), weights_of(weights)
    if found.network is None or found.arch is None or str(wanted) == str(found):
        raise InputError(f"{where}: expected {expected}, got {report}")
    raise InputError(f"{where}: expected the weights of {wanted}, got those of {found}")


def load_weights(model: nn.Module, source: str | Path | Mapping[str, Any], name: str = "checkpoint") -> dict[str, Any]:
    """Fill a model from a checkpoint and return what else it holds.

    Args:
        source: a file, or what ``read_checkpoint`` returned of one.
        name: what errors call it where ``source`` is no file.

    Raises:
        InputError: the file cannot be read, or names or shapes differ; nothing has been loaded then.
    """
    if isinstance(source, Mapping):
        where, content = name, source
    else:
        where, content = str(source), read_checkpoint(source)
    weights = model_weights(content, where)
    report = compare_keys(model, weights)
    if report:
        _refuse(where, "the weights of this model", model, weights, report)
    model.load_state_dict(weights, strict=False)  # strict but for counters of batches, which old files lack
    key = _weight_key(content)
    return {} if key is None else {k: v for k, v in content.items() if k != key}


def tune_from(model: nn.Module, source: str | Path | Mapping[str, Any], name: str = "checkpoint") -> list[str]:
    """Fill all but a head of another size; returns the names of the parameters left as they were.

    Args:
        source: a file, or what ``read_checkpoint`` returned of one.
        name: what errors call it where ``source`` is no file.

    Raises:
        InputError: anything but the head differs.
    """
    where, content = (name, source) if isinstance(source, Mapping) else (str(source), read_checkpoint(source))
    weights = model_weights(content, where)
    own = model.state_dict()
    head = [k for k in own if k.startswith("head.")]
    left_out = [k for k in head if k not in weights or weights[k].shape != own[k].shape]
    if left_out:
        left_out = head  # a head's bias means nothing without its weight
    weights = {k: v for k, v in weights.items() if k not in head or not left_out}
    complete = weights | {k: own[k] for k in left_out}
    report = compare_keys(model, complete)
    if report:
        _refuse(where, "all weights except the head's to fit this model", model, complete, report)
    model.load_state_dict(weights, strict=False)
    return left_out
