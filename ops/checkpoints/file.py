"""Checkpoint files: safe reads and atomic writes.

A checkpoint of this project is ``{'state_dict', 'arch', 'epoch', 'best_prec1', 'config', ...}``. Safetensors and
folders of them are read like files of torch.save.
"""

import hashlib
import io
import os
import re
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch

from ops.checkpoints.admitted import ADMITTED, plain
from ops.checkpoints.pretrained_folder import find_weights, read_config
from ops.checkpoints.safetensors_file import dump_safetensors, is_safetensors, parse_safetensors
from ops.runtime import InputError, distributed, exchange, replacing, temporary_path, write_atomically


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
    data = exchange.bytes_from(0, read)
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
    with replacing(path, "checkpoint") as temporary, temporary.open("xb") as file:
        try:
            torch.save(dict(content), file)
        except RuntimeError as error:
            raise InputError(f"{path}: expected to write a checkpoint, got {_cause(error)}") from None


def give_name(source: Path, path: Path) -> None:
    """Make ``path`` a second name of a whole file, at once; a copy where the file system has no hard links."""
    if path.exists() and path.samefile(source):
        return
    with replacing(path, "checkpoint") as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)


def remove_temporaries(folder: Path) -> None:
    """Remove what writing left when it was killed."""
    for path in folder.glob(temporary_path(Path("*.pth.tar")).name):
        path.unlink(missing_ok=True)


def _cause(error: BaseException) -> str:
    """What went wrong first: torch.save reports a failed write as a failure of its own."""
    while isinstance(error, RuntimeError) and error.__context__ is not None:
        error = error.__context__
    return getattr(error, "strerror", None) or str(error)
