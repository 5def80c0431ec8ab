"""Which weights of a checkpoint are meant: those that were trained, or their moving average (--ema)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ops.runtime import InputError

WEIGHTS_KINDS = ("raw", "ema")


def with_weights(content: Mapping[str, Any], kind: str, path: Path) -> dict[str, Any]:
    """The contents of a checkpoint with the weights of that kind, and their accuracy, in their usual place.

    Raises:
        InputError: it has none of that kind.
    """
    if kind == "raw":
        return dict(content)
    average = content.get("ema")
    if not isinstance(average, Mapping) or not isinstance(average.get("state_dict"), Mapping):
        raise InputError(
            f"{path}: expected averaged weights (--weights_kind ema), got a checkpoint of a training without --ema; "
            f"--weights_kind raw takes the weights that it has"
        )
    changed = {**content, "state_dict": average["state_dict"]}
    if isinstance(content.get("about"), Mapping):
        changed["about"] = {**content["about"], "accuracy": average.get("accuracy")}
    return changed
