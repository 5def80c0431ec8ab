"""One network of several checkpoints: the mean of their weights (Izmailov et al., UAI 2018).

The mean of batch statistics is not the statistics of the mean, so those are measured again on training clips.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import update_bn

from ops.checkpoints import describe, load_state_dict, read_checkpoint, with_weights, write_checkpoint
from ops.data import (
    DatasetOptions,
    DatasetSpec,
    FrameSampler,
    TrainBatchSampler,
    TrainClips,
    TrainTransform,
    VideoSource,
    flips,
    parse_augment,
    read_list,
    resolve_dataset,
    train_loader,
)
from ops.evaluation import Resolved, resolve, saved_data
from ops.models import Recognizer, build_model
from ops.runtime import InputError, plural, require
from ops.video import choose_decoder

CLIP_TIMEOUT = 300.0  # seconds


@dataclass(frozen=True)
class AverageOptions:
    """What is averaged, and on which clips batch statistics are measured.

    Args:
        checkpoints: of one network.
        out: the file to write; it must not exist yet.
        weights_kind: ``raw`` or ``ema``.
        data: what the command line says of the data set; the first checkpoint says the rest.
        num_videos: of the training list, at most, whose clips measure batch statistics.
        workers: that read them; 0 for none.
    """

    checkpoints: Sequence[Path]
    out: Path
    weights_kind: str
    data: DatasetOptions
    decoder: str
    num_videos: int
    batch_size: int
    workers: int
    seed: int

    def __post_init__(self) -> None:
        require(not self.out.exists(), "--out to name a new file", f"{self.out}, which exists")
        require(self.out.parent.is_dir(), "--out FILE in an existing folder", self.out)


def average_checkpoints(options: AverageOptions, device: torch.device) -> str:
    """Write the averaged checkpoint; returns what was done, in a line.

    Raises:
        InputError: the checkpoints are of different networks, or there are no clips.
    """
    paths = options.checkpoints
    contents = [with_weights(read_checkpoint(path), options.weights_kind, path) for path in paths]
    weights = mean_weights([load_state_dict(content, str(path)) for content, path in zip(contents, paths, strict=True)],
                           paths)  # fmt: skip
    found = describe(contents[0], paths[0])
    settings = resolve({}, found, paths[0])
    spec = resolve_dataset(_named(options.data, found.dataset), saved_data(contents[0]))
    model = build_model(
        settings.arch, spec.num_classes, settings.num_segments, model=settings.network, motion=settings.motion,
        motion_window=settings.motion_window, motion_weight=settings.motion_weight,
    )  # fmt: skip
    if {name: value.shape for name, value in model.state_dict().items()} != {k: v.shape for k, v in weights.items()}:
        raise InputError(
            f"{paths[0]}: expected weights of this project for {plural(spec.num_classes, 'class')}, got others; "
            f"scripts/convert_checkpoint.py converts published ones"
        )
    model.load_state_dict(weights)
    clips = _Counted(_clips(options, spec, settings, model.to(device), contents[0]))
    update_bn(clips, model, device)
    kept = {"arch": settings.arch, "config": contents[0].get("config")}
    if isinstance(contents[0].get("about"), Mapping):
        kept["about"] = {**contents[0]["about"], "accuracy": None}
    kept["averaged"] = {"weights": options.weights_kind, "files": [str(path) for path in paths]}
    write_checkpoint({"state_dict": model.cpu().state_dict(), **kept}, options.out)
    return (
        f"{options.out}: the mean of {plural(len(paths), 'checkpoint')} ({options.weights_kind} weights), batch "
        f"statistics of {plural(clips.videos, 'training video')}"
    )


class _Counted:
    """Batches of clips, of which it is known how many videos they were."""

    def __init__(self, batches: Iterator[Tensor]) -> None:
        self.batches = batches
        self.videos = 0

    def __iter__(self) -> Iterator[Tensor]:
        for batch in self.batches:
            self.videos += len(batch)
            yield batch


def mean_weights(states: Sequence[Mapping[str, Tensor]], paths: Sequence[Path]) -> dict[str, Tensor]:
    """The mean of weights by the same names; whole numbers (counters) are those of the first.

    Raises:
        InputError: names or shapes differ.
    """
    first = states[0]
    for state, path in zip(states, paths, strict=True):
        wrong = sorted(first.keys() ^ state.keys()) or [k for k in first if first[k].shape != state[k].shape]
        if wrong:
            raise InputError(
                f"{path}: expected weights of the same network and classes as {paths[0]}, got others ({wrong[0]})"
            )
    return {
        name: torch.stack([state[name].double() for state in states]).mean(0).to(value.dtype)
        if value.is_floating_point() else value
        for name, value in first.items()
    }  # fmt: skip


def _named(data: DatasetOptions, name: str | None) -> DatasetOptions:
    if name is None and data.dataset_config is None:
        raise InputError("expected --dataset_config FILE.toml, as the checkpoint does not say which data set it is of")
    return DatasetOptions(**{**vars(data), "name": name or "data"})


def _clips(
    options: AverageOptions, spec: DatasetSpec, settings: Resolved, model: Recognizer, content: Mapping[str, Any]
) -> Iterator[Tensor]:
    """Batches of clips (N, T, F, 3, s, s), cropped, flipped and augmented as in training."""
    records = read_list(spec.train_list, spec)
    recipe = content.get("config") or {}
    mirror = spec.mirror_labels(flips(recipe.get("flip", "auto"), settings.network, spec.name))
    clips = TrainClips(
        VideoSource(spec, records, choose_decoder(options.decoder)), settings.num_segments,
        FrameSampler(model.frames_per_segment, settings.dense_sample),
        TrainTransform(settings.input_size, mirror, parse_augment(recipe.get("augment", "none"))), options.seed,
    )  # fmt: skip
    size = min(options.batch_size, options.num_videos, len(records))
    sampler = TrainBatchSampler(len(records), size, 1, 0, 1, options.seed)
    device = next(model.parameters()).device
    loader = train_loader(clips, sampler, options.workers, device, CLIP_TIMEOUT)
    with loader.guard():
        for batch in islice(loader, max(options.num_videos // size, 1)):
            if batch.missing:
                raise InputError(batch.missing[0].reason)
            yield batch.to(device)[0]
