"""What the names and shapes of weights say: which network, which backbone, how many classes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

# A module's mark in the names of parameters, in the order in which modules stand.
_MODULES = {
    "stpme": r"^backbone\.stpme\.",
    "stdm": r"^backbone\.stdm\.",
    "dsme": r"\.motion\.dsme\.",
    "ltdm": r"\.motion\.ltdm\.",
    "shift": r"\.motion\.shift\.|\.conv1\.fold$",
}


@dataclass(frozen=True)
class WeightsOf:
    """Of which network weights are; None where they do not say.

    Args:
        network: ``msn``, ``tdn``, ``tsm`` or ``tsn``. MSN and TDN without any motion module are TSN, and with the shift
            alone they are one network, which is called msn.
        arch: like resnet50.
        num_classes: of the head.
        motion: the motion modules in place.
    """

    network: str | None
    arch: str | None
    num_classes: int | None
    motion: tuple[str, ...]

    def __str__(self) -> str:
        head = "no head" if self.num_classes is None else f"{self.num_classes} classes"
        return f"{(self.network or 'another network').upper()} with a {self.arch}, {head}"


def weights_of(state: Mapping[str, Tensor]) -> WeightsOf:
    """Read the names of weights in this project's form."""
    motion = tuple(module for module, mark in _MODULES.items() if any(re.search(mark, name) for name in state))
    head = state.get("head.weight")
    num_classes = len(head) if head is not None and head.dim() else None
    return WeightsOf(_network(state, motion), _arch(state), num_classes, motion)


def _network(state: Mapping[str, Tensor], motion: tuple[str, ...]) -> str | None:
    if "backbone.conv1.weight" not in state:
        return None
    if "stdm" in motion or "ltdm" in motion:
        return "tdn"
    if any(name.endswith(".conv1.fold") for name in state):
        return "tsm"
    return "msn" if motion else "tsn"


def _arch(state: Mapping[str, Tensor]) -> str | None:
    """A ResNet is called by how many layers with weights it has: two or three a block, the first one, and the head."""
    blocks = {match[0] for name in state if (match := re.match(r"backbone\.layer\d\.\d+\.", name))}
    if not blocks:
        return None
    bottleneck = any(f"{block}conv3.weight" in state for block in blocks)
    return f"resnet{2 + len(blocks) * (3 if bottleneck else 2)}"
