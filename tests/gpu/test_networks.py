"""On a GPU, the networks give the golden values in every precision, and the same results compiled."""

import copy
import functools
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from ops.checkpoints.filling import load_weights
from ops.models.build import build_model
from ops.models.fusion import fuse_for_inference
from ops.models.names import FRAMES_PER_SEGMENT, NETWORKS
from ops.models.recognizer import Recognizer, use_channels_last
from ops.runtime.precision import autocast
from tests.golden_weights import GOLDEN, golden_input, golden_state, published_shapes, relative_error, subsample
from tests.gpu.conftest import REHEARSING

pytestmark = pytest.mark.gpu
# Type of autocast, whether TensorFloat-32 is allowed, and what logits may differ by, over the largest of them.
PRECISIONS = {
    "float32": (None, False, 1e-4),
    "TF32": (None, True, 1e-2),
    "bf16": ("bf16", True, 0.03),
    "fp16": ("fp16", True, 2e-2),
}
Note = Callable[[str, object], None]


@pytest.fixture(autouse=True)
def settings_of_products() -> Iterator[None]:
    backends = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [backend.allow_tf32 for backend in backends]
    yield
    for backend, allowed in zip(backends, before, strict=True):
        backend.allow_tf32 = allowed


@functools.cache
def _golden_model(network: str) -> Recognizer:
    model = build_model("resnet50", 174, 8, model=network).eval()
    load_weights(model, {"state_dict": golden_state(published_shapes(network))})
    return model


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("network", ("msn",) if REHEARSING else tuple(NETWORKS))
def test_golden_logits(device: torch.device, note: Note, network: str, precision: str) -> None:
    amp, tf32, tolerance = PRECISIONS[precision]
    if device.type == "cpu" and amp == "fp16":
        pytest.skip("a CPU takes minutes for fp16")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    frames = FRAMES_PER_SEGMENT[network]
    clips = golden_input(7, (2, 8 * frames * 3, 64, 64)).view(2, 8, frames, 3, 64, 64).to(device)
    with torch.no_grad(), autocast(device, amp):
        logits = _golden_model(network).to(device)(clips).float().cpu().numpy()
    expected = np.load(GOLDEN / f"{network}_resnet50_t8.npz")["logits"]
    error = float(relative_error(subsample(logits), expected))
    note("error", error)
    assert error < tolerance


@pytest.mark.parametrize("amp", [None, "bf16"], ids=str)
def test_compiled_testing_and_training(device: torch.device, note: Note, amp: str | None) -> None:
    torch.compiler.reset()
    torch.manual_seed(0)
    model = build_model("resnet10", 5, 2, dropout=0.0).to(device)
    use_channels_last(model)
    size = 32 if REHEARSING else 64
    clips = torch.randn(2, 2, 5, 3, size, size, device=device)
    backend = "eager" if device.type == "cpu" else "inductor"
    fused = fuse_for_inference(model)
    compiled = copy.deepcopy(fused)
    compiled.compile(backend=backend, fullgraph=True)
    with torch.inference_mode(), autocast(device, amp):
        error = float(relative_error(compiled(clips).float(), fused(clips).float()))
    note("testing error", error)
    results = []
    for network in (model.train(), copy.deepcopy(model)):
        if results:
            network.compile(backend=backend, fullgraph=True)
        with autocast(device, amp):
            network(clips).float().square().sum().backward()
        results.append(torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None]))
    gradient = float((results[1] - results[0]).norm() / results[0].norm())
    note("gradient error", gradient)
    assert error < (1e-3 if amp is None else 0.1) and gradient < (2e-2 if amp is None else 0.5)
