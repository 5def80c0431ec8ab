"""Checkpoint files: safe reads, atomic writes, and filling a model.

A checkpoint of this project is ``{'state_dict', 'arch', 'epoch', 'best_prec1', 'config', ...}``. A published one is
converted, exactly, when it is read (published/). Other code saves its weights under other keys, with prefixes of its
own: those that are common are taken too. Safetensors and folders of them are read like files of torch.save.
"""

import hashlib
import io
import os
import re
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import torch
from torch import Tensor, nn

from ops.checkpoints.admitted import ADMITTED, plain
from ops.checkpoints.pretrained_folder import find_weights, read_config
from ops.checkpoints.published.recognition import convert_reference, is_reference
from ops.checkpoints.safetensors_file import dump_safetensors, is_safetensors, parse_safetensors
from ops.checkpoints.weights_of import weights_of
from ops.runtime import InputError, distributed, exchange, move_into_place, temporary_path, write_atomically

WEIGHT_KEYS = ("state_dict", "model_state_dict", "model_state", "model")
# What DataParallel puts before all names, and torch.compile before those of what it compiled.
_WRAPPER = re.compile(r"^(?:module\.|_orig_mod\.)+|(?<=\.)_orig_mod\.")


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The contents of a checkpoint, on the CPU; nothing in it is executed (``weights_only``).

    Args:
        path: a file, a folder with ``model.safetensors``, or the name of a model on the Hugging Face hub.
    """
    weights = find_weights(path)
    with _opened(weights) as file:
        beginning = file.read(64)
    return _content(*_read_whole(path), Path(path)) if is_safetensors(beginning) else _parse(weights, Path(path))


def read_shared_checkpoint(path: str | Path) -> dict[str, Any]:
    """``read_checkpoint`` of a file of the first process, which sends it to all others; every process calls it."""
    return read_checkpoint(path) if distributed.world_size() == 1 else read_hashed_checkpoint(path)[0]


def read_hashed_checkpoint(path: str | Path) -> tuple[dict[str, Any], str]:
    """``read_checkpoint``, and the SHA-256 (first 16 digits) of the file of weights, of one reading of it.

    Of several processes, the first reads it and sends it to the others; every process calls it.
    """
    read, said = exchange.on_main_only(lambda: _read_whole(path)) or (None, None)
    data = exchange.bytes_from_main(read)
    return _content(data, exchange.from_main(said), Path(path)), hashlib.sha256(data).hexdigest()[:16]


def _read_whole(path: str | Path) -> tuple[bytes, dict[str, Any]]:
    """A file of weights, and what the folder that was named in its place says besides."""
    weights = find_weights(path)
    with _opened(weights) as file:
        return file.read(), read_config(weights.parent) if weights != Path(path) else {}


def _content(data: bytes | memoryview, said: dict[str, Any], path: Path) -> dict[str, Any]:
    content = parse_safetensors(bytes(data), path) if is_safetensors(data) else _parse(io.BytesIO(data), path)
    return content | said


def _opened(weights: Path) -> BinaryIO:
    try:
        return weights.open("rb")
    except OSError as error:
        raise InputError(f"{weights}: expected a checkpoint file, got {error.strerror or error}") from None


def _parse(file: Path | BinaryIO, path: Path) -> dict[str, Any]:
    try:
        _check_sums(file)
        with torch.serialization.safe_globals(ADMITTED):
            content = plain(torch.load(file, map_location="cpu", weights_only=True))
    except Exception as error:  # a file of a stranger fails in any way it likes
        raise InputError(f"{path}: {_what_is_wrong(error)}") from None
    if not isinstance(content, Mapping):
        raise InputError(f"{path}: expected a checkpoint (a dict), got {type(content).__name__}")
    return dict(content)


def _what_is_wrong(error: Exception) -> str:
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()  # without the colours that torch gives it
    named = re.search(r"(?:GLOBAL|class|type) ([\w.]+\.\w+)", text)
    if "WeightsUnpickler error" in text and named:
        return (
            f"expected a checkpoint of tensors and plain data, got an object of {named[1]}, which only its own code "
            f"can read; if you trust the file, load it there with torch.load(FILE, weights_only=False) and save its "
            f"weights alone: torch.save({{'state_dict': model.state_dict()}}, FILE)"
        )
    reason = text.rpartition("WeightsUnpickler error:")[2].strip().splitlines() or [type(error).__name__]
    return f"expected a checkpoint written by torch.save, got: {reason[0]}"


def _check_sums(file: Path | BinaryIO) -> None:
    """Compare the checksums in a checkpoint, which torch.load does not look at; older forms have none."""
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"a damaged file, in which {damaged} does not match its checksum")
    if not isinstance(file, Path):
        file.seek(0)


def write_checkpoint(content: Mapping[str, Any], path: Path) -> None:
    """Write a checkpoint so that ``path`` holds either the old file or the whole new one, even after a crash.

    With the ending ``.safetensors`` it has that form.
    """
    if path.suffix == ".safetensors":
        write_atomically(path, dump_safetensors(content))
        return
    temporary = temporary_path(path)
    try:
        # Left by a crash, it may be another name of a whole checkpoint: removed, never written into.
        temporary.unlink(missing_ok=True)
        with temporary.open("xb") as file:
            torch.save(dict(content), file)
            file.flush()
            os.fsync(file.fileno())
        move_into_place(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError | RuntimeError):
            raise InputError(f"{path}: expected to write a checkpoint, got {_cause(error)}") from None
        raise


def give_name(source: Path, path: Path) -> None:
    """Make ``path`` a second name of a whole file, at once; a copy where the file system has no hard links."""
    if path.exists() and path.samefile(source):
        return
    temporary = temporary_path(path)
    try:
        temporary.unlink(missing_ok=True)
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        move_into_place(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError(f"{path}: expected to write a checkpoint, got {error}") from None


def remove_temporaries(folder: Path) -> None:
    """Remove what writing left when it was killed."""
    for path in folder.glob(temporary_path(Path("*.pth.tar")).name):
        path.unlink(missing_ok=True)


def _cause(error: BaseException) -> BaseException:
    """What went wrong first: torch.save reports a failed write as a failure of its own."""
    while isinstance(error, RuntimeError) and error.__context__ is not None:
        error = error.__context__
    return error


def load_state_dict(content: Mapping[str, Any], name: str) -> dict[str, Tensor]:
    """The weights of a checkpoint, bare or under one of WEIGHT_KEYS, without the prefixes of wrappers.

    Args:
        name: what errors call it.
    """
    key = _weight_key(content)
    state = content if key is None else content[key]
    if not isinstance(state, Mapping) or not state or not all(map(_is_plain_tensor, state.values())):
        raise InputError(f"{name}: expected a checkpoint's state_dict of named tensors, got something else")
    weights = {_WRAPPER.sub("", str(k)): v for k, v in state.items()}
    if len(weights) < len(state):
        raise InputError(f"{name}: expected each weight once, got some with and without the prefix of a wrapper")
    return weights


def _weight_key(content: Mapping[str, Any]) -> str | None:
    """Where a checkpoint has its weights; None where it consists of them."""
    if WEIGHT_KEYS[0] in content:
        return WEIGHT_KEYS[0]
    return next((key for key in WEIGHT_KEYS if isinstance(content.get(key), Mapping)), None)


def _is_plain_tensor(value: object) -> bool:
    """Neither sparse nor quantised nor without numbers: one number for each place."""
    if not isinstance(value, Tensor):
        return False
    return value.layout == torch.strided and not value.is_quantized and value.device.type == "cpu"


def model_weights(content: Mapping[str, Any], name: str) -> dict[str, Tensor]:
    """The weights of a checkpoint of this project or of a published one, under this project's names."""
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


