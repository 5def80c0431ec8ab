"""Parameter groups and the optimiser: every parameter is in exactly one group, once."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def parameter_groups(model: nn.Module, kind: str, weight_decay: float) -> list[dict[str, Any]]:
    """Optimiser groups with ``lr_mult``, the factor of each group on the scheduled learning rate.

    Args:
        kind: ``single``: one rate and one decay for all. ``tsn``, the groups of Wang et al., ECCV 2016: biases at twice
            the rate and without decay, BatchNorm without decay, the head at five times the rate.
    """
    if kind == "single":
        return [{"name": "all", "params": list(model.parameters()), "lr_mult": 1.0, "weight_decay": weight_decay}]
    groups: dict[str, dict[str, Any]] = {
        "weight": {"lr_mult": 1.0, "weight_decay": weight_decay},
        "bias": {"lr_mult": 2.0, "weight_decay": 0.0},
        "batch_norm": {"lr_mult": 1.0, "weight_decay": 0.0},
        "head_weight": {"lr_mult": 5.0, "weight_decay": weight_decay},
        "head_bias": {"lr_mult": 10.0, "weight_decay": 0.0},
    }
    members: dict[str, list[nn.Parameter]] = {name: [] for name in groups}
    for prefix, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            kind_of = "batch_norm" if isinstance(module, _BATCH_NORMS) else "bias" if name == "bias" else "weight"
            members[f"head_{kind_of}" if prefix == "head" else kind_of].append(parameter)
    return [{"name": name, "params": members[name], **group} for name, group in groups.items() if members[name]]


def build_optimizer(model: nn.Module, kind: str, lr: float, momentum: float, weight_decay: float) -> SGD:
    """SGD with momentum over ``parameter_groups``; fused, so that ``found_inf`` can hold back a step on the device."""
    optimizer = SGD(parameter_groups(model, kind, weight_decay), lr=lr, momentum=momentum, fused=True)
    if momentum:
        for parameter in model.parameters():  # a first step that is held back would leave them undefined
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def load_optimizer(optimizer: SGD, state: dict[str, Any]) -> None:
    """Take over a saved state, but for the settings (weight decay, momentum), which the command line may change.

    Raises:
        ValueError, KeyError, RuntimeError: the state is of other parameters.
    """
    now = optimizer.state_dict()["param_groups"]
    if [len(g["params"]) for g in now] != [len(g["params"]) for g in state["param_groups"]]:
        raise ValueError(f"{len(state['param_groups'])} parameter groups of other sizes")
    optimizer.load_state_dict({**state, "param_groups": now})
    for parameter in (p for group in optimizer.param_groups for p in group["params"] if group["momentum"]):
        buffer = optimizer.state[parameter].get("momentum_buffer")
        if buffer is None:  # of a run without momentum; undefined, if the first step is held back
            buffer = torch.zeros_like(parameter)
        if not isinstance(buffer, Tensor) or buffer.shape != parameter.shape:
            raise ValueError(f"no momentum for a parameter {tuple(parameter.shape)}")
        # The fused step pairs values by where they lie in memory, which --channels_last changes.
        laid_out = torch.empty_like(parameter, requires_grad=False).copy_(buffer)
        optimizer.state[parameter]["momentum_buffer"] = laid_out


def set_learning_rate(optimizer: SGD, lr: float) -> None:
    """Give each group its multiple of ``lr``."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_mult"]


def _all_but_first_batch_norm(model: nn.Module) -> Sequence[nn.Module]:
    return [module for module in model.modules() if isinstance(module, _BATCH_NORMS)][1:]


def freeze_batch_norms(model: nn.Module) -> None:
    """Partial BatchNorm, parameters: all but the first BatchNorm keep theirs. Call before the model is wrapped."""
    for norm in _all_but_first_batch_norm(model):
        norm.requires_grad_(False)


def hold_batch_statistics(model: nn.Module) -> None:
    """Partial BatchNorm, statistics: all but the first BatchNorm keep theirs. Call after ``model.train()``."""
    for norm in _all_but_first_batch_norm(model):
        norm.eval()
