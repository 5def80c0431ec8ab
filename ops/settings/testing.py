"""Settings of the test scripts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from ops.data import DatasetSpec
from ops.models import ARCHS, NETWORKS, check_motion
from ops.runtime import CommaList, Settings, above, at_least, from_to, plural, require, setting
from ops.settings.list_pass import AS_SAVED, DataSettings, PassSettings, name_of_weights
from ops.settings.network import FRAMES_SEEN, SOME_MODULES, MotionModules
from ops.settings.shared import AVERAGES, AVERAGES_IN_WORDS, DeviceSettings


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


@dataclass(frozen=True, kw_only=True)
class TestedModels(Settings):
    """The networks whose scores are averaged: one value for all, or one each."""

    group: ClassVar[str] = "networks (several, separated by commas, are tested as an ensemble)"

    networks: tuple[str, ...] | None = setting(
        "--model", default=None, unset=AS_SAVED, kind=CommaList(str), metavar="MODEL[,...]",
        help=f"each network, or one for all: {', '.join(NETWORKS)}",
    )  # fmt: skip
    archs: tuple[str, ...] | None = setting(
        "--archs", default=None, unset=AS_SAVED, kind=CommaList(str), metavar="ARCH[,...]", aliases=("--arch",),
        help=f"backbone of each network, or one for all: {', '.join(ARCHS)}",
    )  # fmt: skip
    weights: tuple[Path, ...] = setting(
        "--weights", kind=CommaList(Path), metavar="CHECKPOINT[,...]", help="checkpoint of each network"
    )
    test_segments: tuple[int, ...] | None = setting(
        "--test_segments", default=None, unset=AS_SAVED, kind=CommaList(int), limit=at_least(2), metavar="T[,...]",
        aliases=("--num_segments",),
        help=f"number of segments of a clip, of each network or one for all; {FRAMES_SEEN}",
    )  # fmt: skip
    coeff: tuple[float, ...] = setting(
        "--coeff", default=(1.0,), kind=CommaList(float), limit=above(0), metavar="C[,...]",
        help="factor of each network's scores in the ensemble, e.g. 1,1.5, or one for all",
    )  # fmt: skip
    motion: tuple[str, ...] | None = setting(
        "--motion", default=None, unset=AS_SAVED, kind=MotionModules(), metavar="MODULES",
        help=f"motion modules of the networks, separated by commas: {SOME_MODULES}",
    )  # fmt: skip
    motion_window: int | None = setting(
        "--motion_window", default=None, unset=AS_SAVED, metavar="W",
        help="number of consecutive segments that the DS-ME module of msn takes as one clip",
    )  # fmt: skip
    motion_weight: float | None = setting(
        "--motion_weight", default=None, unset=AS_SAVED, limit=from_to(0, 1), metavar="WEIGHT", optional=True,
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
