"""Settings of the test scripts."""

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from ops.data import BUILT_IN, DatasetOptions, DatasetSpec, resolve_dataset, with_val_list
from ops.models import ARCHS, NETWORKS, check_motion
from ops.runtime import CommaList, Settings, above, at_least, from_to, part, plural, require, setting
from ops.settings.network import FRAMES_SEEN, SOME_MODULES, MotionModules
from ops.settings.shared import (
    AVERAGES,
    AVERAGES_IN_WORDS,
    BrokenVideoSettings,
    CommandLine,
    DecoderSettings,
    DeviceSettings,
    FrameSettings,
    ProcessSettings,
    WaitingSettings,
    WeightsKindSettings,
)

MAX_CLIPS = 1000
CLIP_SAMPLINGS = ("even", "random")
_SAYS = "as the checkpoint says"


class TestScript(NamedTuple):
    """What differs between the test scripts."""

    prog: str
    num_crops: int
    num_clips: int
    description: str

    def changes(self) -> dict[str, dict[str, Any]]:
        """What differs from the declarations of TestConfig."""
        return {
            "num_crops": {"default": self.num_crops, "choices": (self.num_crops,)},
            "num_clips": {"default": self.num_clips},
        }


@dataclass(frozen=True)
class TestModel:
    """One of the models that are tested together; None where the checkpoint is to say it."""

    arch: str | None
    weights: Path
    num_segments: int | None
    coefficient: float = 1.0
    network: str | None = None


@dataclass(frozen=True)
class TestedDataset(DatasetOptions):
    """A data set, and the list of it that is tested on."""

    name: str = setting(
        "dataset", default="", unset=_SAYS,
        help=f"name of the data set: {', '.join(BUILT_IN)}, or a name of your own, described by --dataset_config or by "
        f"the options below",
    )  # fmt: skip
    test_list: str | None = setting(
        "--test_list", default=None, unset="the validation list", metavar="FILE", optional=True,
        help="list of videos to test on, one per line",
    )  # fmt: skip

    def resolve(self) -> "DatasetSpec | TestedDataset":
        """The data set, or these options where a checkpoint is to say the name or the number of classes."""
        described = self.dataset_config or self.num_class or self.class_names or self.name in BUILT_IN
        return self.resolve_with({}) if self.name and described else self

    def resolve_with(self, known: Mapping[str, Any]) -> DatasetSpec:
        """The data set; ``known`` is what a checkpoint says of it, by field.

        Raises:
            InputError: something is missing or contradicts itself.
        """
        if self.test_list is not None and self.name not in BUILT_IN:  # stands for lists that nobody names
            known = {"train_list": Path(self.test_list), "val_list": Path(self.test_list), **known}
        return with_val_list(resolve_dataset(self, known), self.test_list)


@dataclass(frozen=True, kw_only=True)
class DataSettings(Settings):
    """The data set that is tested on; its options until a checkpoint has been asked for what they do not say."""

    dataset: DatasetSpec | TestedDataset = part(TestedDataset, TestedDataset.resolve)

    @property
    def data(self) -> DatasetSpec:
        """The data set, once it is known."""
        assert isinstance(self.dataset, DatasetSpec)
        return self.dataset


class ClipNumbers:
    """An argparse type: numbers of clips, separated by commas; None for all of them."""

    def __call__(self, text: str) -> tuple[int, ...] | None:
        try:
            return None if text == "all" else CommaList(int)(text)
        except argparse.ArgumentTypeError:
            expected = "all or whole numbers separated by commas"
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}") from None

    show = staticmethod(CommaList.show)


