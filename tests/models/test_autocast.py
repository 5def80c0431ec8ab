"""What runs in float32 under autocast: every operator of a forward and a backward pass is looked at.

Of its tensors only those count that grow with the batch: there are 11 videos, and no weight has a multiple of 11
values. What an operator is for is told by the function of this project that called it, or that called the operator
whose gradient it computes.
"""

import re
import traceback
from collections.abc import Iterable
from typing import Any

import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ops.models import build_model, fuse_for_inference
from ops.models.recognizer import Recognizer

VIDEOS, SEGMENTS, CLASSES = 11, 2, 7
LEAST = 256 * VIDEOS  # values: what is smaller costs nothing
WIDENED = {"_to_copy", "view", "_unsafe_view", "clone", "detach"}
# By function, which operators may have float32 tensors; any where none are named.
ALLOWED: dict[str, set[str]] = {
    "portable._sampling_grid": set(),  # positions: in bf16 they are off by 1/16 of a pixel
    "portable._from_grid": {"grid_sampler_2d", "grid_sampler_2d_backward"} | WIDENED,  # sampling at them
    "msn.mean_of_conv3d": set(),  # sums of whole clips, which fp16 could not hold
    "msn._bordered_sums": set(),
}


def caller(lines: Iterable[str]) -> str:
    """The innermost function of this project's networks in a traceback, as ``module.function``."""
    found = re.findall(r"ops/models/(?:\w+/)*(\w+)\.py\", line \d+, in (\w+)", "".join(lines))
    return ".".join(found[-1]) if found else ""


class WideOperators(TorchDispatchMode):
    """Collects the operators that have large float32 tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[tuple[str, str]] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = [each for each in tree_leaves((args, kwargs, result)) if isinstance(each, torch.Tensor)]
        if any(t.dtype == torch.float32 and t.numel() >= LEAST and t.numel() % VIDEOS == 0 for t in tensors):
            node = torch._C._current_autograd_node()
            where = caller(traceback.format_stack()) or caller(node.metadata.get("traceback_", ()) if node else ())
            self.found.add((where, func.overloadpacket.__name__))
        return result


def wide_operators(model: Recognizer, kind: torch.dtype, side: int = 64) -> set[tuple[str, str]]:
    """(function, operator) of a pass under autocast."""
    shape = (VIDEOS, model.num_segments, model.frames_per_segment, 3, side, side)
    clips = torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    trains = model.training
    # Anomaly detection keeps where each operator of a graph was called.
    traced = torch.autograd.set_detect_anomaly(trains, check_nan=False)
    with torch.set_grad_enabled(trains), traced, WideOperators() as seen:
        with torch.autocast("cpu", kind):
            loss = F.cross_entropy(model(clips), torch.zeros(VIDEOS, dtype=torch.long))
        if trains:
            loss.backward()
    return seen.found


def exceptions(found: set[tuple[str, str]]) -> set[tuple[str, str]]:
    return {(where, name) for where, name in found if ALLOWED.get(where, {""}) and name not in ALLOWED.get(where, {""})}


@pytest.mark.parametrize("network", ["msn", "tdn", "tsm", "tsn"])
class TestNothingElseIsFloat32:
    # CPUs take half a minute for the gradients of fp16.
    @pytest.mark.parametrize("kind", [torch.bfloat16, pytest.param(torch.float16, marks=pytest.mark.slow)])
    def test_training(self, network: str, kind: torch.dtype) -> None:
        found = wide_operators(build_model("resnet10", CLASSES, SEGMENTS, model=network), kind)
        assert not exceptions(found)
        samples = {name for where, name in found if where == "portable._from_grid"}
        assert ("grid_sampler_2d_backward" in samples) == (network == "msn")  # backward passes are seen, too

    @pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
    @pytest.mark.parametrize("arch", ["resnet10", "resnet50"])
    def test_evaluation(self, network: str, arch: str, kind: torch.dtype) -> None:
        model = build_model(arch, CLASSES, SEGMENTS, model=network).eval()
        for each in (model, fuse_for_inference(model)):
            assert not exceptions(wide_operators(each, kind))


def test_what_is_wide_is_found() -> None:
    """Clips that come normalised, as float32, are not rounded before the differences are taken."""
    model = build_model("resnet10", CLASSES, SEGMENTS, model="tdn").eval()
    model._normalise = lambda pixels: pixels.float()  # type: ignore[method-assign]
    assert ("tdn.forward", "avg_pool2d") in exceptions(wide_operators(model, torch.bfloat16))


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_pixels_are_rounded_once(kind: torch.dtype) -> None:
    model = build_model("resnet10", CLASSES, SEGMENTS, model="tsn")
    pixels = torch.arange(256, dtype=torch.uint8)[:, None].repeat(1, 3)[:, None, :, None, None]  # (256, 1, 3, 1, 1)
    exact = model._normalise(pixels)
    assert torch.equal(exact, (pixels - model.image_mean[0]) / model.image_std[0])
    with torch.autocast("cpu", kind):
        rounded = model._normalise(pixels)
    assert rounded.dtype == kind
    torch.testing.assert_close(rounded.float(), exact, rtol=torch.finfo(kind).eps * 0.51, atol=1e-6)
    assert ((rounded.float() - exact) * model.image_std[0]).abs().max() < 0.5  # grey levels
