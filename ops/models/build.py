"""A clip in, logits out: backbone, head, consensus over segments.

from ops.models import build_model
model = build_model("resnet50", num_classes=174, num_segments=8, pretrain="none")
logits = model(clips)  # (N, T, F, 3, H, W) -> (N, 174), F = model.frames_per_segment
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from ops.checkpoints import load_state_dict, read_checkpoint
from ops.models.msn import msn_backbone
from ops.models.names import Design, choose_design
from ops.models.recognizer import Recognizer
from ops.models.resnet import ResNet, fetch_imagenet_weights
from ops.models.tdn import tdn_backbone
from ops.models.tsm import tsm_backbone

BACKBONES: dict[str, Callable[[Design], ResNet]] = {
    "msn": msn_backbone,
    "tdn": tdn_backbone,
    "tsm": tsm_backbone,
    "tsn": lambda design: ResNet(design.arch),
}


def build_model(
    arch: str,
    num_classes: int,
    num_segments: int,
    pretrain: str = "none",
    *,
    model: str = "msn",
    dropout: float = 0.5,
    consensus: str = "avg",
    motion: Sequence[str] | None = None,
    motion_window: int | None = None,
    motion_weight: float | None = None,
) -> Recognizer:
    """Build a network and fill its backbone.

    Args:
        arch: one of resnet10, 18, 34, 50, 101, 152.
        pretrain: ``none``, ``imagenet`` (torchvision's weights, downloaded once into its cache) or the path of a
            torchvision ResNet's weights.
        model: ``msn``, ``tdn``, ``tsm`` or ``tsn``.
        consensus: ``avg`` averages the logits over segments, ``identity`` keeps them.
        motion: any subset of the network's motion modules (default: all); without any the network is TSN.
        motion_window: 8 gives the grouping of 16-frame checkpoints trained with the published code of MSN.
        motion_weight: weight of motion in the stem of MSN and TDN (default: 0.5 with 8 segments, else 0.25).

    Raises:
        InputError: an argument is out of range, or the weights do not fit.
    """
    design = choose_design(model, arch, num_segments, motion, motion_window, motion_weight)
    network = Recognizer(design, BACKBONES[model](design), num_classes, dropout, consensus)
    if pretrain == "imagenet":
        network.backbone.load_imagenet(fetch_imagenet_weights(arch), "ImageNet weights")
    elif pretrain != "none":
        network.backbone.load_imagenet(load_state_dict(read_checkpoint(Path(pretrain)), pretrain), pretrain)
    return network
