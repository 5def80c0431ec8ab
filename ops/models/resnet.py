"""The backbone of all networks: a ResNet (He et al., CVPR 2016) with places for motion modules.

N videos, T segments of F frames, C channels, H x W pixels. Features travel folded as (N*T, C, H, W).
Blocks and parameter names are torchvision's, so ImageNet weights fit by name.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import resnet
from torchvision.models.resnet import conv1x1

from ops.models.names import ARCHS
from ops.models.recompute import recomputed
from ops.runtime import InputError


class BasicBlock(resnet.BasicBlock):
    """torchvision's basic block with a place for a motion module, ``motion``, behind its first conv-BN-ReLU."""

    batch_norms = (("conv1", "bn1"), ("conv2", "bn2"))

    def __init__(self, inplanes: int, planes: int, stride: int, downsample: nn.Module | None) -> None:
        super().__init__(inplanes, planes, stride, downsample)
        self.motion: nn.Module = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out = self.motion(self.relu(self.bn1(self.conv1(x))))
        out = self.bn2(self.conv2(out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class Bottleneck(resnet.Bottleneck):
    """torchvision's bottleneck with a place for a motion module, ``motion``, behind its first conv-BN-ReLU."""

    batch_norms = (("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3"))

    def __init__(self, inplanes: int, planes: int, stride: int, downsample: nn.Module | None) -> None:
        super().__init__(inplanes, planes, stride, downsample)
        self.motion: nn.Module = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out = self.motion(self.relu(self.bn1(self.conv1(x))))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


Block = BasicBlock | Bottleneck
BLOCKS: dict[str, type[Block]] = {"basic": BasicBlock, "bottleneck": Bottleneck}
FillBlock = Callable[[Block, int, int], None]


class MotionPath(NamedTuple):
    """How motion enters the stem."""

    name: str  # in the backbone, of the module that extracts motion
    make: Callable[[], nn.Module]  # builds it; (N*T, F, 3, H, W) -> (N*T, 64, h, w), h <= H/4 and w <= W/4
    weights: tuple[float, float]  # of motion in the sums in front of and behind layer1; appearance has the rest
    from_imagenet: Callable[[Tensor], dict[str, Tensor]] = lambda conv1: {}  # weights of it, given a ResNet's conv1


class ResNet(nn.Module):
    """Features of each segment.

    The appearance path is ResNet's own on the middle frame. With a motion path there is a second layer1,
    ``layer1_diff``, for what it extracts; both sums are taken at the resolution of appearance.

    Args:
        arch: one of ARCHS.
        fill_block: puts motion modules into a block, given its stage, 1 to 4, and its index in it; there are two
            places: ``conv1``, which may be replaced, and ``motion``.
        motion_path: what the stem sees beside appearance.

    Shape:
        input: (N*T, F, 3, H, W), normalised, H and W at least 32
        output: (N*T, num_features, ceil(H/32), ceil(W/32))
    """

    batch_norms = (("conv1", "bn1"),)
    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential
    layer4: nn.Sequential

    def __init__(self, arch: str, fill_block: FillBlock | None = None, motion_path: MotionPath | None = None) -> None:
        super().__init__()
        kind, depths = ARCHS[arch]
        block = BLOCKS[kind]
        self.motion_path = motion_path
        self.recompute = False  # save memory in training: compute the stages again when gradients are needed
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        inplanes = 64
        for stage, depth in enumerate(depths, 1):
            self.add_module(f"layer{stage}", _stage(block, inplanes, stage, depth, fill_block))
            inplanes = 64 * 2 ** (stage - 1) * block.expansion
        if motion_path is not None:
            self.add_module(motion_path.name, motion_path.make())
            self.layer1_diff = _stage(block, 64, 1, depths[0], None)
        self.num_features = inplanes
        self._init_weights()

    def _init_weights(self) -> None:
        """He initialisation, but for the deformable convolutions, which keep theirs (and their zero offsets)."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d) and not name.endswith(".offset"):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, segments: Tensor) -> Tensor:
        middle = segments[:, segments.shape[1] // 2]  # (N*T, 3, H, W)
        x = self.maxpool(self.relu(self.bn1(self.conv1(middle))))  # (N*T, 64, H/4, W/4)
        if self.motion_path is None:
            x = self._stage(self.layer1, x)
        else:
            before, behind = self.motion_path.weights
            motion = self.get_submodule(self.motion_path.name)(segments)  # (N*T, 64, h, w)
            x = self._stage(self.layer1, _add_motion(x, motion, before))
            x = _add_motion(x, self._stage(self.layer1_diff, motion), behind)
        for stage in (self.layer2, self.layer3, self.layer4):
            x = self._stage(stage, x)
        return x

    def _stage(self, stage: nn.Module, x: Tensor) -> Tensor:
        return recomputed(stage, x) if self.recompute and torch.is_grad_enabled() else stage(x)

    def load_imagenet(self, state_dict: Mapping[str, Tensor], source: str) -> None:
        """Fill the appearance path, and what the network's authors filled of the motion path.

        Args:
            state_dict: of a torchvision ResNet.
            source: what errors call it.

        Raises:
            InputError: the weights are not those of this depth; nothing has been loaded then.
        """
        weights = {k: v for k, v in state_dict.items() if not k.startswith("fc.")}
        path = self.motion_path
        if path is not None:
            weights |= {k.replace("layer1", "layer1_diff"): v for k, v in weights.items() if k.startswith("layer1.")}
        own = self.state_dict()
        wanted = {k for k in own if ".motion." not in k and not (path and k.startswith(f"{path.name}."))}
        misfits = sorted(wanted ^ set(weights)) + [
            k for k in sorted(wanted & set(weights)) if own[k].shape != weights[k].shape
        ]
        misfits = [k for k in misfits if not k.endswith(("num_batches_tracked", "conv1.fold"))]
        if misfits:
            raise InputError(
                f"{source}: expected the weights of a torchvision ResNet of this depth (conv1, bn1, layer1 to "
                f"layer4); missing, unexpected or of another shape: {', '.join(misfits[:6])} ({len(misfits)} in all)"
            )
        if path is not None:
            weights |= {f"{path.name}.{k}": v for k, v in path.from_imagenet(weights["conv1.weight"]).items()}
        self.load_state_dict(weights, strict=False)


def _add_motion(appearance: Tensor, motion: Tensor, weight: float) -> Tensor:
    if motion.shape[2:] != appearance.shape[2:]:
        motion = F.interpolate(motion, appearance.shape[2:], mode="nearest")
    return torch.lerp(appearance, motion, weight)


def _stage(kind: type[Block], inplanes: int, stage: int, depth: int, fill_block: FillBlock | None) -> nn.Sequential:
    planes = 64 * 2 ** (stage - 1)
    width = planes * kind.expansion
    blocks = []
    for index in range(depth):
        stride = 2 if stage > 1 and index == 0 else 1
        shortcut = _downsample(inplanes, width, stride) if index == 0 else None
        block = kind(inplanes, planes, stride, shortcut)
        if fill_block is not None:
            fill_block(block, stage, index)
        blocks.append(block)
        inplanes = width
    return nn.Sequential(*blocks)


def _downsample(inplanes: int, outplanes: int, stride: int) -> nn.Module | None:
    if stride == 1 and inplanes == outplanes:
        return None
    return nn.Sequential(conv1x1(inplanes, outplanes, stride), nn.BatchNorm2d(outplanes))


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
