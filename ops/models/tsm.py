"""Temporal shift module (Lin, Gan, Han: "TSM: Temporal Shift Module for Efficient Video Understanding", ICCV 2019).

T segments of one frame. A part of the channels moves to the neighbouring segments in front of the first convolution
of a block, inside its residual branch: the shortcut sees features that have not moved.
"""

from ops.models.names import ARCHS, Design
from ops.models.resnet import Block, ResNet
from ops.models.temporal_shift import ShiftedConv2d

DEEP = 23  # blocks of layer3 from which on only every second block shifts


def tsm_backbone(design: Design) -> ResNet:
    """The shift in every block of layer1 to layer4; in those of even index where the network is deep."""
    every = 2 if ARCHS[design.arch][1][2] >= DEEP else 1

    def fill_block(block: Block, stage: int, index: int) -> None:
        if index % every == 0 and "shift" in design.motion:
            block.conv1 = ShiftedConv2d(block.conv1, design.num_segments)

    return ResNet(design.arch, fill_block)
