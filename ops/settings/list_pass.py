"""Settings of what sends views of all videos of a list through networks: the test scripts and extract_features.py."""

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ops.data import BUILT_IN, DatasetOptions, DatasetSpec, resolve_dataset, with_val_list
from ops.runtime import CommaList, Settings, at_least, from_to, part, require, setting
from ops.settings.shared import (
    BrokenVideoSettings,
    CommandLine,
    DecoderSettings,
    FrameSettings,
    ProcessSettings,
    WaitingSettings,
    WeightsKindSettings,
)

MAX_CLIPS = 1000
CLIP_SAMPLINGS = ("even", "random")
AS_SAVED = "as the checkpoint says"


@dataclass(frozen=True)
class TestedDataset(DatasetOptions):
    """A data set, and the list of it that is tested on."""

    name: str = setting(
        "dataset", default="", unset=AS_SAVED,
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
class PassSettings(
    WaitingSettings,
    ProcessSettings,
    BrokenVideoSettings,
    ViewSettings,
    WeightsKindSettings,
    DecoderSettings,
    CommandLine,
):
    """All of them."""

    group: ClassVar[str] = ProcessSettings.group

    batch_size: int = setting(
        "--batch_size", default=16, limit=at_least(1), metavar="N",
        help="number of views (crops of clips) in one forward pass, per GPU process",
    )  # fmt: skip


def name_of_weights(path: Path) -> str:
    """What a folder of their scores is called: their file, and its folder where every run has a file of that name."""
    name = re.sub(r"(\.(pth|pt|tar|ckpt|bin|safetensors))+$", "", path.name)
    is_usual = re.fullmatch(r"(ckpt\.)?best|last|\d+_epoch_ckpt|ckpt|checkpoint|model", name)
    folder = path.absolute().parent.name
    return f"{folder}_{name}" if is_usual and folder else name
