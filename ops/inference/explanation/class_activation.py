"""Class-activation maps: which places of each segment speak for a class.

Grad-CAM (Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", ICCV
2017), computed by Captum. The whole clip goes in: T segments, K classes, h x w maps.
"""

from torch import Tensor, nn

from ops.models import Recognizer

STRIDES = {"layer1": 4, "layer2": 8, "layer3": 16, "layer4": 32}
FINE_ENOUGH = 4  # pixels of a side from which on a map shows a place


def choose_layer(size: int) -> str:
    """The deepest layer whose map of frames of ``size`` pixels is fine enough to show places."""
    fine = [layer for layer, stride in STRIDES.items() if -(-size // stride) >= FINE_ENOUGH]
    return fine[-1]


def class_maps(network: Recognizer, clip: Tensor, label: int, layer: str) -> Tensor:
    """One map a segment: the sum over channels of features times the spatial mean of the logit's gradient.

    Negative values, which speak against the class, are kept.

    Args:
        layer: of the backbone, layer1 to layer4.

    Shape:
        clip: (1, T, F, 3, s, s); output: (T, h, w)
    """
    from captum.attr import LayerGradCam

    module = network.backbone.get_submodule(layer)
    # The weights of a network for inference need no gradient, so this is where the gradient ends.
    start = module.register_forward_hook(_as_leaf)
    try:
        maps = LayerGradCam(network, module).attribute(clip, target=label)  # (T, 1, h, w)
    finally:
        start.remove()
    return maps[:, 0].detach()


def _as_leaf(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return output.detach().requires_grad_()
