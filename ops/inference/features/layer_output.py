"""What a layer of a network gives for each segment.

V views, T segments, C channels.
"""

import difflib
from typing import Any

import torch
from torch import Tensor

from ops.models import Recognizer
from ops.runtime import InputError, autocast

POOL = "pool"  # behind it come dropout and the classification layer


class LayerOutput:
    """Called with views, gives the output of a layer; maps are averaged over their pixels.

    Args:
        network: in evaluation mode.
        name: of the layer, as ``named_modules`` calls it.
        device: of the network.
        amp: the type of mixed precision, if any.
        input_size: of a crop in pixels.

    Raises:
        InputError: there is no such layer, or it gives something else than maps or vectors of each segment.
    """

    def __init__(self, network: Recognizer, name: str, device: torch.device, amp: str | None, input_size: int) -> None:
        layers = dict(network.named_modules())
        if not name or name not in layers:
            close = difflib.get_close_matches(name, layers, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise InputError(f"expected --layer of the network, like backbone.layer3, got {name!r}{hint}")
        self.network, self.name, self.device, self.amp = network, name, device, amp
        self._found: list[Any] = []
        layers[name].register_forward_hook(lambda layer, given, output: self._found.append(output))
        shape = (1, network.num_segments, network.frames_per_segment, 3, input_size, input_size)
        self.channels = self(torch.zeros(shape, dtype=torch.uint8)).shape[2]

    @torch.inference_mode()
    def __call__(self, views: Tensor) -> Tensor:
        """Pixels (V, T, F, 3, s, s) uint8 -> (V, T, C) float32."""
        self._found.clear()
        with autocast(self.device, self.amp):
            self.network(views.to(self.device, non_blocking=True))
        segments = len(views) * self.network.num_segments
        shapes = [tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__ for found in self._found]
        if len(shapes) != 1 or len(shapes[0]) < 2 or shapes[0][0] != segments:
            raise InputError(
                f"expected --layer with one output for each of the {segments} segments, like backbone.layer3, got "
                f"{self.name}, which gives {', '.join(map(str, shapes)) or 'nothing'}"
            )
        output: Tensor = self._found.pop().float()  # (V*T, C) or (V*T, C, H, W)
        vectors = output.flatten(2).mean(dim=2) if output.dim() > 2 else output
        return vectors.unflatten(0, (len(views), -1))  # (V, T, C)
