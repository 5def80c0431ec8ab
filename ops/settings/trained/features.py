"""Settings of extract_features.py."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from ops.data import BUILT_IN, DatasetSpec, configured_name
from ops.runtime import Settings, at_least, part, plural, setting
from ops.settings.list_pass import DataSettings, PassSettings, TestedDataset, name_of_weights
from ops.settings.sources import BESIDE
from ops.settings.trained.predicting import BuiltSettings

FORMATS = ("npz", "safetensors", "h5")
PER = ("video", "segment")


@dataclass(frozen=True)
class ListedDataset(TestedDataset):
    """The list, and the data set whose form it has."""

    name: str = setting(
        "--dataset", default="", unset=f"as {BESIDE} beside the list says, or the checkpoint", metavar="NAME",
        help=f"data set whose form the list has: {', '.join(BUILT_IN)}, or a name of your own, described by "
        f"--dataset_config or by the options below",
    )  # fmt: skip
    test_list: str | None = setting(
        "list", metavar="LIST", optional=True,
        help="list of videos in the form of the lists of training, one per line: '<file> <label>', or '<folder> "
        "<num_frames> <label>' for folders of frames",
    )  # fmt: skip
    train_list: str | None = None  # without options: the list above is the only one
    val_list: str | None = None

    def resolve(self) -> "DatasetSpec | TestedDataset":
        beside = Path(self.test_list or "").parent / BESIDE
        if self.name or self.dataset_config or not beside.is_file():
            return super().resolve()
        return replace(self, dataset_config=str(beside), name=configured_name(beside) or "").resolve()


@dataclass(frozen=True, kw_only=True)
class ListSettings(DataSettings):
    """The videos."""

    dataset: DatasetSpec | TestedDataset = part(ListedDataset, ListedDataset.resolve)


@dataclass(frozen=True, kw_only=True)
class AskedNetwork(Settings):
    """The network."""

    checkpoint: Path = setting(
        "checkpoint", metavar="CHECKPOINT", help="checkpoint of the network, or a folder that export.py wrote"
    )


@dataclass(frozen=True, kw_only=True)
class FeatureSettings(Settings):
    """What is written."""

    group: ClassVar[str] = "features"

    per: str = setting(
        "--per", default="video", choices=PER,
        help="whether a video has one vector, the mean over its segments, or one for each segment",
    )  # fmt: skip
    layer: str | None = setting(
        "--layer", default=None, unset="what the classification layer sees", metavar="NAME",
        help="layer whose output is taken, like backbone.layer3 or backbone.layer4.0; maps are averaged over their "
        "pixels",
    )  # fmt: skip
    output_dir: Path = setting(
        "--output_dir", default=None, unset="features/NAME: name of the weights", metavar="DIR",
        help="folder for the features",
    )  # fmt: skip
    format: str = setting(
        "--format", default="npz", choices=FORMATS, help="form of the files: NumPy's, safetensors, or HDF5 (needs h5py)"
    )
    shard_size: int = setting(
        "--shard_size", default=10_000, limit=at_least(1), metavar="N", help="number of videos in each file"
    )
    overwrite: bool = setting(
        "--overwrite", default=False, help="replace features in the folder that were made with other settings"
    )
    resume: bool = setting("--resume", default=False, help="continue an interrupted run that had the same settings")
    max_num: int | None = setting(
        "--max_num", default=None, unset="all", limit=at_least(1), metavar="N", help="take only the first N videos"
    )


@dataclass(frozen=True, kw_only=True)
class FeatureConfig(FeatureSettings, PassSettings, BuiltSettings, ListSettings, AskedNetwork):
    """Settings of extract_features.py; the options of the last base come first in its --help."""

    wanted_name: ClassVar[str] = "--dataset NAME"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_dense(self.num_segments or 0)
        if isinstance(self.dataset, DatasetSpec):
            self._check_pixels(self.dataset.storage, self.decoder)
        if self.output_dir is None:
            object.__setattr__(self, "output_dir", Path("features", name_of_weights(self.checkpoint)))

    @classmethod
    def changes(cls) -> dict[str, dict[str, Any]]:
        """What differs from the declarations: all clips of one, one crop."""
        return {
            "num_crops": {"default": 1},
            "num_clips": {"default": 1},
            "clip_index": {"default": None, "unset": "all"},
        }

    @property
    def weights(self) -> tuple[Path, ...]:
        return (self.checkpoint,)

    @property
    def given_network(self) -> dict[str, Any]:
        """What the command line says of the network, by name."""
        said = {name: getattr(self, name) for name in ("network", "arch", "num_segments")}
        said |= {name: getattr(self, name) for name in ("input_size", "dense_sample") if self.was_given(name)}
        return {name: value for name, value in said.items() if value is not None}

    def headline(self, processes: int) -> str:
        """For the first line of the log."""
        known = f" of {self.dataset.name}" if isinstance(self.dataset, DatasetSpec) else ""
        listed = self.data.val_list if isinstance(self.dataset, DatasetSpec) else self.dataset.test_list
        return (
            f"features of {self.checkpoint} on {listed}{known}: {plural(self.num_crops, 'crop')} x "
            f"{plural(len(self.clips), 'clip')}, batches of {plural(self.batch_size, 'view')} x "
            f"{plural(processes, 'process')}"
        )
