"""Settings of main.py."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ops.data import FLIPS, DatasetOptions, DatasetSpec, flips, resolve_dataset
from ops.runtime import Settings, above, at_least, from_to_below, part, plural, require, setting
from ops.settings.network import ModelConfig
from ops.settings.regularization import RegularizationSettings
from ops.settings.shared import (
    BrokenVideoSettings,
    CommandLine,
    DecoderSettings,
    DeviceSettings,
    FrameSettings,
    WaitingSettings,
    WeightsKindSettings,
)

LOSS_TYPES = ("nll",)
PARAM_GROUPS = ("single", "tsn")
SCHEDULES = ("step", "cosine")


@dataclass(frozen=True, kw_only=True)
class DataSettings(Settings):
    """The data set that the network is trained and validated on."""

    dataset: DatasetSpec = part(DatasetOptions, resolve_dataset)
    modality: str = setting(
        "modality",
        choices=("RGB", "Flow", "RGBDiff"),
        help="input modality; only RGB is supported",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.modality == "RGB", "modality RGB",
                f"{self.modality}: the network sees RGB frames and takes motion from them")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class StartSettings(Settings):
    """What the network is, and the weights it starts from."""

    group: ClassVar[str] = "network"

    model: ModelConfig = part(ModelConfig)
    loss_type: str = setting(
        "--loss_type", default="nll", choices=LOSS_TYPES, help="loss function: cross-entropy of the clip's scores"
    )
    pretrain: str = setting(
        "--pretrain", default="imagenet", metavar="imagenet|none|FILE", of_one_start=True,
        help="weights that the backbone starts from: torchvision's ImageNet weights (downloaded once), none, or a file",
    )  # fmt: skip
    tune_from: str | None = setting(
        "--tune_from", default=None, unset="none", metavar="CHECKPOINT", of_one_start=True,
        help="fine-tune: start from the weights of this checkpoint; a classification layer of another size is skipped",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class LearningSettings(Settings):
    """Epochs, batches, learning rate and optimiser."""

    group: ClassVar[str] = "learning"

    epochs: int = setting("--epochs", default=60, limit=at_least(1), metavar="N", help="number of epochs to train")
    batch_size: int = setting(
        "-b", "--batch-size", default=8, limit=at_least(1), metavar="N", help="videos in a batch, per GPU process"
    )
    accumulate: int = setting(
        "--accumulate", default=1, limit=at_least(1), metavar="K",
        help="batches per optimiser step: their gradients are averaged",
    )  # fmt: skip
    lr: float = setting(
        "--lr", "--learning-rate", default=0.01, limit=above(0), metavar="LR", help="initial learning rate"
    )
    lr_batch_size: int | None = setting(
        "--lr_batch_size", default=None, unset="no scaling", limit=at_least(1), metavar="N",
        help="videos per step that --lr is meant for: the learning rate is scaled to the true number of videos per "
        "step (batch size x GPU processes x --accumulate)",
    )  # fmt: skip
    lr_scheduler: str = setting(
        "--lr_scheduler", default="step", choices=SCHEDULES,
        help="how the learning rate falls: multiplied by --lr_decay_rate at each of --lr_steps, or along a cosine",
    )  # fmt: skip
    lr_steps: tuple[float, ...] = setting(
        "--lr_steps", default=(30, 45, 55), limit=at_least(0), metavar="EPOCH",
        help="epochs at which the learning rate falls, with --lr_scheduler step",
    )  # fmt: skip
    lr_decay_rate: float = setting(
        "--lr_decay_rate", default=0.1, limit=above(0), metavar="FACTOR",
        help="factor by which the learning rate is multiplied at each of --lr_steps",
    )  # fmt: skip
    warmup_epoch: float = setting(
        "--warmup_epoch", default=0, metavar="N",
        help="number of warmup epochs, in which the learning rate rises to --lr",
    )  # fmt: skip
    warmup_multiplier: float = setting(
        "--warmup_multiplier", default=100, limit=at_least(1), metavar="M",
        help="the warmup starts at the learning rate --lr divided by M",
    )  # fmt: skip
    momentum: float = setting("--momentum", default=0.9, limit=from_to_below(0, 1), metavar="M", help="momentum of SGD")
    weight_decay: float = setting(
        "--wd", "--weight-decay", default=5e-4, limit=at_least(0), metavar="WD", help="weight decay"
    )
    clip_gradient: float | None = setting(
        "--gd", "--clip-gradient", default=None, unset="no clipping", limit=above(0, finite=False), metavar="NORM",
        help="clip the norm of the gradient at this value",
    )  # fmt: skip
    param_groups: str = setting(
        "--param_groups", default="single", choices=PARAM_GROUPS,
        help="learning rate and weight decay by kind of parameter: the same for all, or as in TSN (biases twice the "
        "rate, no decay for biases and BatchNorm, classification layer 5 times the rate and its biases 10 times)",
    )  # fmt: skip
    flip: str = setting(
        "--flip", default="auto", choices=FLIPS,
        help="flip half of the training clips, and swap the labels that say left and right; auto: on, but off for tsm "
        "and tsn on Something-Something and Jester, as published",
    )  # fmt: skip
    partialbn: bool = setting(
        "--partialbn", default=False, off=("--npb", "--no_partialbn"), off_help="train every BatchNorm layer",
        help="freeze every BatchNorm layer except the first",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.warmup_epoch < self.epochs, "--warmup_epoch from 0 to below --epochs", self.warmup_epoch)


@dataclass(frozen=True, kw_only=True)
class RunSettings(Settings):
    """Where a run resumes, and what it reports and saves."""

    group: ClassVar[str] = "run"

    resume: str | None = setting(
        "--resume", default=None, unset="a new run", metavar="CHECKPOINT|auto", of_one_start=True,
        help="resume from this checkpoint; auto: from the newest complete checkpoint of the run, if there is one",
    )  # fmt: skip
    start_epoch: int | None = setting(
        "--start-epoch", default=None, unset="as the checkpoint says, or 0", metavar="N", of_one_start=True,
        help="number of epochs that count as already trained",
    )  # fmt: skip
    evaluate: bool = setting(
        "-e", "--evaluate", default=False, of_one_start=True, help="only validate the checkpoint of --resume"
    )
    print_freq: int = setting(
        "-p", "--print-freq", default=20, limit=at_least(1), metavar="STEPS", help="number of steps between log lines"
    )
    eval_freq: int = setting(
        "--eval-freq", default=1, limit=at_least(1), metavar="EPOCHS", aliases=("-ef",),
        help="number of epochs between validations; the last epoch is always validated",
    )  # fmt: skip
    save_every: int | None = setting(
        "--save_every", default=None, unset="only after each epoch", limit=at_least(1), metavar="STEPS",
        help="save last.pth.tar also within an epoch, every N steps",
    )  # fmt: skip
    keep: int | None = setting(
        "--keep", default=None, unset="all", limit=at_least(1), metavar="N",
        help="keep only the newest N checkpoints named EPOCH_epoch_ckpt.pth.tar",
    )  # fmt: skip
    skip_nonfinite: int = setting(
        "--skip_nonfinite", default=0, limit=at_least(0), metavar="N",
        help="number of steps with a non-finite loss or gradient to skip before stopping",
    )  # fmt: skip
    root_log: Path = setting("--root_log", default=Path("log"), metavar="DIR", help="folder for the logs of all runs")
    root_model: Path = setting(
        "--root_model", default=Path("checkpoint"), metavar="DIR", help="folder for the checkpoints of all runs"
    )
    suffix: str | None = setting(
        "--suffix", default=None, unset="none", metavar="NAME", help="text appended to the name of the run's folders"
    )


@dataclass(frozen=True, kw_only=True)
class TrainConfig(
    RunSettings,
    WaitingSettings,
    DeviceSettings,
    BrokenVideoSettings,
    FrameSettings,
    RegularizationSettings,
    LearningSettings,
    StartSettings,
    WeightsKindSettings,
    DecoderSettings,
    DataSettings,
    CommandLine,
):
    """Settings of main.py; the options of the last base come first in its --help."""

    channels_last: bool | None = setting(
        "--channels_last", default=None, of_one_start=True, unset="on for a CPU, off for a GPU",
        off=("--channels_first",), off_help="keep rows and columns innermost",
        help="keep channels innermost in memory: most networks train faster so on a CPU; not measured on a GPU",
    )  # fmt: skip
    recompute: bool = setting(
        "--recompute", default=False,
        help="save memory: keep only what enters and leaves each stage of the backbone, and compute a stage again when "
        "its gradients are needed; slower, with the same results",
    )  # fmt: skip
    group: ClassVar[str] = DeviceSettings.group

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.start_epoch is None or 0 <= self.start_epoch < self.epochs, "--start-epoch below --epochs",
                 self.start_epoch)  # fmt: skip
        require(not self.evaluate or self.resume is not None, "--resume CHECKPOINT with --evaluate", "none")
        require(self.weights_kind == "raw" or self.evaluate or bool(self.tune_from),
                "--evaluate or --tune_from with --weights_kind ema", "neither")  # fmt: skip
        require(not self.tune_from or self.resume in (None, "auto"), "either --tune_from or --resume FILE", "both")
        self._check_dense(self.model.num_segments)
        self._check_mixing(self.batch_size, self.dataset.num_classes)
        require(not (self.recompute and self.compile), "either --recompute or --compile", "both")
        if self.flips:
            self.dataset.check_mirror_labels()
        self._check_pixels(self.dataset.storage, self.decoder)
        require(self.pixels == "rgb" or self.augment == "none", "--pixels rgb with --augment", self.pixels)
        if self.named_checkpoint is None or self.was_given("model.network"):  # else the checkpoint says which network
            self.model.check_fit()

    @property
    def run_name(self) -> str:
        """Folder of the run under root_log and root_model."""
        model = self.model
        parts = (model.network.upper(), self.dataset.name, self.modality, model.arch, model.consensus)
        name = f"{'_'.join(parts)}_segment{model.num_segments}"
        return f"{name}_{self.suffix}" if self.suffix else name

    @property
    def named_checkpoint(self) -> Path | None:
        """The checkpoint that the command line names; not the one that --resume auto finds."""
        named = self.tune_from if self.resume in (None, "auto") else self.resume
        return None if named is None else Path(named)

    @property
    def log_dir(self) -> Path:
        return self.root_log / self.run_name

    @property
    def model_dir(self) -> Path:
        return self.root_model / self.run_name

    @property
    def flips(self) -> bool:
        """Whether training clips are flipped."""
        return flips(self.flip, self.model.network, self.dataset.name)

    def scaled_lr(self, global_batch_size: int) -> float:
        """The learning rate for steps of so many videos, by the linear rule of Goyal et al., 2017."""
        return self.lr * global_batch_size / (self.lr_batch_size or global_batch_size)

    def headline(self, processes: int) -> str:
        """Network, data, epochs, learning rate and batch, for the first line of the log."""
        model, dataset, weights = self.model, self.dataset, self.named_checkpoint
        network = f"{self.run_name}: {model.arch}, {model.num_segments} segments, {self.input_size} px"
        line = (
            f"{network if weights is None else f'the network of {weights}'}, on {dataset.name} "
            f"({plural(dataset.num_classes, 'class')})"
        )
        if self.evaluate:
            return f"evaluating {line}"
        return (
            f"training {line}, {plural(self.epochs, 'epoch')}, learning rate {self.lr:g} ({self.lr_scheduler}), "
            f"batches of {plural(self.batch_size, 'video')} x {plural(processes, 'process')} x {self.accumulate} "
            f"accumulated"
        )
