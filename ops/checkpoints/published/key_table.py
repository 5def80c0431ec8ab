"""From the parameter names of published code to this project's, by a table a network.

The published networks have parameters that nothing uses and biases in front of BatchNorms, which cancel there: what is
dropped or folded changes no result.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from ops.runtime import InputError

Names = tuple[tuple[str, str], ...]  # regular expressions and what takes the place of what they match


def nothing(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {}


@dataclass(frozen=True)
class KeyTable:
    """How a network's authors named its parameters.

    Args:
        network: its name here.
        mark: matches in a name of each of its files, and in none of another network's.
        renamed: from names there to names here, each applied to every name.
        batch_norm_of: from the end of a convolution's name to that of the BatchNorm behind it.
        dropped: matches names without effect.
        added: makes what the network has here in addition from its weights there.
    """

    network: str
    mark: str
    renamed: Names
    batch_norm_of: Names = ()
    dropped: str = r"(?!)"
    added: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] = nothing


@dataclass(frozen=True)
class Conversion:
    """Weights under this project's names, and what became of the published ones.

    Args:
        state_dict: the weights.
        folded: biases subtracted from the running mean of the BatchNorm behind them.
        dropped: parameters that have no effect in the published network.
    """

    state_dict: dict[str, Tensor]
    folded: tuple[str, ...]
    dropped: tuple[str, ...]


# Names of a ResNet: these are the same in all published networks.
RESNET_NAMES: Names = (
    (r"^base_model\.fc\.|^new_fc\.", "head."),
    (r"^base_model\.resnext_layer1\.", "backbone.layer1_diff."),
    (r"^base_model\.layer(\d)_bak\.", r"backbone.layer\1."),
    (r"^base_model\.", "backbone."),
)
RESNET_BATCH_NORMS: Names = (
    (r"(downsample\.)0", r"\g<1>1"),
    (r"(^base_model\.)conv1", r"\1bn1"),
    (r"(layer\d(?:_bak)?\.\d+\.)conv([123])", r"\1bn\2"),
)


def convert(state: Mapping[str, Tensor], table: KeyTable) -> Conversion:
    """Translate published weights: exact, since what is dropped cancels or is never used.

    A bias b in front of a BatchNorm is folded into its running mean (mean - b).

    Raises:
        InputError: a bias has no BatchNorm of its shape behind it.
    """
    kept = dict(state)
    folded, dropped = [], []
    for name in state:
        if re.match(table.dropped, name):
            dropped.append(name)
            del kept[name]
        elif name.endswith(".bias") and (bn := _replaced(name.removesuffix(".bias"), table.batch_norm_of)) is not None:
            if f"{bn}.running_mean" not in kept:
                raise InputError(f"expected {bn}.running_mean for {name}, got no such key")
            mean, bias = kept[f"{bn}.running_mean"], kept.pop(name)
            if mean.shape != bias.shape or not (mean.is_floating_point() and bias.is_floating_point()):
                raise InputError(f"expected {name} like {bn}.running_mean, {_kind(mean)}, got {_kind(bias)}")
            kept[f"{bn}.running_mean"] = mean - bias
            folded.append(name)
    kept |= table.added(kept)
    return Conversion({_rename(k, table.renamed): v for k, v in kept.items()}, tuple(folded), tuple(dropped))


def _kind(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


def _replaced(conv: str, batch_norm_of: Names) -> str | None:
    for pattern, replacement in batch_norm_of:
        if re.search(pattern + "$", conv):
            return re.sub(pattern + "$", replacement, conv)
    return None


def _rename(name: str, renamed: Names) -> str:
    for pattern, replacement in renamed:
        name = re.sub(pattern, replacement, name)
    return name