def _refuse(where: str, expected: str, model: nn.Module, weights: Mapping[str, Tensor], report: KeyReport) -> NoReturn:
    """Say which networks weights were expected of and are of; name by name where that is the same or not to be seen."""
    wanted, found = weights_of(model.state_dict()), weights_of(weights)
    if found.network is None or found.arch is None or str(wanted) == str(found):
        raise InputError(f"{where}: expected {expected}, got {report}")
    raise InputError(f"{where}: expected the weights of {wanted}, got those of {found}")


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
        _refuse(where, "the weights of this model", model, weights, report)
    model.load_state_dict(weights, strict=False)  # strict but for counters of batches, which old files lack
    key = _weight_key(content)
    return {} if key is None else {k: v for k, v in content.items() if k != key}


def tune_from(model: nn.Module, source: str | Path | Mapping[str, Any], name: str = "checkpoint") -> list[str]:
    """Fill all but a head of another size; returns the names of the parameters left as they were.

    Args:
        source: a file, or what ``read_checkpoint`` returned of one.
        name: what errors call it where ``source`` is no file.

    Raises:
        InputError: anything but the head differs.
    """
    where, content = (name, source) if isinstance(source, Mapping) else (str(source), read_checkpoint(source))
    weights = model_weights(content, where)
    own = model.state_dict()
    head = [k for k in own if k.startswith("head.")]
    left_out = [k for k in head if k not in weights or weights[k].shape != own[k].shape]
    if left_out:
        left_out = head  # a head's bias means nothing without its weight
    weights = {k: v for k, v in weights.items() if k not in head or not left_out}
    complete = weights | {k: own[k] for k in left_out}
    report = compare_keys(model, complete)
    if report:
        _refuse(where, "all weights except the head's to fit this model", model, complete, report)
    model.load_state_dict(weights, strict=False)
    return left_out
