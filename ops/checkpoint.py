"""Checkpoint files: safe reads, atomic writes, and the published reference's parameter names.

A checkpoint of this project is ``{'state_dict', 'arch', 'epoch', 'best_prec1', 'config', ...}``. One of the
reference has other parameter names and biases in front of BatchNorms; it is converted, exactly, when it is read.
"""

import os
import re
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ops.errors import InputError


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The contents of a checkpoint file, on the CPU; nothing in it is executed (``weights_only``)."""
    path = Path(path)
    if not os.path.isfile(path):
        got = "a folder" if os.path.isdir(path) else "nothing there"
        raise InputError(f"{path}: expected a checkpoint file, got {got}")
    try:
        _check_sums(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a file of a stranger fails in any way it likes
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(f"{path}: expected a checkpoint written by torch.save, got: {reason[0]}") from None
    if not isinstance(content, Mapping):
        raise InputError(f"{path}: expected a checkpoint (a dict), got {type(content).__name__}")
    return dict(content)


def _check_sums(path: Path) -> None:
    """Compare the checksums in a checkpoint, which torch.load does not look at; older forms have none."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"a damaged file, in which {damaged} does not match its checksum")


def write_checkpoint(content: Mapping[str, Any], path: Path) -> None:
    """Write a checkpoint so that ``path`` holds either the old file or the whole new one, even after a crash."""
    temporary = _temporary(path)
    try:
        # Left by a crash, it may be another name of a whole checkpoint: removed, never written into.
        temporary.unlink(missing_ok=True)
        with temporary.open("xb") as file:
            torch.save(dict(content), file)
            file.flush()
            os.fsync(file.fileno())
        _move(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError | RuntimeError):
            raise InputError(f"{path}: expected to write a checkpoint, got {_cause(error)}") from None
        raise


def give_name(source: Path, path: Path) -> None:
    """Make ``path`` a second name of a whole file, at once; a copy where the file system has no hard links."""
    if path.exists() and path.samefile(source):
        return
    temporary = _temporary(path)
    try:
        temporary.unlink(missing_ok=True)
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        _move(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError(f"{path}: expected to write a checkpoint, got {error}") from None


def remove_temporaries(folder: Path) -> None:
    """Remove what writing left when it was killed."""
    for path in folder.glob(".*.pth.tar.tmp"):
        path.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")


def _move(temporary: Path, path: Path) -> None:
    """Replace ``path``, and put the folder's new entry on the disk too."""
    os.replace(temporary, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _cause(error: BaseException) -> BaseException:
    """What went wrong first: torch.save reports a failed write as a failure of its own."""
    while isinstance(error, RuntimeError) and error.__context__ is not None:
        error = error.__context__
    return error


def load_state_dict(content: Mapping[str, Any], name: str) -> dict[str, Tensor]:
    """The weights of a checkpoint, bare or under ``state_dict``, without ``module.`` prefixes; errors name ``name``."""
    state = content.get("state_dict", content)
    if not isinstance(state, Mapping) or not state or not all(map(_is_plain_tensor, state.values())):
        raise InputError(f"{name}: expected a checkpoint's state_dict of named tensors, got something else")
    return {str(k).removeprefix("module."): v for k, v in state.items()}


def _is_plain_tensor(value: object) -> bool:
    """Neither sparse nor quantised nor without numbers: one number for each place."""
    if not isinstance(value, Tensor):
        return False
    return value.layout == torch.strided and not value.is_quantized and value.device.type == "cpu"


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


def model_weights(content: Mapping[str, Any], name: str) -> dict[str, Tensor]:
    """The weights of a checkpoint of this project or of the reference, under this project's names."""
    state = load_state_dict(content, name)
    try:
        return convert_reference(state).state_dict if is_reference(state) else state
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


@dataclass(frozen=True)
class KeyReport:
    """How weights fit a model; ``misshapen`` says both shapes."""

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.misshapen)

    def __str__(self) -> str:
        parts = [f"{len(keys)} {kind}: {_some(keys)}" for kind, keys in vars(self).items() if keys]
        return "; ".join(parts)


def _some(keys: tuple[str, ...], most: int = 8) -> str:
    return ", ".join(keys[:most]) + (", ..." if len(keys) > most else "")


def compare_keys(model: nn.Module, weights: Mapping[str, Tensor]) -> KeyReport:
    """Names and shapes of ``weights`` against the model's."""
    own = model.state_dict()
    counters = {k for k in own if k.endswith("num_batches_tracked")}
    return KeyReport(
        missing=tuple(sorted(own.keys() - weights.keys() - counters)),
        unexpected=tuple(sorted(weights.keys() - own.keys())),
        misshapen=tuple(
            f"{k} expected {tuple(own[k].shape)} got {tuple(weights[k].shape)}"
            for k in sorted(own.keys() & weights.keys())
            if own[k].shape != weights[k].shape
        ),
    )


def load_weights(model: nn.Module, source: str | Path | Mapping[str, Any], name: str = "checkpoint") -> dict[str, Any]:
    """Fill a model from a checkpoint and return what else it holds.

    Args:
        source: a file, or what ``read_checkpoint`` returned of one.
        name: what errors call it where ``source`` is no file.

    Raises:
        InputError: the file cannot be read, or names or shapes differ; nothing has been loaded then.
    """
    if isinstance(source, Mapping):
        where, content = name, source
    else:
        where, content = str(source), read_checkpoint(source)
    weights = model_weights(content, where)
    report = compare_keys(model, weights)
    if report:
        arch, saved = getattr(model, "arch", None), content.get("arch")
        other = f" (the checkpoint is of {saved}, the model is {arch})" if arch and saved and arch != saved else ""
        raise InputError(f"{where}: expected the weights of this model{other}, got {report}")
    model.load_state_dict(weights, strict=False)  # strict but for counters of batches, which old files lack
    return {k: v for k, v in content.items() if k != "state_dict"} if "state_dict" in content else {}


def tune_from(model: nn.Module, source: str | Path) -> list[str]:
    """Fill all but a head of another size; returns the names of the parameters left as they were.

    Raises:
        InputError: anything but the head differs.
    """
    weights = model_weights(read_checkpoint(source), str(source))
    own = model.state_dict()
    head = [k for k in own if k.startswith("head.")]
    left_out = [k for k in head if k not in weights or weights[k].shape != own[k].shape]
    if left_out:
        left_out = head  # a head's bias means nothing without its weight
    weights = {k: v for k, v in weights.items() if k not in head or not left_out}
    report = compare_keys(model, weights | {k: own[k] for k in left_out})
    if report:
        raise InputError(f"{source}: expected all weights but the head to fit this model, got {report}")
    model.load_state_dict(weights, strict=False)
    return left_out
