"""The settings of main.py with what a checkpoint knows in place of their defaults."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ops.checkpoints import describe, read_shared_checkpoint
from ops.evaluation import DEFAULTS, WITH_STEM, Resolved, about_data, resolve
from ops.models import published_motion_weight
from ops.runtime import distributed, exchange, get_logger
from ops.settings import TrainConfig

_OF_NETWORK = ("network", "arch", "num_segments", "motion", "motion_window", "motion_weight")
_OF_VIEWS = ("input_size", "dense_sample")


def with_named(config: TrainConfig) -> tuple[TrainConfig, tuple[str, ...]]:
    """``with_checkpoint`` of the one that the command line names; the published motion weight where it names none."""
    path = config.named_checkpoint
    # --keep may have removed it meanwhile.
    if path is None or (distributed.is_restart() and not exchange.on_main(path.exists)):
        model = config.model
        if model.motion_weight is None and model.network in WITH_STEM:
            model = replace(model, motion_weight=published_motion_weight(model.num_segments))
        return replace(config, model=model), ()
    return with_checkpoint(config, path, read_shared_checkpoint(path))


def with_checkpoint(config: TrainConfig, path: Path, content: Mapping[str, Any]) -> tuple[TrainConfig, tuple[str, ...]]:
    """The settings with what a checkpoint of this content says where the command line does not.

    Returns them and what contradicts the checkpoint, in words.

    Raises:
        InputError: its weights do not fit what the command line asks for.
    """
    found = describe(content, path)
    values = {name: (f"model.{name}", getattr(config.model, name)) for name in _OF_NETWORK}
    values |= {name: (name, getattr(config, name)) for name in _OF_VIEWS}
    defaults = {**DEFAULTS, **{name: value for name, (_, value) in values.items() if value is not None}}
    given = {name: value for name, (option, value) in values.items() if value is not None and config.was_given(option)}
    resolved = resolve(given, found, path, {k: v for k, v in defaults.items() if k != "motion_weight"})
    if resolved.guesses:
        get_logger().info("%s: taken from the file's name: %s", path, ", ".join(resolved.guesses))
    return _replaced(config, resolved), (
        *resolved.contradictions,
        *(about_data(config.dataset, found) if config.evaluate else ()),
    )


def _replaced(config: TrainConfig, resolved: Resolved) -> TrainConfig:
    of_network = {name: getattr(resolved, name) for name in _OF_NETWORK}
    return replace(
        config,
        model=replace(config.model, **of_network),
        **{name: getattr(resolved, name) for name in _OF_VIEWS},
    )


def warn(path: object, remarks: Sequence[str]) -> None:
    """Say what is not as in training."""
    for remark in remarks:
        get_logger().warning("%s: %s", path, remark)
