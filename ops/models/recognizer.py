"""Segments in, logits out: backbone, head and consensus over segments.

N videos, T segments of F = 5 frames, K classes.
"""

import torch
from torch import Tensor, nn

from ops.models.names import FRAMES_PER_SEGMENT
from ops.models.resnet import MSNResNet

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
        self.frames_per_segment = FRAMES_PER_SEGMENT["msn"]
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
