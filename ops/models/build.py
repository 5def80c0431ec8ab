"""A clip in, logits out: backbone, head, consensus over segments.

from ops.models import build_model
model = build_model("resnet50", num_classes=174, num_segments=8, pretrain="none")
logits = model(clips)  # (N, T, 5, 3, H, W) -> (N, 174)
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ops.checkpoints import load_state_dict, read_checkpoint
from ops.models.names import ARCHS, CONSENSUS_TYPES, MOTION_MODULES
from ops.models.recognizer import MSN
from ops.models.resnet import fetch_imagenet_weights
from ops.runtime import InputError


def build_model(
    arch: str,
    num_classes: int,
    num_segments: int,
    pretrain: str = "none",
    *,
    dropout: float = 0.5,
    consensus: str = "avg",
    motion: Sequence[str] = MOTION_MODULES,
    motion_window: int | None = None,
) -> MSN:
    """Build an MSN and fill its backbone.

    Args:
        pretrain: ``none``, ``imagenet`` (torchvision's weights, downloaded once into its cache) or the path of a
            torchvision ResNet's weights.
        motion: any subset of ``stpme``, ``dsme``, ``shift``; without any the network is TSN on middle frames.
        motion_window: 8 gives the grouping of 16-frame checkpoints trained with the published reference code.

    Raises:
        InputError: an argument is out of range, or the weights do not fit.
    """
    if arch not in ARCHS:
        raise InputError(f"expected --arch one of {', '.join(ARCHS)}, got {arch!r}")
    if num_segments < 2:
        raise InputError(f"expected --num_segments of at least 2, got {num_segments}")
    unknown = [m for m in motion if m not in MOTION_MODULES]
    if unknown:
        raise InputError(f"expected --motion none or some of {','.join(MOTION_MODULES)}, got {','.join(motion)!r}")
    if consensus not in CONSENSUS_TYPES:
        raise InputError(f"expected --consensus_type one of {', '.join(CONSENSUS_TYPES)}, got {consensus!r}")
    window = num_segments if motion_window is None else motion_window
    if window < 2 or num_segments % window:
        raise InputError(f"expected --motion_window to divide the {num_segments} segments, from 2 up, got {window}")
    ordered = tuple(m for m in MOTION_MODULES if m in motion)
    model = MSN(
        arch, num_classes, num_segments, dropout=dropout, consensus=consensus, motion=ordered, motion_window=window
    )
    if pretrain == "imagenet":
        model.backbone.load_imagenet(fetch_imagenet_weights(arch), "ImageNet weights")
    elif pretrain != "none":
        model.backbone.load_imagenet(load_state_dict(read_checkpoint(Path(pretrain)), pretrain), pretrain)
    return model


def saved_model_settings(
    content: Mapping[str, Any], path: Path
) -> tuple[tuple[str, ...] | None, int | None, int | None]:
    """Motion modules, motion window and segments that a checkpoint says it was trained with, each where it does.

    Raises:
        InputError: it says something else.
    """
    settings = content.get("config")
    settings = settings.get("model") if isinstance(settings, Mapping) else None
    if not isinstance(settings, Mapping):
        return None, None, None
    motion, window, segments = (settings.get(key) for key in ("motion", "motion_window", "num_segments"))
    known = isinstance(motion, list | tuple) and all(module in MOTION_MODULES for module in motion)
    if not (motion is None or known) or any(type(n) is not int or n < 1 for n in (window, segments) if n is not None):
        raise InputError(
            f"{path}: expected motion modules, a motion window and segments as main.py saves them, got "
            f"{ascii((motion, window, segments))[:200]}"
        )
    return None if motion is None else tuple(m for m in MOTION_MODULES if m in motion), window, segments
