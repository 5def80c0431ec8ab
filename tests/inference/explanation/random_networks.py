"""Small networks with random weights, offsets and running statistics, as checkpoints and as plain models."""

from pathlib import Path

import torch
from torch import nn

from ops.models.build import build_model
from ops.models.deformable.deform_conv import DeformConv2d
from ops.models.recognizer import Recognizer
from tests import media

CLASSES, SEGMENTS, SIZE = 5, 4, 64
NAMES = ("up", "down", "left", "right", "nowhere")


def random_network(network: str, **design: object) -> Recognizer:
    """In evaluation mode, its BatchNorms not folded."""
    torch.manual_seed(0)
    model = build_model("resnet10", CLASSES, SEGMENTS, model=network, **design).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
        if isinstance(module, DeformConv2d):
            nn.init.normal_(module.offset.weight, 0, 0.05)
    nn.init.normal_(model.head.weight, 0, 0.1)
    nn.init.normal_(model.head.bias)
    return model.requires_grad_(False)


def save(model: Recognizer, path: Path, names: tuple[str, ...] = NAMES) -> Path:
    """Its checkpoint, as older versions wrote it."""
    config = {"input_size": SIZE, "model": {"network": model.design.network, "num_segments": SEGMENTS}}
    config["model"]["motion_window"] = model.design.motion_window
    torch.save({"state_dict": model.state_dict(), "config": config | {"dataset": {"class_names": [*names]}}}, path)
    return path


def make_clip(folder: Path) -> Path:
    return media.make_video(folder / "clip.mp4", frames=30, size=(112, 80))
