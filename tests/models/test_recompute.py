"""--recompute: the same results, gradients and batch statistics to the last bit, with less memory."""

import pytest
import torch
from torch import Tensor

from ops.models.build import build_model
from ops.models.names import NETWORKS
from ops.models.recognizer import Recognizer
from ops.training.optim import freeze_batch_norms, hold_batch_statistics


def trained(network: str, recompute: bool, partialbn: bool) -> Recognizer:
    """A network after a step, with its gradients."""
    torch.manual_seed(0)
    model = build_model("resnet10", 5, 2, model=network)
    model.backbone.recompute = recompute
    if partialbn:
        freeze_batch_norms(model)
    model.train()
    if partialbn:
        hold_batch_statistics(model)
    clips = torch.randint(0, 256, (3, 2, model.frames_per_segment, 3, 32, 32), dtype=torch.uint8)
    torch.nn.functional.cross_entropy(model(clips), torch.tensor([0, 3, 4])).backward()
    return model


@pytest.mark.parametrize("partialbn", [False, True])
@pytest.mark.parametrize("network", NETWORKS)
def test_the_same_step(network: str, partialbn: bool) -> None:
    plain, other = (trained(network, recompute, partialbn) for recompute in (False, True))
    for (name, one), (_, same) in zip(plain.named_parameters(), other.named_parameters(), strict=True):
        assert (one.grad is None) == (same.grad is None) and (one.grad is None or torch.equal(one.grad, same.grad)), (
            name
        )
    for (name, one), (_, same) in zip(plain.named_buffers(), other.named_buffers(), strict=True):
        assert torch.equal(one, same), name


def kept_bytes(model: Recognizer, clips: Tensor) -> int:
    """Bytes of what a forward pass keeps for the backward pass, each memory once."""
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        output = model(clips)
    assert output.requires_grad
    return sum(kept.values())


def test_keeps_less() -> None:
    model = build_model("resnet18", 5, 2, model="tsm").train()
    clips = torch.randn(2, 2, 1, 3, 64, 64)
    plain = kept_bytes(model, clips)
    model.backbone.recompute = True
    assert kept_bytes(model, clips) < 0.6 * plain
