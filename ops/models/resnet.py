"""The backbone: a ResNet (He et al., CVPR 2016) with the motion-sensitive modules in place.

N videos, T segments of F = 5 frames. The stem sees one segment at a time: the appearance path is ResNet's own on the
middle frame, STPME adds motion; DS-ME and the temporal shift sit in every block of layer2 to layer4.
Blocks and parameter names are torchvision's, so ImageNet weights fit by name.
"""

from collections.abc import Callable, Mapping

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck, conv1x1

from ops.models.msn import DSME, STPME, Motion
from ops.models.names import ARCHS
from ops.models.temporal_shift import TemporalShift
from ops.runtime import InputError

Block = type[BasicBlock] | type[Bottleneck]
BLOCKS: dict[str, Block] = {"basic": BasicBlock, "bottleneck": Bottleneck}
MakeMotion = Callable[[int], Motion]


class MotionBasicBlock(BasicBlock):
    """Basic block with DS-ME and shift after its first conv-BN-ReLU; ``make_motion`` builds them for a width."""

    def __init__(self, inplanes: int, planes: int, stride: int, downsample: nn.Module | None, make_motion: MakeMotion):
        super().__init__(inplanes, planes, stride, downsample)
        self.motion = make_motion(planes)

    def forward(self, x: Tensor) -> Tensor:
        out = self.motion(self.relu(self.bn1(self.conv1(x))))
        out = self.bn2(self.conv2(out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class MotionBottleneck(Bottleneck):
    """Bottleneck with DS-ME and shift between its first and second convolution."""

    def __init__(self, inplanes: int, planes: int, stride: int, downsample: nn.Module | None, make_motion: MakeMotion):
        super().__init__(inplanes, planes, stride, downsample)
        self.motion = make_motion(planes)

    def forward(self, x: Tensor) -> Tensor:
        out = self.motion(self.relu(self.bn1(self.conv1(x))))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


def motion_weight(num_segments: int) -> float:
    """Weight b of motion in the stem; appearance has a = 1 - b."""
    return 0.5 if num_segments == 8 else 0.25


class MSNResNet(nn.Module):
    """Features of each segment.

    Args:
        arch: one of ARCHS.
        num_segments: T.
        motion: which of ``stpme``, ``dsme``, ``shift`` are in place; none of them is a TSN backbone.
        motion_window: how many segments DS-ME takes as one clip; a divisor of T.

    Shape:
        input: (N*T, 5, 3, H, W), normalised, H and W at least 32
        output: (N*T, num_features, ceil(H/32), ceil(W/32))
    """

    def __init__(self, arch: str, num_segments: int, motion: tuple[str, ...], motion_window: int) -> None:
        super().__init__()
        kind, depths = ARCHS[arch]
        block = BLOCKS[kind]
        self.motion_modules = motion
        self.motion_window = motion_window
        self.motion_weight = motion_weight(num_segments)
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)

        def make_motion(channels: int) -> Motion:
            return Motion(
                DSME(channels, motion_window) if "dsme" in motion else None,
                TemporalShift(channels, num_segments) if "shift" in motion else None,
            )

        widths = [64 * block.expansion * 2**i for i in range(4)]
        self.layer1 = _plain_stage(block, 64, 64, depths[0])
        self.layer2 = _motion_stage(block, widths[0], 128, depths[1], make_motion)
        self.layer3 = _motion_stage(block, widths[1], 256, depths[2], make_motion)
        self.layer4 = _motion_stage(block, widths[2], 512, depths[3], make_motion)
        if "stpme" in motion:
            self.stpme = STPME()
            self.layer1_diff = _plain_stage(block, 64, 64, depths[0])
        self.num_features = widths[3]
        self._init_weights()

    def _init_weights(self) -> None:
        """He initialisation, but for the deformable convolutions, which keep theirs (and their zero offsets)."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d) and not name.endswith(".offset"):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, segments: Tensor) -> Tensor:
        appearance = self.maxpool(self.relu(self.bn1(self.conv1(segments[:, segments.shape[1] // 2]))))
        if "stpme" in self.motion_modules:
            motion = self.stpme(segments)  # (N*T, 64, H/4, W/4)
            x = torch.lerp(appearance, motion, self.motion_weight)
            x = torch.lerp(self.layer1(x), self.layer1_diff(motion), 0.25)
        else:
            x = self.layer1(appearance)
        return self.layer4(self.layer3(self.layer2(x)))

    def load_imagenet(self, state_dict: Mapping[str, Tensor], source: str) -> None:
        """Fill the appearance stem, layer1 to layer4 and layer1_diff from a torchvision ResNet's weights."""
        weights = {k: v for k, v in state_dict.items() if not k.startswith("fc.")}
        if "stpme" in self.motion_modules:
            weights |= {k.replace("layer1", "layer1_diff"): v for k, v in weights.items() if k.startswith("layer1.")}
        own = self.state_dict()
        wanted = {k for k in own if ".motion." not in k and not k.startswith("stpme.")}
        misfits = sorted(wanted ^ set(weights)) + [
            k for k in sorted(wanted & set(weights)) if own[k].shape != weights[k].shape
        ]
        misfits = [k for k in misfits if not k.endswith("num_batches_tracked")]
        if misfits:
            raise InputError(
                f"{source}: expected the weights of a torchvision ResNet of this depth (conv1, bn1, layer1 to "
                f"layer4); missing, unexpected or of another shape: {', '.join(misfits[:6])} ({len(misfits)} in all)"
            )
        self.load_state_dict(weights, strict=False)


def _downsample(inplanes: int, outplanes: int, stride: int) -> nn.Module | None:
    if stride == 1 and inplanes == outplanes:
        return None
    return nn.Sequential(conv1x1(inplanes, outplanes, stride), nn.BatchNorm2d(outplanes))


def _plain_stage(block: Block, inplanes: int, planes: int, depth: int) -> nn.Sequential:
    width = planes * block.expansion
    blocks = [block(inplanes, planes, 1, _downsample(inplanes, width, 1))]
    return nn.Sequential(*blocks, *(block(width, planes) for _ in range(depth - 1)))


def _motion_stage(block: Block, inplanes: int, planes: int, depth: int, make_motion: MakeMotion) -> nn.Sequential:
    motion_block = MotionBottleneck if block is Bottleneck else MotionBasicBlock
    width = planes * block.expansion
    blocks = [motion_block(inplanes, planes, 2, _downsample(inplanes, width, 2), make_motion)]
    return nn.Sequential(*blocks, *(motion_block(width, planes, 1, None, make_motion) for _ in range(depth - 1)))


def fetch_imagenet_weights(arch: str) -> Mapping[str, Tensor]:
    """torchvision's IMAGENET1K_V1 weights of ``arch``, from its cache or the network."""
    if arch not in torchvision.models.list_models(torchvision.models):
        raise InputError(f"expected --pretrain none or a file for {arch}: no ImageNet weights of it are published")
    weights = torchvision.models.get_model_weights(arch)["IMAGENET1K_V1"]
    try:
        return weights.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"expected ImageNet weights of {arch} from {weights.url}, got {error}; download that file elsewhere and "
            f"pass it as --pretrain PATH, or put it into {torch.hub.get_dir()}/checkpoints, or use --pretrain none"
        ) from None
