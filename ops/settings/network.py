"""Settings of the network."""

import argparse
from dataclasses import dataclass
from typing import ClassVar

from ops.models import ARCHS, CONSENSUS_TYPES, MOTION_MODULES, NETWORKS, choose_design
from ops.runtime import Settings, at_least, from_to, from_to_below, setting

SOME_MODULES = "none, or some of " + "; ".join(
    f"{','.join(modules)} ({name})" for name, modules in NETWORKS.items() if modules
)
FRAMES_SEEN = "msn and tdn see 5 consecutive frames of each, tsm and tsn one frame"


class MotionModules:
    """An argparse type: some of the motion modules, separated by commas, or none."""

    def __call__(self, text: str) -> tuple[str, ...]:
        chosen = () if text == "none" else tuple(text.split(","))
        for name in chosen:
            if name not in MOTION_MODULES:
                raise argparse.ArgumentTypeError(f"expected {SOME_MODULES}, got {name!r}")
        return tuple(name for name in MOTION_MODULES if name in chosen)

    @staticmethod
    def show(value: tuple[str, ...]) -> str:
        return ",".join(value) or "none"


@dataclass(frozen=True)
class ModelConfig(Settings):
    """What decides the network's parameters and results."""

    group: ClassVar[str] = "network"

    network: str = setting(
        "--model", default="msn", choices=tuple(NETWORKS), in_checkpoint=True, help="network (docs/models.md)"
    )
    arch: str = setting(
        "--arch", default="resnet50", choices=tuple(ARCHS), aliases=("--archs",), in_checkpoint=True,
        help="backbone of the network",
    )  # fmt: skip
    num_segments: int = setting(
        "--num_segments", default=8, limit=at_least(2), metavar="T", aliases=("--test_segments",), in_checkpoint=True,
        help=f"number of segments of a clip; {FRAMES_SEEN}",
    )  # fmt: skip
    motion: tuple[str, ...] = setting(
        "--motion", default=None, unset="all", kind=MotionModules(), metavar="MODULES", in_checkpoint=True,
        help=f"motion modules of the network, separated by commas: {SOME_MODULES}",
    )  # fmt: skip
    motion_window: int | None = setting(
        "--motion_window", default=None, unset="T, the whole clip", metavar="W", in_checkpoint=True,
        help="number of consecutive segments that the DS-ME module of msn takes as one clip",
    )  # fmt: skip
    dropout: float = setting(
        "--dropout", "--do", default=0.5, limit=from_to_below(0, 1), metavar="P",
        help="dropout probability before the classification layer",
    )  # fmt: skip
    consensus: str = setting(
        "--consensus_type", default="avg", choices=CONSENSUS_TYPES,
        help="how the scores of the segments become those of the clip: their mean, or one score per segment",
    )  # fmt: skip
    motion_weight: float | None = setting(
        "--motion_weight", default=None, unset="0.5 with 8 segments, else 0.25", limit=from_to(0, 1), metavar="WEIGHT",
        in_checkpoint=True, optional=True,
        help="weight of motion where the stem of msn and tdn adds it to appearance, which has one minus this weight",
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Check each setting, and name the motion modules, so that they are saved with the weights."""
        super().__post_init__()
        if self.motion is None:
            object.__setattr__(self, "motion", NETWORKS[self.network])

    def check_fit(self) -> None:
        """Raise InputError unless the settings fit each other."""
        choose_design(self.network, self.arch, self.num_segments, self.motion, self.motion_window, self.motion_weight)
