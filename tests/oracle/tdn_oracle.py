"""TDN as its definition reads: the yardstick of tests and benchmarks.

N videos, T segments of F = 5 frames, C channels, r = C/16, H x W pixels. Parameters carry the names of the published
code (biases in front of BatchNorms and an unused convolution included), so its checkpoints load strictly. Only torch
is used, never ops.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

DEPTHS = {
    "resnet14": (1, 1, 1, 1),  # one bottleneck a stage: nobody's network, for quick tests
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
}


def enlarge(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[2:], mode="nearest")


class LongTermDifference(nn.Module):
    """L-TDM.

    Shape:
        input, output: (N*T, C, H, W)
    """

    def __init__(self, channels: int, num_segments: int) -> None:
        super().__init__()
        r = channels // 16
        self.num_segments = num_segments
        self.conv1 = nn.Conv2d(channels, r, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(r)
        self.conv2 = nn.Conv2d(r, r, 3, padding=1, groups=r, bias=False)
        self.conv3 = nn.Conv2d(r, channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)
        self.conv3_smallscale2 = nn.Conv2d(r, r, 3, padding=1, bias=False)
        self.bn3_smallscale2 = nn.BatchNorm2d(r)
        self.conv3_smallscale4 = nn.Conv2d(r, r, 3, padding=1, bias=False)
        self.bn3_smallscale4 = nn.BatchNorm2d(r)

    def gate(self, d: Tensor) -> Tensor:
        half = enlarge(self.bn3_smallscale2(self.conv3_smallscale2(F.avg_pool2d(d, 2, 2))), d)
        full = self.bn3_smallscale4(self.conv3_smallscale4(d))
        return torch.sigmoid(self.bn3(self.conv3((d + half + full) / 3))) - 0.5

    def forward(self, x: Tensor) -> Tensor:
        z = self.bn1(self.conv1(x))  # (N*T, r, H, W)
        q = self.conv2(z)
        z = z.reshape(-1, self.num_segments, *z.shape[1:])  # (N, T, r, H, W)
        q = q.reshape(z.shape)
        nothing = torch.zeros_like(z[:, :1])
        forward = torch.cat((q[:, 1:] - z[:, :-1], nothing), dim=1).flatten(0, 1)  # (N*T, r, H, W)
        backward = torch.cat((nothing, q[:, :-1] - z[:, 1:]), dim=1).flatten(0, 1)
        return x + x * (0.5 * self.gate(forward) + 0.5 * self.gate(backward))


class LearnableShift(nn.Module):
    """A depthwise conv1d over segments.

    Shape:
        input, output: (N*T, C, H, W)
    """

    def __init__(self, channels: int, num_segments: int) -> None:
        super().__init__()
        self.num_segments = num_segments
        self.conv = nn.Conv1d(channels, channels, 3, padding=1, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        _, channels, height, width = x.shape
        x = x.reshape(-1, self.num_segments, channels, height, width)  # (N, T, C, H, W)
        x = x.permute(0, 3, 4, 2, 1).reshape(-1, channels, self.num_segments)  # (N*H*W, C, T)
        x = self.conv(x).reshape(-1, height, width, channels, self.num_segments)  # (N, H, W, C, T)
        return x.permute(0, 4, 3, 1, 2).reshape(-1, channels, height, width)  # (N*T, C, H, W)


class Bottleneck(nn.Module):
    """ResNet's bottleneck; ``motion`` puts L-TDM (``mse``) and the shift behind its first ReLU."""

    def __init__(self, inplanes: int, planes: int, stride: int, motion: bool, num_segments: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 1)
        self.bn1 = nn.BatchNorm2d(planes)
        self.mse = LongTermDifference(planes, num_segments) if motion else nn.Identity()
        self.shift = LearnableShift(planes, num_segments) if motion else nn.Identity()
        self.conv2 = nn.Conv2d(planes, planes, 3, stride=stride, padding=1)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, 4 * planes, 1)
        self.bn3 = nn.BatchNorm2d(4 * planes)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inplanes != 4 * planes:
            self.downsample = nn.Sequential(
                nn.Conv2d(inplanes, 4 * planes, 1, stride=stride), nn.BatchNorm2d(4 * planes)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = torch.relu(self.bn1(self.conv1(x)))
        out = self.shift(self.mse(out))
        out = torch.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return torch.relu(out + self.downsample(x))


class Backbone(nn.Module):
    """Features of each segment.

    Shape:
        input: (N*T, 5, 3, H, W)
        output: (N*T, 2048, ceil(H/32), ceil(W/32))
    """

    def __init__(self, depths: tuple[int, int, int, int], num_segments: int) -> None:
        super().__init__()
        self.a, self.b = (0.5, 0.5) if num_segments == 8 else (0.75, 0.25)
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.conv1_temp = nn.Conv2d(3, 64, 7, stride=2, padding=3)  # in every published checkpoint, without effect
        self.conv1_5 = nn.Sequential(
            nn.Conv2d(12, 64, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(64), nn.ReLU()
        )

        def stage(inplanes: int, planes: int, depth: int, stride: int, motion: bool) -> nn.Sequential:
            blocks = [Bottleneck(inplanes, planes, stride, motion, num_segments)]
            blocks += [Bottleneck(4 * planes, planes, 1, motion, num_segments) for _ in range(depth - 1)]
            return nn.Sequential(*blocks)

        self.resnext_layer1 = stage(64, 64, depths[0], 1, motion=False)
        self.layer1_bak = stage(64, 64, depths[0], 1, motion=False)
        self.layer2_bak = stage(256, 128, depths[1], 2, motion=True)
        self.layer3_bak = stage(512, 256, depths[2], 2, motion=True)
        self.layer4_bak = stage(1024, 512, depths[3], 2, motion=True)

    def forward(self, segments: Tensor) -> Tensor:
        f1, f2, f3, f4, f5 = segments.unbind(dim=1)
        d = F.avg_pool2d(torch.cat((f2 - f1, f3 - f2, f4 - f3, f5 - f4), dim=1), 2, 2)  # (N*T, 12, H/2, W/2)
        s = self.maxpool(self.conv1_5(d))
        r = self.maxpool(torch.relu(self.bn1(self.conv1(f3))))
        x = self.layer1_bak(self.a * r + self.b * enlarge(s, r))
        x = self.a * x + self.b * enlarge(self.resnext_layer1(s), x)
        return self.layer4_bak(self.layer3_bak(self.layer2_bak(x)))


class TDNOracle(nn.Module):
    """A clip in, logits out; consensus is the average over segments.

    Args:
        arch: one of DEPTHS.
        num_classes: K.
        num_segments: T.
        dropout: before the head.

    Shape:
        input: (N, T, 5, 3, H, W), normalised floats
        output: (N, K)
    """

    def __init__(self, arch: str, num_classes: int, num_segments: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.num_segments = num_segments
        self.base_model = Backbone(DEPTHS[arch], num_segments)
        self.dropout = nn.Dropout(dropout)
        self.new_fc = nn.Linear(2048, num_classes)

    def forward(self, clips: Tensor) -> Tensor:
        features = self.base_model(clips.flatten(0, 1))  # (N*T, 2048, H/32, W/32)
        features = self.dropout(features.mean(dim=(2, 3)))  # (N*T, 2048)
        logits = self.new_fc(features)  # (N*T, K)
        return logits.reshape(-1, self.num_segments, logits.shape[1]).mean(dim=1)  # (N, K)
