"""Checkpoints as safetensors: weights, and in the file's metadata, as JSON, what else a checkpoint says.

The format has no checksums. Files of this project carry one of their weights.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ops.runtime import InputError

_FORMAT = {"format": "pt"}  # what other readers of safetensors look for
_SUM = "weights_sha256"
_PREFIX = 8  # bytes: the length of the header, little-endian, in front of it


def is_safetensors(beginning: bytes | memoryview) -> bool:
    """Whether a file of these first bytes is one: the length of a header, and a JSON object."""
    length = int.from_bytes(beginning[:_PREFIX], "little")
    return beginning[_PREFIX : _PREFIX + 1] == b"{" and length < 2**32


def parse_safetensors(data: bytes, path: Path) -> dict[str, Any]:
    """A checkpoint as others are read: weights under ``state_dict``, and what else it says.

    Raises:
        InputError: the file at ``path``, of which these are the bytes, is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        state = load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise InputError(f"{path}: expected a whole safetensors file, got: {error}") from None
    header = json.loads(data[_PREFIX : _PREFIX + int.from_bytes(data[:_PREFIX], "little")])
    said = header.get("__metadata__") or {}
    if _SUM in said and said[_SUM] != _sum_of(state):
        raise InputError(f"{path}: expected a whole safetensors file, got weights that do not match their checksum")
    return {key: _value(text) for key, text in said.items() if key not in (_SUM, *_FORMAT)} | {"state_dict": state}


def dump_safetensors(content: Mapping[str, Any]) -> bytes:
    """The inverse; what a checkpoint holds besides its weights must be JSON-able."""
    from safetensors.torch import save

    # Tensors that share memory, as slices do, are refused.
    state = {name: weight.detach().clone(memory_format=torch.contiguous_format)
             for name, weight in content["state_dict"].items()}  # fmt: skip
    said = {key: json.dumps(value) for key, value in content.items() if key != "state_dict"}
    return save(state, {**_FORMAT, **said, _SUM: _sum_of(state)})


def _value(text: str) -> Any:
    """What JSON says; text as it stands where other code wrote none."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _sum_of(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, types, shapes and numbers."""
    total = hashlib.sha256()
    for name, weight in sorted(state.items()):
        total.update(f"{name} {weight.dtype} {tuple(weight.shape)} ".encode())
        total.update(weight.flatten().view(torch.uint8).numpy().data)
    return total.hexdigest()
