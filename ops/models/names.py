"""The names that a network is chosen by; without torch, for command lines."""

from collections.abc import Sequence
from dataclasses import dataclass

from ops.runtime import InputError

# Block kind and depths of layer1 to layer4.
ARCHS: dict[str, tuple[str, tuple[int, int, int, int]]] = {
    "resnet10": ("basic", (1, 1, 1, 1)),
    "resnet18": ("basic", (2, 2, 2, 2)),
    "resnet34": ("basic", (3, 4, 6, 3)),
    "resnet50": ("bottleneck", (3, 4, 6, 3)),
    "resnet101": ("bottleneck", (3, 4, 23, 3)),
    "resnet152": ("bottleneck", (3, 8, 36, 3)),
}

# The networks and their motion modules, in the order in which they stand.
NETWORKS: dict[str, tuple[str, ...]] = {
    "msn": ("stpme", "dsme", "shift"),
    "tdn": ("stdm", "ltdm", "shift"),
    "tsm": ("shift",),
    "tsn": (),
}
# Of all networks, in that order.
MOTION_MODULES = ("stpme", "stdm", "dsme", "ltdm", "shift")
FRAMES_PER_SEGMENT = {"msn": 5, "tdn": 5, "tsm": 1, "tsn": 1}

CONSENSUS_TYPES = ("avg", "identity")
DEFORM_BACKENDS = ("auto", "portable", "triton", "torchvision")  # of deformable convolutions


@dataclass(frozen=True)
class Design:
    """What a network is, but for its head.

    Args:
        network: one of NETWORKS.
        arch: one of ARCHS.
        num_segments: T, at least 2.
        motion: the motion modules that are in place; without any, MSN and TDN are TSN on middle frames.
        motion_window: how many segments MSN's DS-ME takes as one clip, a divisor of T.
        motion_weight: weight of motion where the stem adds it to appearance.
    """

    network: str
    arch: str
    num_segments: int
    motion: tuple[str, ...]
    motion_window: int
    motion_weight: float

    @property
    def frames_per_segment(self) -> int:
        return FRAMES_PER_SEGMENT[self.network]


def choose_design(
    network: str,
    arch: str,
    num_segments: int,
    motion: Sequence[str] | None = None,
    motion_window: int | None = None,
    motion_weight: float | None = None,
) -> Design:
    """Fill in the published choice of what is None: all motion modules, a window of T, ``published_motion_weight``.

    Raises:
        InputError: an argument is out of range.
    """
    if network not in NETWORKS:
        raise InputError(f"expected --model one of {', '.join(NETWORKS)}, got {network!r}")
    if arch not in ARCHS:
        raise InputError(f"expected --arch one of {', '.join(ARCHS)}, got {arch!r}")
    if num_segments < 2:
        raise InputError(f"expected --num_segments of at least 2, got {num_segments}")
    modules = NETWORKS[network]
    chosen = modules if motion is None else tuple(motion)
    check_motion(network, chosen)
    if motion_window is not None and (motion_window < 2 or num_segments % motion_window):
        raise InputError(
            f"expected --motion_window of at least 2 that divides the {num_segments} segments, got {motion_window}"
        )
    if motion_window not in (None, num_segments) and "dsme" not in modules:
        raise InputError(f"expected --motion_window only with --model msn, got {motion_window} with {network}")
    if motion_weight is not None and not {"stpme", "stdm"}.intersection(modules):
        raise InputError(f"expected --motion_weight with --model msn or tdn, got {motion_weight:g} with {network}")
    if motion_weight is not None and not 0 <= motion_weight <= 1:
        raise InputError(f"expected --motion_weight from 0 to 1, got {motion_weight}")
    return Design(
        network,
        arch,
        num_segments,
        tuple(module for module in modules if module in chosen),
        num_segments if motion_window is None else motion_window,
        published_motion_weight(num_segments) if motion_weight is None else motion_weight,
    )


def check_motion(network: str, motion: Sequence[str]) -> None:
    """Raise InputError unless these motion modules are the network's."""
    modules = NETWORKS[network]
    if not set(motion) <= set(modules):
        some = f" or some of {','.join(modules)}" if modules else ""
        raise InputError(f"expected --motion none{some} for --model {network}, got {','.join(motion)!r}")


def published_motion_weight(num_segments: int) -> float:
    """Weight b of motion in the stem of MSN and TDN; appearance has a = 1 - b."""
    return 0.5 if num_segments == 8 else 0.25
