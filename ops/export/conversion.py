"""A published checkpoint in this project's form.

Weights get this project's names. A bias in front of a BatchNorm goes into its running mean, and what has no effect is
dropped, so the logits stay the same. The arch, the epoch and the best accuracy are kept where the file has them;
nothing is made up. The optimiser is not kept: its parameters are not those of this project.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ops.checkpoints import (
    Conversion,
    WeightsOf,
    compare_keys,
    convert_reference,
    is_reference,
    load_state_dict,
    read_checkpoint,
    weights_of,
    write_checkpoint,
)
from ops.models import ARCHS, build_model
from ops.runtime import InputError

KEPT = ("arch", "epoch", "best_prec1")


def convert(source: Path, target: Path) -> list[str]:
    """Write the converted checkpoint; returns what was done, line by line.

    Raises:
        InputError: the target exists, or the source is no whole checkpoint of MSN, TDN, TSM or TSN as published.
    """
    if target.exists():
        raise InputError(f"{target}: expected the name of a new file, got one that exists")
    content = read_checkpoint(source)
    state = load_state_dict(content, str(source))
    conversion = _convert(source, state)
    kept = {key: _plain(content[key]) for key in KEPT if key in content}
    found = weights_of(conversion.state_dict)
    compared = _compare(source, conversion.state_dict, found, kept.get("arch"))
    write_checkpoint({"state_dict": conversion.state_dict, **kept}, target)
    others = sorted(content.keys() - {"state_dict", *KEPT}) if "state_dict" in content else []
    return [
        f"{source} -> {target}",
        f"network:    {found}",
        *_describe(state, conversion),
        *(f"{key + ':':<11} {kept.get(key, 'not in the file')}" for key in KEPT),
        *([] if compared else ["check:      names and shapes were not compared with a network of this depth"]),
        f"not kept:   {', '.join(others) or 'nothing'}",
    ]


def _convert(source: Path, state: Mapping[str, Tensor]) -> Conversion:
    try:
        if is_reference(state):
            return convert_reference(state)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    own = any(name.startswith("backbone.") for name in state)
    got = "one that is already in this project's form" if own else f"other weights ({next(iter(state))}, ...)"
    raise InputError(f"{source}: expected a published checkpoint of MSN, TDN, TSM or TSN, got {got}")


def _plain(value: Any) -> Any:
    """A number that was saved as a tensor, as a number."""
    return value.item() if isinstance(value, Tensor) and value.numel() == 1 else value


def _compare(source: Path, weights: Mapping[str, Tensor], found: WeightsOf, arch: object) -> bool:
    """Compare with the whole network; False where this project knows none of this depth."""
    if found.num_classes is None:
        raise InputError(f"{source}: expected a head (new_fc or base_model.fc), got none")
    if arch in ARCHS and arch != found.arch:
        raise InputError(f"{source}: expected the weights of a {arch}, as the checkpoint says, got those of {found}")
    if found.arch not in ARCHS:
        return False
    assert found.network is not None
    with torch.device("meta"):  # shapes alone; they do not depend on the number of segments
        report = compare_keys(build_model(found.arch, found.num_classes, num_segments=8, model=found.network), weights)
    if report:
        raise InputError(f"{source}: expected all weights of {found}, got {report}")
    return True


def _describe(state: Mapping[str, Tensor], conversion: Conversion) -> Iterable[str]:
    renamed = sum(1 for name in conversion.state_dict if name not in state)
    classes, features = conversion.state_dict["head.weight"].shape
    yield f"renamed:    {renamed} parameters and statistics"
    yield f"folded:     {len(conversion.folded)} biases into the running means of their BatchNorms"
    yield f"dropped:    {len(conversion.dropped)} without effect: {_some(conversion.dropped)}"
    yield f"head:       {classes} classes, {features} features"


def _some(names: tuple[str, ...], most: int = 4) -> str:
    return (", ".join(names[:most]) + (", ..." if len(names) > most else "")) or "none"
