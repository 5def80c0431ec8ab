"""Weights of the published reference under this project's names.

The reference has other parameter names, convolutions that nothing uses, and biases in front of BatchNorms, which
cancel there: what is left out or folded changes no result.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ops.runtime import InputError


@dataclass(frozen=True)
class Conversion:
    """Weights under this project's names, and what became of the reference's.

    Args:
        state_dict: the weights.
        folded: biases subtracted from the running mean of the BatchNorm behind them.
        dropped: parameters that have no effect in the reference.
    """

    state_dict: dict[str, Tensor]
    folded: tuple[str, ...]
    dropped: tuple[str, ...]


def is_reference(state: Mapping[str, Tensor]) -> bool:
    """Whether weights carry the published reference's names."""
    return any(name.startswith("base_model.") for name in state)


_UNUSED = re.compile(r"base_model\.(conv1_temp|conv1_5)\.")
_CANCELLING = ("base_model.conv_1.bias", "base_model.conv_2.bias")
# Convolutions of the reference and the BatchNorm that follows each, as endings of their names.
_BATCH_NORM_OF = (
    (r"(motion_layer\.)conv_down", r"\1bn1"),
    (r"(motion_layer\.)conv1", r"\1bn3"),
    (r"(motion_layer\.)time_conv", r"\1bn_t"),
    (r"(motion_layer\.)conv", r"\1bn2"),
    (r"((?:downsample|conv_diff_[12])\.)0", r"\g<1>1"),
    (r"(^base_model\.)conv1", r"\1bn1"),
    (r"(layer\d(?:_bak)?\.\d+\.)conv([123])", r"\1bn\2"),
)
_RENAMED = (
    (r"^base_model\.fc\.|^new_fc\.", "head."),
    (r"^base_model\.resnext_layer1\.", "backbone.layer1_diff."),
    (r"^base_model\.layer(\d)_bak\.", r"backbone.layer\1."),
    (r"^base_model\.conv_diff_1\.0\.", "backbone.stpme.short_conv."),
    (r"^base_model\.conv_diff_1\.1\.", "backbone.stpme.short_bn."),
    (r"^base_model\.conv_diff_2\.0\.", "backbone.stpme.middle_conv."),
    (r"^base_model\.conv_diff_2\.1\.", "backbone.stpme.middle_bn."),
    (r"^base_model\.conv_1\.", "backbone.stpme.embed."),
    (r"^base_model\.conv_2\.", "backbone.stpme.long_conv."),
    (r"^base_model\.", "backbone."),
    (r"\.shift\.conv\.", ".motion.shift."),
    (r"\.motion_layer\.", ".motion.dsme."),
    (r"\.dsme\.conv_down\.", ".dsme.reduce."),
    (r"\.dsme\.bn1\.", ".dsme.reduce_bn."),
    (r"\.dsme\.motion_offset\.", ".dsme.align3."),
    (r"\.dsme\.motion_offset_7\.", ".dsme.align5."),
    (r"\.conv_offset\.", ".offset."),
    (r"\.dsme\.conv1\.", ".dsme.pooled."),
    (r"\.dsme\.bn3\.", ".dsme.pooled_bn."),
    (r"\.dsme\.time_conv\.", ".dsme.temporal."),
    (r"\.dsme\.bn_t\.", ".dsme.temporal_bn."),
    (r"\.dsme\.conv\.", ".dsme.expand."),
    (r"\.dsme\.bn2\.", ".dsme.expand_bn."),
)


def convert_reference(state: Mapping[str, Tensor]) -> Conversion:
    """Translate the reference's weights: exact, since what is left out cancels or is never used.

    A bias b in front of a BatchNorm is folded into its running mean (mean - b).
    """
    kept = dict(state)
    folded, dropped = [], []
    for name in state:
        if _UNUSED.match(name) or name in _CANCELLING:
            dropped.append(name)
            del kept[name]
        elif name.endswith(".bias") and (bn := _batch_norm_behind(name.removesuffix(".bias"))) is not None:
            if f"{bn}.running_mean" not in kept:
                raise InputError(f"expected {bn}.running_mean for {name}, got no such key")
            mean, bias = kept[f"{bn}.running_mean"], kept.pop(name)
            if mean.shape != bias.shape or not (mean.is_floating_point() and bias.is_floating_point()):
                raise InputError(f"expected {name} like {bn}.running_mean, {_kind(mean)}, got {_kind(bias)}")
            kept[f"{bn}.running_mean"] = mean - bias
            folded.append(name)
    return Conversion({_rename(k): v for k, v in kept.items()}, tuple(folded), tuple(dropped))


def _kind(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


def _batch_norm_behind(conv: str) -> str | None:
    for pattern, replacement in _BATCH_NORM_OF:
        if re.search(pattern + "$", conv):
            return re.sub(pattern + "$", replacement, conv)
    return None


def _rename(name: str) -> str:
    for pattern, replacement in _RENAMED:
        name = re.sub(pattern, replacement, name)
    return name
