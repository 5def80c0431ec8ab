"""The networks of a test: each built as its checkpoint and the command line say, and filled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ops.checkpoints import Description, describe, load_weights, read_hashed_checkpoint, with_weights
from ops.data import DatasetSpec
from ops.evaluation.checkpoint_options import Resolved, about_data, resolve
from ops.evaluation.measurement import Checkpoint
from ops.models import Recognizer, build_model, fuse_for_inference, use_deform_backend
from ops.runtime import InputError, get_logger
from ops.settings import TestConfig, TestModel


class Weights(NamedTuple):
    """A checkpoint, before its network is built: its contents, what it says of itself, and which weights are meant."""

    path: Path
    content: Mapping[str, Any]
    found: Description
    sha256: str
    kind: str


@dataclass(frozen=True)
class Tested:
    """A network that is tested, the file it is of, and what is to stand beside its accuracy."""

    network: Recognizer
    checkpoint: Checkpoint
    remarks: tuple[str, ...]


def read_weights(path: Path, kind: str = "raw") -> Weights:
    """Read a checkpoint, for its weights of that kind.

    Raises:
        InputError: it cannot be read, or holds none of that kind, or weights that are not of a network that is here.
    """
    content, sha256 = read_hashed_checkpoint(path)
    content = with_weights(content, kind, path)
    return Weights(path, content, describe(content, path), sha256, kind)


def load_networks(
    config: TestConfig, weights: Sequence[Weights], device: torch.device
) -> tuple[TestConfig, list[Tested]]:
    """The networks of --weights, and the settings with what their checkpoints say in them.

    Raises:
        InputError: a checkpoint does not fit, or nobody says what is needed.
    """
    tested, resolved = [], []
    for model, each in zip(config.models, weights, strict=True):
        opened = build_network(
            each, _given(config, model), device, config.data.num_classes, config.compile, deform=config.deform
        )
        config = replace(config, dataset=_named(config.data, opened.found))
        remarks = (*opened.settings.contradictions, *about_data(config.data, opened.found))
        announce(model.weights, opened.settings, remarks)
        tested.append(Tested(opened.network, opened.checkpoint, remarks))
        resolved.append(opened.settings)
    return _settled(config, resolved), tested


@dataclass(frozen=True)
class Opened:
    """A network that is filled, in evaluation mode, and what its checkpoint said."""

    network: Recognizer
    settings: Resolved
    found: Description
    checkpoint: Checkpoint


def open_network(
    path: Path,
    given: Mapping[str, Any],
    device: torch.device,
    compiled: bool = False,
    fused: bool = True,
    deform: str = "auto",
    weights_kind: str = "raw",
) -> Opened:
    """``build_network`` of a file, with the classes of its head."""
    return build_network(read_weights(path, weights_kind), given, device, compiled=compiled, fused=fused, deform=deform)


def build_network(
    weights: Weights,
    given: Mapping[str, Any],
    device: torch.device,
    num_classes: int | None = None,
    compiled: bool = False,
    fused: bool = True,
    deform: str = "auto",
) -> Opened:
    """The network of a checkpoint, ready to score clips.

    Args:
        given: settings that come before what the checkpoint says, by name.
        num_classes: of the data; None for those of its head.
        compiled: whether torch.compile compiles it.
        fused: whether BatchNorms are folded into convolutions: faster, but convolutions then give what BatchNorms gave.
        deform: what computes deformable convolutions (--deform).

    Raises:
        InputError: it does not fit, or nobody says what is needed.
    """
    path, content, found, digest, kind = weights
    settings = resolve(given, found, path)
    num_classes = num_classes or found.num_classes
    if num_classes is None:
        raise InputError(f"{path}: expected weights with a classification layer, got none")
    network = build_model(
        settings.arch,
        num_classes,
        settings.num_segments,
        model=settings.network,
        motion=settings.motion,
        motion_window=settings.motion_window,
        motion_weight=settings.motion_weight,
    )
    load_weights(network, content, str(path))
    network = (fuse_for_inference(network) if fused else network.eval()).to(device)
    use_deform_backend(network, deform)
    if compiled:
        network.compile()
    epoch = content.get("epoch")
    checkpoint = Checkpoint(path.name, epoch if isinstance(epoch, int) else None, digest, kind)
    return Opened(network, settings, found, checkpoint)


def _given(config: TestConfig, model: TestModel) -> dict[str, Any]:
    """What the command line says of a network."""
    said: dict[str, Any] = {
        "network": model.network,
        "arch": model.arch,
        "num_segments": model.num_segments,
        "motion": config.motion,
    }
    said |= {"motion_window": config.motion_window, "motion_weight": config.motion_weight}
    said |= {name: getattr(config, name) for name in ("input_size", "dense_sample") if config.was_given(name)}
    return {name: value for name, value in said.items() if value is not None}


def _named(dataset: DatasetSpec, found: Description) -> DatasetSpec:
    """The data set, with the class names of training where it has none of its own."""
    fits = not dataset.class_names and len(found.class_names) == dataset.num_classes
    return replace(dataset, class_names=found.class_names) if fits else dataset


def announce(file: object, settings: Resolved, remarks: Sequence[str]) -> None:
    """Say what is guessed, and warn of what is not as in training."""
    if settings.guesses:
        get_logger().info("%s: taken from the file's name: %s", file, ", ".join(settings.guesses))
    for remark in remarks:
        get_logger().warning("%s: %s", file, remark)


def _settled(config: TestConfig, resolved: Sequence[Resolved]) -> TestConfig:
    """The settings with what was found out; the views are of one kind for all networks."""
    views = {}
    for name in ("input_size", "dense_sample"):
        values = sorted({getattr(settings, name) for settings in resolved})
        if len(values) > 1:
            several = " and ".join(map(str, values))
            raise InputError(f"expected --{name}, as the checkpoints of --weights say different ones, got {several}")
        views[name] = values[0]
    return replace(
        config,
        archs=tuple(settings.arch for settings in resolved),
        test_segments=tuple(settings.num_segments for settings in resolved),
        **views,
    )
