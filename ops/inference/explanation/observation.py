"""What the modules of a network computed in one forward pass, read by hooks.

T segments, K classes, C channels, h x w maps, w segments in a window of DS-ME.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ops.inference.explanation.explanation import Gates, Offsets
from ops.models import DSME, LTDM, STPME, DeformConv2d, Recognizer
from ops.runtime import InputError

ALL = ("all",)
Excitation = DSME | LTDM  # modules that gate


@dataclass(frozen=True)
class Observation:
    """Parts of an Explanation: logits (K,), scores, branches, gates and offsets."""

    logits: np.ndarray
    scores: np.ndarray
    branches: np.ndarray | None
    gates: tuple[Gates, ...]
    offsets: tuple[Offsets, ...]


@torch.no_grad()
def observe(network: Recognizer, clip: Tensor, blocks: Sequence[str] | None) -> Observation:
    """One forward pass, watched.

    Args:
        clip: (1, T, F, 3, s, s).
        blocks: names of blocks whose motion modules are watched, or ALL; None for the last one of each stage.

    Raises:
        InputError: there is no such block, or it has no such module.
    """
    watched = choose_blocks(network, blocks)
    pyramids = [module for module in network.backbone.modules() if isinstance(module, STPME)]
    deformed = [conv for module in watched.values() for conv in _deformable(module).values()]
    with _Watch() as watch:
        for module in (*pyramids, *(module.reduce for module in watched.values())):
            watch.input_of(module)
        for module in (network.head, *(conv.offset for conv in deformed)):
            watch.output_of(module)
        logits = network(clip)
    seen = watch.seen
    branches = [torch.stack(pyramid.branches(seen[pyramid])) for pyramid in pyramids]  # (3, T, 64, h, w)
    return Observation(
        _array(logits[0]),
        _array(seen[network.head]),
        _array(branches[0]) if branches else None,
        tuple(_gates(name, module, seen[module.reduce]) for name, module in watched.items()),
        tuple(offsets for name, module in watched.items() if isinstance(module, DSME)
              for offsets in _offsets(name, module, seen, network.num_segments)),
    )  # fmt: skip


def choose_blocks(network: Recognizer, blocks: Sequence[str] | None) -> dict[str, Excitation]:
    """The modules that gate, by the names of their blocks."""
    named = network.backbone.named_modules()
    there = {name.partition(".motion")[0]: module for name, module in named if isinstance(module, Excitation)}
    if blocks is None:
        blocks = list({name.partition(".")[0]: name for name in there}.values())
    elif tuple(blocks) == ALL:
        blocks = list(there)
    for name in blocks:
        if name not in there:
            expected = ", ".join((*ALL, *there)) if there else "none: this network has no motion module with gates"
            raise InputError(f"expected --blocks of {expected}, got {name}")
    return {name: there[name] for name in blocks}


class _Watch(ExitStack):
    """Forward hooks that keep what goes into modules or comes out of them, until the ``with`` ends."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[nn.Module, Tensor] = {}

    def input_of(self, module: nn.Module) -> None:
        def keep(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            self.seen[module] = inputs[0].detach()

        self.callback(module.register_forward_pre_hook(keep).remove)

    def output_of(self, module: nn.Module) -> None:
        def keep(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
            self.seen[module] = output.detach()

        self.callback(module.register_forward_hook(keep).remove)


def _gates(block: str, module: Excitation, x: Tensor) -> Gates:
    """The gates that a module has for its input (T, C, h, w)."""
    gate = module.gate(x)  # (T, C, 1, 1) of DS-ME, (T, C, h, w) of L-TDM
    maps = {}
    if isinstance(module, LTDM):
        # One direction alone: the response to the other counts as 0.5, where nothing is seen.
        ahead, back = ((module.response(difference) + 1.5) / 2 for difference in module.differences(x))
        parts = {"ahead": ahead, "back": back, "gate": gate}
        maps = {name: _array((part - 1).abs().mean(dim=1)) for name, part in parts.items()}
    return Gates(block, _array(gate.mean(dim=(2, 3))), maps)


def _deformable(module: nn.Module) -> dict[int, DeformConv2d]:
    """The deformable convolutions of DS-ME by their kernel sizes; none of other modules."""
    found = [part for part in module.children() if isinstance(part, DeformConv2d)]
    return {part.weight.shape[-1]: part for part in found}


def _offsets(block: str, module: DSME, seen: dict[nn.Module, Tensor], num_segments: int) -> list[Offsets]:
    segments = np.arange(num_segments).reshape(-1, module.window)  # (T/w, w)
    read = segments[:, 1:].ravel()  # (P,): the first segment of a window is aligned with none
    found = []
    for size, conv in _deformable(module).items():
        offset = seen[conv.offset]  # (P, 2*k*k, h, w)
        found.append(Offsets(block, size, read, _array(offset.unflatten(1, (size * size, 2)))))  # (P, k*k, 2, h, w)
    return found


def _array(x: Tensor) -> np.ndarray:
    return x.float().cpu().numpy()
