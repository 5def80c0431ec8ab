"""MSN as its definition reads, without any of the identities that make it fast: the yardstick of tests and benchmarks.

N videos, T segments of F = 5 frames, C channels, c = C/4, H x W pixels, w segments in a window of DS-ME. Parameters
carry the names of the published reference (biases in front of BatchNorms and two unused convolutions included), so
its checkpoints load strictly. Only torch and torchvision are used, never ops.
"""

import torch
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

DEPTHS = {
    "resnet14": (1, 1, 1, 1),  # one bottleneck a stage: nobody's network, for quick tests
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
}


class DeformableConv(nn.Module):
    """k x k deformable convolution; a plain convolution of the same input gives its offsets.

    Shape:
        input, output: (B, C, H, W)
    """

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.padding = kernel_size // 2
        plain = nn.Conv2d(channels, channels, kernel_size)
        self.weight, self.bias = plain.weight, plain.bias
        self.conv_offset = nn.Conv2d(channels, 2 * kernel_size**2, kernel_size, padding=self.padding)
        for parameter in self.conv_offset.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        return deform_conv2d(x, self.conv_offset(x), self.weight, self.bias, padding=self.padding)


class MotionExcitation(nn.Module):
    """DS-ME.

    Shape:
        input, output: (N*w, C, H, W)
    """

    def __init__(self, channels: int, window: int) -> None:
        super().__init__()
        reduced = channels // 4
        self.window = window
        self.conv_down = nn.Conv2d(channels, reduced, 1)
        self.bn1 = nn.BatchNorm2d(reduced)
        self.motion_offset = DeformableConv(reduced, 3)
        self.motion_offset_7 = DeformableConv(reduced, 5)
        self.max_pool = nn.MaxPool2d(3, stride=1, padding=1)
        self.conv1 = nn.Conv2d(reduced, reduced, 1)
        self.bn3 = nn.BatchNorm2d(reduced)
        self.time_conv = nn.Conv3d(reduced, reduced, 3, padding=1)
        self.bn_t = nn.BatchNorm3d(reduced)
        self.conv = nn.Conv2d(reduced, channels, 1)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        z = self.bn1(self.conv_down(x))  # (N*w, c, H, W)
        _, reduced, height, width = z.shape
        z = z.reshape(-1, self.window, reduced, height, width)  # (N, w, c, H, W)
        current = z[:, :-1].reshape(-1, reduced, height, width)  # (N*(w-1), c, H, W)
        following = z[:, 1:].reshape(-1, reduced, height, width)  # (N*(w-1), c, H, W)

        near = self.motion_offset(following) - current
        far = self.motion_offset_7(following) - current
        pooled = self.bn3(self.conv1(self.max_pool(following))) - current
        m = (near + far + pooled).abs()
        m = m.reshape(-1, self.window - 1, reduced, height, width)  # (N, w-1, c, H, W)

        q = self.bn_t(self.time_conv(z.permute(0, 2, 1, 3, 4)))  # (N, c, w, H, W)
        q = q.permute(0, 2, 1, 3, 4).mean(dim=1, keepdim=True)  # (N, 1, c, H, W)

        d = torch.cat((m, q), dim=1).mean(dim=(3, 4))  # (N, w, c)
        d = d.reshape(-1, reduced, 1, 1)  # (N*w, c, 1, 1)
        gate = torch.sigmoid(self.bn2(self.conv(d)))  # (N*w, C, 1, 1)
        return x + x * (gate - 0.5)


class Shift(nn.Module):
    """The temporal shift, a depthwise conv1d over segments.

    Shape:
        input, output: (N*T, C, H, W)
    """

    def __init__(self, channels: int, num_segments: int) -> None:
        super().__init__()
        self.num_segments = num_segments
        self.conv = nn.Conv1d(channels, channels, 3, padding=1, groups=channels, bias=False)
        fold = channels // 8
        with torch.no_grad():
            self.conv.weight.zero_()
            self.conv.weight[:fold, 0, 2] = 1
            self.conv.weight[fold : 2 * fold, 0, 0] = 1
            self.conv.weight[2 * fold :, 0, 1] = 1

    def forward(self, x: Tensor) -> Tensor:
        _, channels, height, width = x.shape
        x = x.reshape(-1, self.num_segments, channels, height, width)  # (N, T, C, H, W)
        x = x.permute(0, 3, 4, 2, 1).reshape(-1, channels, self.num_segments)  # (N*H*W, C, T)
        x = self.conv(x).reshape(-1, height, width, channels, self.num_segments)  # (N, H, W, C, T)
        return x.permute(0, 4, 3, 1, 2).reshape(-1, channels, height, width)  # (N*T, C, H, W)


