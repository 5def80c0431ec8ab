"""Segments in, logits out: backbone, head and consensus over segments.

N videos, T segments of F frames, K classes.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ops.models.names import CONSENSUS_TYPES, Design
from ops.models.resnet import ResNet
from ops.runtime import InputError, narrow_type

IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)
MIN_SIZE = 32


class Recognizer(nn.Module):
    """A network of the family: features of each segment, head, consensus.

    uint8 clips are raw pixels and are normalised here, on the model's device; float clips are taken as normalised.

    Args:
        design: which network; T and F.
        backbone: of that design.
        num_classes: K.
        dropout: before the head.
        consensus: ``avg`` averages the logits over segments, ``identity`` keeps them.

    Shape:
        input: (N, T, F, 3, H, W), uint8 or float, H and W at least 32
        output: (N, K), or (N, T, K) with consensus ``identity``
    """

    image_mean: Tensor
    image_std: Tensor

    def __init__(self, design: Design, backbone: ResNet, num_classes: int, dropout: float, consensus: str) -> None:
        super().__init__()
        if consensus not in CONSENSUS_TYPES:
            raise InputError(f"expected --consensus_type one of {', '.join(CONSENSUS_TYPES)}, got {consensus!r}")
        self.design = design
        self.consensus = consensus
        self.backbone = backbone
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(backbone.num_features, num_classes)
        nn.init.normal_(self.head.weight, 0, 0.001)
        nn.init.zeros_(self.head.bias)
        channels_first = (1, 1, 3, 1, 1)
        self.register_buffer("image_mean", torch.tensor(IMAGE_MEAN).view(channels_first) * 255, persistent=False)
        self.register_buffer("image_std", torch.tensor(IMAGE_STD).view(channels_first) * 255, persistent=False)

    @property
    def arch(self) -> str:
        return self.design.arch

    @property
    def num_segments(self) -> int:
        return self.design.num_segments

    @property
    def frames_per_segment(self) -> int:
        return self.design.frames_per_segment

    @property
    def num_classes(self) -> int:
        return self.head.out_features

    def forward(self, clips: Tensor) -> Tensor:
        self._check_shape(clips)
        segments = clips.flatten(0, 1)  # (N*T, F, 3, H, W)
        if segments.dtype == torch.uint8:
            segments = self._normalise(segments)
        features = self.pool(self.backbone(segments)).flatten(1)  # (N*T, features)
        logits = self.head(self.dropout(features)).unflatten(0, (-1, self.num_segments))  # (N, T, K)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # a mean in bf16 would make ties
        return logits.mean(dim=1) if self.consensus == "avg" else logits

    def _normalise(self, pixels: Tensor) -> Tensor:
        """Raw pixels (B, F, 3, H, W) normalised; under autocast in its type, rounded once."""
        narrow = narrow_type(pixels.device)
        if narrow is None:
            return (pixels - self.image_mean) / self.image_std
        # A BatchNorm computes in float32 and stores nothing in it. bf16 holds 0 to 255, and what it rounds off is below
        # half a grey level.
        frames, mean, var = pixels.flatten(0, 1).to(narrow), self.image_mean.flatten(), self.image_std.flatten() ** 2
        return F.batch_norm(frames, mean, var, eps=0).view_as(pixels)

    def _check_shape(self, clips: Tensor) -> None:
        wanted = (self.num_segments, self.frames_per_segment, 3)
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
