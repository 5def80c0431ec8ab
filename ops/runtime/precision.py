"""Automatic mixed precision: bf16 or fp16 autocast, and loss scaling for fp16."""

from contextlib import AbstractContextManager, nullcontext

import torch

_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device, amp: str | None) -> AbstractContextManager:
    """Autocast to the type that ``amp`` names, or nothing."""
    return nullcontext() if amp is None else torch.autocast(device.type, dtype=_TYPES[amp])


def grad_scaler(device: torch.device, amp: str | None) -> torch.amp.GradScaler:
    """Scales the loss where gradients would underflow (fp16); elsewhere it does nothing."""
    return torch.amp.GradScaler(device.type, enabled=amp == "fp16")
