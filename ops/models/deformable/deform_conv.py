"""Deformable convolution as a layer, by the back end that suits its device (``choice.py``)."""

import math

import torch
from torch import Tensor, nn

from ops.models.deformable import portable
from ops.models.deformable.choice import Verdict, choose
from ops.models.names import DEFORM_BACKENDS
from ops.runtime import InputError


def deform_conv2d(
    x: Tensor, offset: Tensor, weight: Tensor, bias: Tensor | None = None, backend: str | Verdict = "auto"
) -> Tensor:
    """Deformable convolution with "same" padding; ``portable.deform_conv2d`` says the shapes.

    Args:
        backend: one of DEFORM_BACKENDS, or what was decided of them.
    """
    portable.check_shapes(x, offset, weight)
    if isinstance(backend, str):
        backend = choose(backend, (weight.shape[-1],), x, offset, weight, wants_gradients(x, offset, weight, bias))
    if backend.backend == "triton":
        from ops.models.deformable import triton_ops  # imported only where it can be

        assert backend.tile is not None
        return triton_ops.deform_conv2d(x, offset, weight, bias, triton_ops.Tile(*backend.tile))
    if backend.backend == "torchvision":
        from torchvision import ops  # takes long

        kind = torch.promote_types(torch.promote_types(x.dtype, weight.dtype), torch.float32)
        wide = (None if tensor is None else tensor.to(kind) for tensor in (x, offset, weight, bias))
        return ops.deform_conv2d(*wide, padding=weight.shape[-1] // 2).to(weight.dtype)
    return portable.deform_conv2d(x, offset, weight, bias)


def wants_gradients(*tensors: Tensor | None) -> bool:
    return torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in tensors)


class DeformConv2d(nn.Module):
    """Deformable convolution whose offsets come from a plain convolution of the same input.

    The offsets start at zero, so training starts from a plain convolution.

    Args:
        channels: C, of input and output.
        kernel_size: k, odd.

    ``backend`` is one of DEFORM_BACKENDS; ``use_deform_backend`` sets it.

    Shape:
        input, output: (B, C, H, W)
    """

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.backend = "auto"
        self.weight = nn.Parameter(torch.empty(channels, channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.empty(channels))
        self.offset = nn.Conv2d(channels, 2 * kernel_size**2, kernel_size, padding=kernel_size // 2)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """PyTorch's default for a convolution; zero offsets."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        bound = 1 / math.sqrt(self.weight[0].numel())
        nn.init.uniform_(self.bias, -bound, bound)
        for parameter in self.offset.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, backend: Verdict | None = None) -> Tensor:
        return deform_conv2d(x, self.offset(x), self.weight, self.bias, backend or self.backend)


def use_deform_backend(model: nn.Module, backend: str) -> None:
    """Have ``backend`` compute all deformable convolutions of ``model``.

    Raises:
        InputError: it is not one of DEFORM_BACKENDS.
    """
    if backend not in DEFORM_BACKENDS:
        raise InputError(f"expected --deform one of {', '.join(DEFORM_BACKENDS)}, got {backend!r}")
    for module in model.modules():
        if isinstance(module, DeformConv2d):
            module.backend = backend
