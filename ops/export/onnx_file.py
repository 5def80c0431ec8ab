"""A network as an ONNX file: its graph, and in the metadata what predict.py needs to use it.

N videos, T segments of F frames, K classes; N is free, the other sizes are fixed.
"""

import copy
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ops.models import Recognizer
from ops.runtime import InputError

PACKAGES = ("onnx", "onnxscript", "onnxruntime")


class _Exported(nn.Module):
    """What the graph computes: clips to logits, as the network does, whatever the type of its weights."""

    def __init__(self, network: Recognizer) -> None:
        super().__init__()
        self.network = network

    def forward(self, clips: Tensor) -> Tensor:
        """(N, T, F, 3, s, s) raw uint8 or normalised float32 -> (N, K) float32."""
        if clips.is_floating_point():
            clips = clips.to(self.network.head.weight.dtype)
        return self.network(clips)


def write_onnx(network: Recognizer, about: Mapping[str, Any], path: Path, float_input: bool, half: bool) -> None:
    """Write a network.

    Args:
        network: fused for inference.
        about: what the file says of itself.
        float_input: whether it takes normalised float32, not raw uint8.
        half: whether it computes with 16-bit numbers; sums over a clip, and positions between pixels, keep 32 bits.

    Raises:
        InputError: a package is missing.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise InputError(
            f"{path.name}: expected {', '.join(PACKAGES)} to write ONNX, got no {' and no '.join(missing)}; "
            f"pip install {' '.join(missing)}"
        )
    size = about["input_size"]
    # Not 1, which would be fixed, and not T, which N is not.
    shape = (3, network.num_segments, network.frames_per_segment, 3, size, size)
    clips = torch.zeros(shape, dtype=torch.float32 if float_input else torch.uint8)
    exported = _Exported(_in_half(network) if half else network).eval()
    with torch.no_grad(), _quiet():
        program = torch.onnx.export(
            exported, (clips,), dynamo=True, verbose=False, input_names=["clips"], output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("N", min=1)},),
        )  # fmt: skip
    assert program is not None
    program.model.metadata_props["about"] = json.dumps(about)
    program.save(str(path))


def _in_half(network: Recognizer) -> Recognizer:
    """A copy with 16-bit weights. BatchNorms that were not folded stay: they see means, which have 32 bits."""
    halved = copy.deepcopy(network)
    for module in halved.modules():
        if not isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
                tensor.data = tensor.data.half() if tensor.is_floating_point() else tensor.data
    return halved


@contextmanager
def _quiet() -> Iterator[None]:
    """Exporters warn of what is no concern of users."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
