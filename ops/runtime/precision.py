"""Precision: TF32 on GPUs; bf16 or fp16 autocast, and loss scaling for fp16."""

from contextlib import AbstractContextManager, nullcontext

import torch

_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def use_fast_products(device: torch.device, exact: bool, same_shapes: bool = False) -> None:
    """Let a GPU compute 32-bit products and convolutions in TF32, unless they are to be exact; CPUs stay exact.

    Args:
        same_shapes: the network will see many batches of one shape: cuDNN tries which of its algorithms is fastest.
    """
    if device.type == "cuda":
        torch.set_float32_matmul_precision("highest" if exact else "high")
        torch.backends.cudnn.allow_tf32 = not exact
        torch.backends.cudnn.benchmark = same_shapes and not exact


def autocast(device: torch.device, amp: str | None) -> AbstractContextManager:
    """Autocast to the type that ``amp`` names, or nothing."""
    return nullcontext() if amp is None else torch.autocast(device.type, dtype=_TYPES[amp])


def narrow_type(device: torch.device) -> torch.dtype | None:
    """The type in which autocast multiplies, if it is on."""
    kind = device.type
    is_on = kind != "meta" and torch.is_autocast_enabled(kind)  # autocast does not know of meta
    return torch.get_autocast_dtype(kind) if is_on else None


def grad_scaler(device: torch.device, amp: str | None) -> torch.amp.GradScaler:
    """Scales the loss where gradients would underflow (fp16); elsewhere it does nothing."""
    return torch.amp.GradScaler(device.type, enabled=amp == "fp16")