@dataclass(frozen=True, kw_only=True)
class TestedModels(Settings):
    """The networks whose scores are averaged: one value for all, or one each."""

    group: ClassVar[str] = "networks (several, separated by commas, are tested as an ensemble)"

    networks: tuple[str, ...] | None = setting(
        "--model", default=None, unset=_SAYS, kind=CommaList(str), metavar="MODEL[,...]",
        help=f"each network, or one for all: {', '.join(NETWORKS)}",
    )  # fmt: skip
    archs: tuple[str, ...] | None = setting(
        "--archs", default=None, unset=_SAYS, kind=CommaList(str), metavar="ARCH[,...]", aliases=("--arch",),
        help=f"backbone of each network, or one for all: {', '.join(ARCHS)}",
    )  # fmt: skip
    weights: tuple[Path, ...] = setting(
        "--weights", kind=CommaList(Path), metavar="CHECKPOINT[,...]", help="checkpoint of each network"
    )
    test_segments: tuple[int, ...] | None = setting(
        "--test_segments", default=None, unset=_SAYS, kind=CommaList(int), limit=at_least(2), metavar="T[,...]",
        aliases=("--num_segments",),
        help=f"number of segments of a clip, of each network or one for all; {FRAMES_SEEN}",
    )  # fmt: skip
    coeff: tuple[float, ...] = setting(
        "--coeff", default=(1.0,), kind=CommaList(float), limit=above(0), metavar="C[,...]",
        help="factor of each network's scores in the ensemble, e.g. 1,1.5, or one for all",
    )  # fmt: skip
    motion: tuple[str, ...] | None = setting(
        "--motion", default=None, unset=_SAYS, kind=MotionModules(), metavar="MODULES",
        help=f"motion modules of the networks, separated by commas: {SOME_MODULES}",
    )  # fmt: skip
    motion_window: int | None = setting(
        "--motion_window", default=None, unset=_SAYS, metavar="W",
        help="number of consecutive segments that the DS-ME module of msn takes as one clip",
    )  # fmt: skip
    motion_weight: float | None = setting(
        "--motion_weight", default=None, unset=_SAYS, limit=from_to(0, 1), metavar="WEIGHT", optional=True,
        help="weight of motion where the stem of msn and tdn adds it to appearance, which has one minus this weight",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        for arch in self.archs or ():
            require(arch in ARCHS, f"--archs to be one of {', '.join(ARCHS)}", repr(arch))
        for network in self.networks or ():
            require(network in NETWORKS, f"--model to be one of {', '.join(NETWORKS)}", repr(network))
            check_motion(network, self.motion or ())
        for option, values in (("--model", self.networks), ("--archs", self.archs),
                               ("--test_segments", self.test_segments), ("--coeff", self.coeff)):  # fmt: skip
            count = 1 if values is None else len(values)
            require(count in (1, len(self.weights)), f"{len(self.weights)} values of {option}, one for each of "
                    f"--weights", count)  # fmt: skip

    @property
    def models(self) -> tuple[TestModel, ...]:
        """The networks, one for each of --weights."""
        count = len(self.weights)

        def each(values: tuple[Any, ...] | None) -> tuple[Any, ...]:
            values = values or (None,)
            return values * count if len(values) == 1 else values

        columns = each(self.archs), self.weights, each(self.test_segments), each(self.coeff), each(self.networks)
        return tuple(TestModel(*row) for row in zip(*columns, strict=True))


@dataclass(frozen=True, kw_only=True)
class ViewSettings(FrameSettings):
    """Clips and crops of a video."""

    group: ClassVar[str] = "clips and crops"

    num_crops: int = setting("--test_crops", choices=(1, 3), metavar="C", help="number of crops of each clip")
    num_clips: int = setting(
        "--num_clips", limit=from_to(1, MAX_CLIPS), metavar="K", help="number of clips that a video is divided into"
    )
    clip_index: tuple[int, ...] | None = setting(
        "--clip_index", default=(0,), kind=ClipNumbers(), metavar="CLIP[,...]|all",
        help="which of the K clips to score, numbered from 0, or all of them",
    )  # fmt: skip
    clip_sampling: str = setting(
        "--clip_sampling", default="even", choices=CLIP_SAMPLINGS,
        help="where the clips are placed: spread evenly over the video, or drawn at random from --seed",
    )  # fmt: skip
    full_res: bool = setting(
        "--full_res", default=False,
        help="use crops of the full short side of the resized frames: 256 instead of 224 pixels",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        for clip in self.clip_index or ():
            require(0 <= clip < self.num_clips, f"--clip_index all or 0 to {self.num_clips - 1} "
                    f"(--num_clips {self.num_clips})", clip)  # fmt: skip

    @property
    def clips(self) -> tuple[int, ...]:
        """Numbers of the clips to score."""
        return tuple(range(self.num_clips)) if self.clip_index is None else self.clip_index


@dataclass(frozen=True, kw_only=True)
class ScoreSettings(Settings):
    """What is written."""

    group: ClassVar[str] = "scores"

    output_dir: Path = setting(
        "--output_dir", default=None, unset="results/NAME_CxK: name of the weights, crops and clips", metavar="DIR",
        help="folder for the scores, one file CLIP_cropN.pkl for each clip and crop",
    )  # fmt: skip
    overwrite: bool = setting(
        "--overwrite", default=False, help="replace scores in the folder that were measured with other settings"
    )
    resume_scores: bool = setting(
        "--resume_scores", default=False, help="continue an interrupted test that had the same settings"
    )
    softmax: bool = setting(
        "--softmax", default=False,
        help="average the networks' probabilities instead of their scores; the logarithms of the mean are saved",
    )  # fmt: skip
    average: str = setting(
        "--average", default="softmax", choices=AVERAGES,
        help=f"what is averaged over clips and crops, here and later by pkl_to_results.py: {AVERAGES_IN_WORDS}",
    )  # fmt: skip
    csv_file: Path | None = setting(
        "--csv_file", default=None, unset="none", metavar="FILE",
        help="write the predictions to this file too: video, label, the five classes with the highest scores",
    )  # fmt: skip
    max_num: int | None = setting(
        "--max_num", default=None, unset="all", limit=at_least(1), metavar="N", help="test only the first N videos"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(not self.softmax or self.average == "softmax", "--average softmax with --softmax, which leaves no "
                "scores to average", self.average)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PassSettings(
    WaitingSettings,
    ProcessSettings,
    BrokenVideoSettings,
    ViewSettings,
    WeightsKindSettings,
    DecoderSettings,
    CommandLine,
):
    """What sends views of all videos of a list through networks: the test scripts and extract_features.py."""

    group: ClassVar[str] = ProcessSettings.group

    batch_size: int = setting(
        "--batch_size", default=16, limit=at_least(1), metavar="N",
        help="number of views (crops of clips) in one forward pass, per GPU process",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TestConfig(ScoreSettings, DeviceSettings, PassSettings, TestedModels, DataSettings):
    """Settings of the test scripts; the options of the last base come first in their --help."""

    wanted_name: ClassVar[str] = "the name of a data set in front of --weights"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_dense(max(self.test_segments or (0,)))
        if isinstance(self.dataset, DatasetSpec):  # else a checkpoint says it
            self._check_pixels(self.dataset.storage, self.decoder)
        if self.output_dir is None:
            names = "+".join(map(name_of_weights, self.weights))
            object.__setattr__(self, "output_dir", Path("results", f"{names}_{self.num_crops}x{self.num_clips}"))

    def headline(self, processes: int) -> str:
        """Checkpoints, data, views and batch, for the first line of the log."""
        names = ", ".join(map(str, self.weights))
        known = isinstance(self.dataset, DatasetSpec)
        on = f"{self.dataset.name} ({self.data.val_list})" if known else "the data set that the checkpoint says"
        clips = plural(self.num_clips, "clip")
        if len(self.clips) < self.num_clips:
            clips = f"{len(self.clips)} of {clips}"
        return (
            f"testing {names} on {on}: {plural(self.num_crops, 'crop')} x "
            f"{clips}, batches of {plural(self.batch_size, 'view')} x "
            f"{plural(processes, 'process')}"
        )


def name_of_weights(path: Path) -> str:
    """What a folder of their scores is called: their file, and its folder where every run has a file of that name."""
    name = re.sub(r"(\.(pth|pt|tar|ckpt|bin|safetensors))+$", "", path.name)
    is_usual = re.fullmatch(r"(ckpt\.)?best|last|\d+_epoch_ckpt|ckpt|checkpoint|model", name)
    folder = path.absolute().parent.name
    return f"{folder}_{name}" if is_usual and folder else name
