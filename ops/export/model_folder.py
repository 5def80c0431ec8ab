"""A network as a folder in the form of Hugging Face: config.json, model.safetensors and a model card."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ops.checkpoints import CONFIG, WEIGHTS, config_of, model_weights, write_checkpoint
from ops.export.model_card import Measured, model_card
from ops.runtime import InputError, write_atomically


def write_folder(
    content: Mapping[str, Any], about: Mapping[str, Any], folder: Path, results: Sequence[Measured], half: bool
) -> None:
    """Write a checkpoint as a folder, which must not exist.

    Args:
        content: the checkpoint.
        about: what the folder says of it.
        results: accuracies for the model card besides the one that the checkpoint says.
        half: whether weights are stored as 16-bit numbers.
    """
    folder.mkdir()
    state = model_weights(content, str(folder))
    if half:
        state = {name: weight.half() if weight.is_floating_point() else weight for name, weight in state.items()}
    kept = {"about": about, "epoch": _number(content.get("epoch")), "best_prec1": _number(content.get("best_prec1"))}
    kept["config"] = _recipe(content.get("config"))
    write_checkpoint({"state_dict": state, **kept}, folder / WEIGHTS)
    config = {**config_of(kept), "torch_dtype": "float16" if half else "float32"}
    write_atomically(folder / CONFIG, (json.dumps(config, indent=2, ensure_ascii=False) + "\n").encode())
    write_atomically(folder / "README.md", model_card(folder.name, about, results).encode())


def _number(value: Any) -> Any:
    """A number that may have been saved as a tensor."""
    value = value.item() if hasattr(value, "item") else value
    return value if isinstance(value, int | float) else None


def _recipe(config: Any) -> dict[str, Any]:
    """The settings of main.py without what is of one machine: folders, lists, files of options."""
    if not isinstance(config, Mapping):
        return {}
    ours = {"dataset", "read_from", "root_log", "root_model", "tune_from", "resume", "gpus", "workers"}
    return json.loads(json.dumps({key: value for key, value in config.items() if key not in ours}, default=str))


def read_results(paths: Sequence[Path]) -> list[Measured]:
    """Accuracies of results.json of pkl_to_results.py.

    Raises:
        InputError: a file is none.
    """
    found = []
    for path in paths:
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            top5 = None if said["top5"] is None else float(said["top5"])
            found.append(Measured(float(said["top1"]), top5, str(said["protocol"])))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: expected results.json of pkl_to_results.py, got {error!r}") from None
    return found
