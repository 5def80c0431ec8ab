"""Where a checkpoint's weights lie: in the file that is named, in a folder, or in one of the Hugging Face hub.

A folder, like those of Hugging Face libraries, holds ``model.safetensors`` and, in ``config.json``, what the weights do
not say. A name of the hub is ``owner/name`` or ``owner/name@revision``; its files are downloaded once.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ops.runtime import InputError

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
# What takes the place of ``class_names`` there, and what ``config`` is called.
LABELS, RECIPE = "id2label", "recipe"
PATIENCE = 10.0  # seconds for the hub to answer
_HUB_NAME = re.compile(r"([\w][\w.-]*/[\w][\w.-]*?)(?:@([\w][\w./-]*))?")
_FILE_ENDINGS = (".pth", ".pt", ".tar", ".ckpt", ".bin", ".safetensors", ".onnx")


def find_weights(name: str | Path) -> Path:
    """The file of the weights that a path or a name of the hub means.

    Raises:
        InputError: there is none.
    """
    path = Path(name)
    if path.suffix == ".onnx":
        raise InputError(f"{path}: expected a checkpoint, got an ONNX file, which predict.py alone reads")
    if path.is_file():
        return path
    if path.is_dir():
        if not (path / WEIGHTS).is_file():
            raise InputError(f"{path}: expected a checkpoint file or a folder with {WEIGHTS}, got a folder without it")
        return path / WEIGHTS
    named = _HUB_NAME.fullmatch(str(name))
    if named is None or str(name).endswith(_FILE_ENDINGS) or path.parent.is_dir():
        raise InputError(f"{path}: expected a checkpoint file, got nothing there")
    return _download(str(name), named[1], named[2])


def _download(name: str, repository: str, revision: str | None) -> Path:
    """The weights of a model on the hub, of its cache where the hub does not answer.

    Raises:
        InputError: neither has them, or the hub's client is not installed.
    """
    expected = f"{name}: expected a checkpoint file, a folder, or the name of a model on the Hugging Face hub"
    try:
        from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    except ImportError:
        raise InputError(
            f"{expected}, got nothing there; to download models, install huggingface_hub: pip install huggingface_hub"
        ) from None
    reason = ""
    try:  # once; the download itself would try for half a minute
        get_hf_file_metadata(hf_hub_url(repository, CONFIG, revision=revision), timeout=PATIENCE)
    except Exception as error:  # of the network or of the hub
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
    try:
        _, weights = (
            hf_hub_download(repository, file, revision=revision, local_files_only=bool(reason))
            for file in (CONFIG, WEIGHTS)
        )
    except Exception as error:  # of the disk, too
        reason = reason or (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise InputError(f"{expected}, got nothing there, and from the hub: {reason}") from None
    return Path(weights)


def read_config(folder: Path) -> dict[str, Any]:
    """What the ``config.json`` of a folder says, as a checkpoint does; nothing where there is none.

    Raises:
        InputError: it is no JSON object.
    """
    path = folder / CONFIG
    if not path.is_file():
        return {}
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(config, Mapping):
            raise ValueError(f"expected an object, got {type(config).__name__}")
        labels = config.get(LABELS) or {}
        names = [str(labels[label]) for label in sorted(labels, key=int)]
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: expected what export.py writes, got {error}") from None
    about = {key: value for key, value in config.items() if key not in (LABELS, RECIPE)}
    rest = {key: config[key] for key in ("epoch", "best_prec1") if key in config}
    return {"about": {**about, "class_names": names}, "config": config.get(RECIPE), **rest}


def config_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse, for a checkpoint with ``about``: in the words of Hugging Face where those have a word."""
    about = dict(content["about"])
    names = about.pop("class_names")
    labels = {
        LABELS: {str(label): name for label, name in enumerate(names)},
        "label2id": {name: label for label, name in enumerate(names)},
    }
    rest = {key: content[key] for key in ("epoch", "best_prec1") if content.get(key) is not None}
    recipe = {RECIPE: content["config"]} if content.get("config") else {}
    model_type = {"model_type": about["network"], "architectures": ["Recognizer"]}
    return {**model_type, **about, **(labels if names else {}), **rest, **recipe}