class Bottleneck(nn.Module):
    """ResNet's bottleneck; ``motion`` puts DS-ME and the shift behind its first ReLU."""

    def __init__(self, inplanes: int, planes: int, stride: int, motion: bool, num_segments: int, window: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 1)
        self.bn1 = nn.BatchNorm2d(planes)
        self.motion_layer = MotionExcitation(planes, window) if motion else nn.Identity()
        self.shift = Shift(planes, num_segments) if motion else nn.Identity()
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
        out = self.shift(self.motion_layer(out))
        out = torch.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return torch.relu(out + self.downsample(x))


class Backbone(nn.Module):
    """Features of each segment.

    Shape:
        input: (N*T, 5, 3, H, W)
        output: (N*T, 2048, ceil(H/32), ceil(W/32))
    """

    def __init__(self, depths: tuple[int, int, int, int], num_segments: int, window: int) -> None:
        super().__init__()
        self.a, self.b = (0.5, 0.5) if num_segments == 8 else (0.75, 0.25)
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)

        # The next two are in every checkpoint of the reference and have no effect.
        self.conv1_temp = nn.Conv2d(3, 64, 7, stride=2, padding=3)
        self.conv1_5 = nn.Sequential(nn.Conv2d(12, 64, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(64))

        self.conv_diff_1 = nn.Sequential(
            nn.Conv2d(12, 64, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(64), nn.ReLU()
        )
        self.conv_1 = nn.Conv2d(3, 16, 7, stride=2, padding=3)  # g
        self.conv_diff_2 = nn.Sequential(nn.Conv2d(32, 64, 5, padding=2, bias=False), nn.BatchNorm2d(64), nn.ReLU())
        self.conv_2 = nn.Conv2d(16, 64, 5, padding=2)  # h

        def stage(inplanes: int, planes: int, depth: int, stride: int, motion: bool) -> nn.Sequential:
            blocks = [Bottleneck(inplanes, planes, stride, motion, num_segments, window)]
            blocks += [Bottleneck(4 * planes, planes, 1, motion, num_segments, window) for _ in range(depth - 1)]
            return nn.Sequential(*blocks)

        self.resnext_layer1 = stage(64, 64, depths[0], 1, motion=False)
        self.layer1_bak = stage(64, 64, depths[0], 1, motion=False)
        self.layer2_bak = stage(256, 128, depths[1], 2, motion=True)
        self.layer3_bak = stage(512, 256, depths[2], 2, motion=True)
        self.layer4_bak = stage(1024, 512, depths[3], 2, motion=True)

    def motion_pyramid(self, frames: Tensor) -> Tensor:
        """STP-ME.

        Shape:
            input: (B, 5, 3, H, W); output: (B, 64, ceil(H/4), ceil(W/4))
        """
        f1, f2, f3, f4, f5 = frames.unbind(dim=1)
        differences = torch.cat((f2 - f1, f3 - f2, f4 - f3, f5 - f4), dim=1)  # (B, 12, H, W)
        p1 = self.conv_diff_1(self.maxpool(differences))  # (B, 64, H/4, W/4)

        g1, g3, g5 = self.conv_1(f1), self.conv_1(f3), self.conv_1(f5)  # (B, 16, H/2, W/2) each
        p2 = self.conv_diff_2(self.maxpool(torch.cat((g5 - g3, g3 - g1), dim=1)))  # (B, 64, H/4, W/4)
        p3 = self.maxpool(self.conv_2(g5) - self.conv_2(g1))  # (B, 64, H/4, W/4)
        return p1 + p2 + p3

    def forward(self, segments: Tensor) -> Tensor:
        s = self.motion_pyramid(segments)
        r = self.maxpool(torch.relu(self.bn1(self.conv1(segments[:, 2]))))
        x = self.a * r + self.b * s
        x = 0.75 * self.layer1_bak(x) + 0.25 * self.resnext_layer1(s)
        return self.layer4_bak(self.layer3_bak(self.layer2_bak(x)))


class MSNOracle(nn.Module):
    """A clip in, logits out; consensus is the average over segments.

    Args:
        arch: one of DEPTHS.
        num_classes: K.
        num_segments: T.
        window: how many segments DS-ME takes as one clip (default T).
        dropout: before the head.

    Shape:
        input: (N, T, 5, 3, H, W), normalised floats
        output: (N, K)
    """

    def __init__(
        self, arch: str, num_classes: int, num_segments: int, window: int | None = None, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.num_segments = num_segments
        self.base_model = Backbone(DEPTHS[arch], num_segments, window or num_segments)
        self.dropout = nn.Dropout(dropout)
        self.new_fc = nn.Linear(2048, num_classes)

    def forward(self, clips: Tensor) -> Tensor:
        features = self.base_model(clips.flatten(0, 1))  # (N*T, 2048, H/32, W/32)
        features = self.dropout(features.mean(dim=(2, 3)))  # (N*T, 2048)
        logits = self.new_fc(features)  # (N*T, K)
        return logits.reshape(-1, self.num_segments, logits.shape[1]).mean(dim=1)  # (N, K)
