"""The runs of the study: one network on one set of classes with one seed, trained as main.py trains.

What finished runs found is kept in one JSON file, so that an interrupted study continues with the runs that are
missing, and an interrupted run from its last checkpoint.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from ops.checkpoints import describe, read_checkpoint, with_weights
from ops.motion_set import RenderConfig, render
from ops.runtime import InputError, distributed, get_logger, require, write_atomically
from ops.settings import TrainConfig, parse_train
from ops.training import train

CLASS_SETS = {"local": 8, "order": 6, "all": 14}  # number of classes


class Variant(NamedTuple):
    """A network of the study: ``network`` and, for MSN, the motion modules it keeps; further options of main.py."""

    name: str
    network: str
    motion: tuple[str, ...] | None = None
    options: tuple[str, ...] = ()


VARIANTS = (
    Variant("TSN", "tsn"),
    Variant("TSM", "tsm"),
    Variant("TDN", "tdn"),
    Variant("MSN", "msn"),
    Variant("MSN without STP-ME", "msn", ("dsme", "shift")),
    Variant("MSN without DS-ME", "msn", ("stpme", "shift")),
    Variant("MSN without the shift", "msn", ("stpme", "dsme")),
)

# TDN as published, and with one option more: which of them earns something?
_PUBLISHED = ("--flip", "off")
_ADDED = {
    "flip": ("--flip", "on"),
    "RandAugment": ("--augment", "randaugment"),
    "mixup": ("--mixup", "0.2"),
    "EMA": ("--ema", "0.95"),
}
RECIPES = (
    Variant("published", "tdn", None, _PUBLISHED),
    *(Variant(f"+ {name}", "tdn", None, (*_PUBLISHED, *added)) for name, added in _ADDED.items()),
    Variant("all", "tdn", None, tuple(word for added in _ADDED.values() for word in added)),
)
PLANS: dict[str, tuple[tuple[Variant, ...], tuple[str, ...]]] = {
    "networks": (VARIANTS, tuple(CLASS_SETS)),
    "recipes": (RECIPES, ("all",)),
}


@dataclass(frozen=True)
class Schedule:
    """What is the same for all runs.

    Args:
        train_clips, val_clips: of each set of classes.
        rendered: width and height of the videos, in pixels.
        input_size: of what the network sees, in pixels.
        batch_size, epochs, lr: of training; the learning rate falls along a cosine.
    """

    arch: str
    num_segments: int
    input_size: int
    rendered: int
    train_clips: int
    val_clips: int
    epochs: int
    batch_size: int
    lr: float


class Run(NamedTuple):
    """One training."""

    variant: Variant
    classes: str
    seed: int

    @property
    def key(self) -> str:
        return f"{self.variant.name}, {self.classes}, seed {self.seed}"


@dataclass(frozen=True)
class StudyOptions:
    """What is run, and where; study.py --help says what each option is.

    ``compares`` is ``networks`` or ``recipes``.

    Raises:
        InputError: a value is out of range.
    """

    schedule: Schedule
    results: Path
    folder: Path
    seeds: int
    limit: int | None = None
    compares: str = "networks"

    def __post_init__(self) -> None:
        require(self.seeds >= 1, "--seeds of at least 1", self.seeds)
        require(self.compares in PLANS, f"--compare one of {', '.join(PLANS)}", self.compares)
        require(self.limit is None or self.limit >= 0, "--limit of at least 0", self.limit)
        require(self.results.parent.is_dir(), "--results FILE in an existing folder", self.results)


def planned_runs(seeds: int, compares: str = "networks") -> Iterator[Run]:
    """Every run, the first seed of everything first: half a study is a study too."""
    variants, class_sets = PLANS[compares]
    for seed in range(seeds):
        for classes in class_sets:
            for variant in variants:
                yield Run(variant, classes, seed)


def read_top1(path: Path, schedule: Schedule) -> dict[str, float]:
    """Top-1 in percent of each finished run, by ``Run.key``.

    Raises:
        InputError: the file is not of this study, or its runs had another schedule.
    """
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        top1, found = content["top1"], content["schedule"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: expected results of a study, got {type(error).__name__}: {error}") from None
    if top1 and found != asdict(schedule):
        raise InputError(
            f"{path}: expected results of the schedule {asdict(schedule)}, got those of {found}; pass another "
            f"--results to start a new study"
        )
    return top1


def run_study(options: StudyOptions) -> dict[str, float]:
    """Do the runs that are missing, at most ``limit`` of them; returns all results, as ``read_top1``.

    Raises:
        InputError: earlier runs had another schedule, or something cannot be written.
        Stopped: a signal asked for it; the same command continues.
    """
    log, done = get_logger(), 0
    for run in planned_runs(options.seeds, options.compares):
        top1 = read_top1(options.results, options.schedule)  # again: another process may do runs of this study, too
        if run.key in top1:
            continue
        if done == options.limit:
            break
        log.info("study: %s", run.key)
        found = _train(run, options)
        _add(options, run.key, found)
        done += 1
    return read_top1(options.results, options.schedule)


def _add(options: StudyOptions, key: str, found: float) -> None:
    top1 = read_top1(options.results, options.schedule) | {key: found}
    content = {"schedule": asdict(options.schedule), "top1": top1}
    write_atomically(options.results, (json.dumps(content, indent=1) + "\n").encode())


def _train(run: Run, options: StudyOptions) -> float:
    """Train and validate; top-1 in percent of the last epoch, of averaged weights where there are some."""
    schedule = options.schedule
    data = options.folder / run.classes
    render(RenderConfig(data, run.classes, schedule.train_clips, schedule.val_clips, width=schedule.rendered,
                        height=schedule.rendered))  # fmt: skip
    config = training_config(run, options, data)
    device = torch.device("cpu")
    with distributed.process_group(device):
        train(config, device)
    checkpoint = config.model_dir / "last.pth.tar"
    content = with_weights(read_checkpoint(checkpoint), "raw" if config.ema is None else "ema", checkpoint)
    accuracy = describe(content, checkpoint).accuracy
    if accuracy is None:
        raise InputError(f"{checkpoint}: expected the accuracy of the last epoch, got none")
    shutil.rmtree(config.model_dir)  # 42 runs would fill gigabytes
    return accuracy["top1"]


def training_config(run: Run, options: StudyOptions, data: Path) -> TrainConfig:
    """Settings of main.py for a run; only network, options, data and seed differ between runs."""
    schedule = options.schedule
    modules = () if run.variant.motion is None else ("--motion", ",".join(run.variant.motion))
    words = (
        "motion", "RGB", "--root_path", data, "--num_class", CLASS_SETS[run.classes],
        "--model", run.variant.network, *modules, *run.variant.options, "--seed", run.seed,
        "--arch", schedule.arch, "--num_segments", schedule.num_segments, "--input_size", schedule.input_size,
        "--pretrain", "none", "--epochs", schedule.epochs, "-b", schedule.batch_size, "--lr", schedule.lr,
        "--lr_scheduler", "cosine", "--warmup_epoch", 0.5, "--warmup_multiplier", 10, "--dropout", 0, "--wd", 5e-4,
        "--gd", 20, "--eval-freq", schedule.epochs, "--keep", 1, "--resume", "auto", "-j", 0,
        "--root_log", options.folder / "log", "--root_model", options.folder / "checkpoint",
        "--suffix", run.key.replace(", ", "_").replace(" ", "_"),
    )  # fmt: skip
    return parse_train([str(word) for word in words])
