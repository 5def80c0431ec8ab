"""A clip in, logits out: backbone, head, consensus over segments.

from ops.models import build_model
model = build_model("resnet50", num_classes=174, num_segments=8, pretrain="none")
logits = model(clips)  # (N, T, 5, 3, H, W) -> (N, 174)
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ops.checkpoint import load_state_dict, read_checkpoint
from ops.config import ARCHS, CONSENSUS_TYPES, MOTION_MODULES
from ops.errors import InputError
from ops.msn_net import MSNResNet, fetch_imagenet_weights
from ops.sampling import FRAMES_PER_SEGMENT

IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)
MIN_SIZE = 32


class MSN(nn.Module):
    """Motion-Sensitive Network.

    uint8 clips are raw pixels and are normalised here, on the model's device; float clips are taken as normalised.

    Args:
        arch: one of resnet10, 18, 34, 50, 101, 152.
        num_classes: K.
        num_segments: T, at least 2.
        dropout: before the head.
        consensus: ``avg`` averages the logits over segments, ``identity`` keeps them.
        motion: which motion modules are in place.
        motion_window: how many segments DS-ME takes as one clip (default T).

    Shape:
        input: (N, T, 5, 3, H, W), uint8 or float, H and W at least 32
        output: (N, K), or (N, T, K) with consensus ``identity``
    """

    image_mean: Tensor
    image_std: Tensor

    def __init__(
        self,
        arch: str,
        num_classes: int,
        num_segments: int,
        *,
        dropout: float,
        consensus: str,
        motion: tuple[str, ...],
        motion_window: int,
    ) -> None:
        super().__init__()
        self.arch = arch
        self.num_segments = num_segments
        self.consensus = consensus
        self.backbone = MSNResNet(arch, num_segments, motion, motion_window)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.backbone.num_features, num_classes)
        nn.init.normal_(self.head.weight, 0, 0.001)
        nn.init.zeros_(self.head.bias)
        channels_first = (1, 1, 3, 1, 1)
        self.register_buffer("image_mean", torch.tensor(IMAGE_MEAN).view(channels_first) * 255, persistent=False)
        self.register_buffer("image_std", torch.tensor(IMAGE_STD).view(channels_first) * 255, persistent=False)

    def forward(self, clips: Tensor) -> Tensor:
        self._check_shape(clips)
        segments = clips.flatten(0, 1)  # (N*T, 5, 3, H, W)
        if segments.dtype == torch.uint8:
            segments = (segments - self.image_mean) / self.image_std
        features = self.pool(self.backbone(segments)).flatten(1)  # (N*T, features)
        logits = self.head(self.dropout(features)).unflatten(0, (-1, self.num_segments))  # (N, T, K)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # a mean in bf16 would make ties
        return logits.mean(dim=1) if self.consensus == "avg" else logits

    def _check_shape(self, clips: Tensor) -> None:
        wanted = (self.num_segments, FRAMES_PER_SEGMENT, 3)
        if clips.dim() != 6 or clips.shape[1:4] != wanted or min(clips.shape[4:]) < MIN_SIZE:
            raise ValueError(
                f"expected clips (N, {', '.join(map(str, wanted))}, H, W) with H and W at least {MIN_SIZE}, "
                f"got {tuple(clips.shape)}"
            )


def use_channels_last(model: nn.Module) -> None:
    """Store the weights of 2D convolutions, and so their outputs, with channels innermost."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.to(memory_format=torch.channels_last)


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
