"""The names that a network is chosen by; without torch, for command lines."""

# Block kind and depths of layer1 to layer4.
ARCHS: dict[str, tuple[str, tuple[int, int, int, int]]] = {
    "resnet10": ("basic", (1, 1, 1, 1)),
    "resnet18": ("basic", (2, 2, 2, 2)),
    "resnet34": ("basic", (3, 4, 6, 3)),
    "resnet50": ("bottleneck", (3, 4, 6, 3)),
    "resnet101": ("bottleneck", (3, 4, 23, 3)),
    "resnet152": ("bottleneck", (3, 8, 36, 3)),
}


# F: how many consecutive frames of the video a network takes as one segment.
FRAMES_PER_SEGMENT = {"msn": 5}


MOTION_MODULES = ("stpme", "dsme", "shift")


CONSENSUS_TYPES = ("avg", "identity")
