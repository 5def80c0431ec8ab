"""Settings of predict.py."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ops.models import ARCHS, NETWORKS
from ops.runtime import Settings, above, at_least, require, setting
from ops.settings.shared import CommandLine, DecoderSettings, DeviceSettings, WeightsKindSettings

_SAYS = "as the checkpoint says"


@dataclass(frozen=True, kw_only=True)
class AskedSettings(Settings):
    """The network and the videos."""

    checkpoint: Path = setting(
        "checkpoint", metavar="CHECKPOINT",
        help="checkpoint of the network; or a folder or an ONNX file that export.py wrote; or owner/name of a model on "
        "the Hugging Face hub",
    )  # fmt: skip
    sources: tuple[str, ...] = setting(
        "sources", metavar="SOURCE",
        help="video files, folders of videos or of numbered images, patterns like 'clips/*.mp4', lists (.txt, one "
        "video per line), URLs of files or live streams, or a camera (camera:0)",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class OutputSettings(Settings):
    """What is written."""

    group: ClassVar[str] = "output"

    top: int = setting("--top", default=5, limit=at_least(1), metavar="N", help="number of classes to print per answer")
    json: Path | None = setting(
        "--json", default=None, unset="none", metavar="FILE", help="write the probabilities of all classes to this file"
    )
    csv: Path | None = setting(
        "--csv", default=None, unset="none", metavar="FILE",
        help="write a row per video, or per window, to this file: the five most probable classes",
    )  # fmt: skip
    overlay: Path | None = setting(
        "--overlay", default=None, unset="none", metavar="OUT.mp4|DIR",
        help="write the video with the answer on it to this file; with several videos, to a file each in this folder",
    )  # fmt: skip
    timeline: Path | None = setting(
        "--timeline", default=None, unset="none", metavar="FILE.png",
        help="with --every: draw the classes over time to this file",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class WindowSettings(Settings):
    """Windows over long videos and streams."""

    group: ClassVar[str] = "long videos and live streams"

    every: float | None = setting(
        "--every", default=None, unset="one answer per video", limit=above(0), metavar="SECONDS",
        help="slide a window over the video and answer every SECONDS",
    )  # fmt: skip
    window: float | None = setting(
        "--window", default=None, unset="as --every", limit=above(0), metavar="SECONDS",
        help="length of the window that is slid over the video",
    )  # fmt: skip
    patience: float = setting(
        "--patience", default=10, limit=above(0), metavar="SECONDS",
        help="stop when a stream has sent nothing for this many seconds",
    )  # fmt: skip
    stop_after: float | None = setting(
        "--stop_after", default=None, unset="never", limit=above(0), metavar="SECONDS",
        help="stop after this many seconds of a video or stream",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.every is not None or self.window is None, "--every SECONDS with --window", "none")


@dataclass(frozen=True, kw_only=True)
class BuiltSettings(Settings):
    """What checkpoints of other code do not say of the network."""

    group: ClassVar[str] = "network and views"

    network: str | None = setting(
        "--model", default=None, unset=_SAYS, choices=tuple(NETWORKS), help="network (docs/models.md)"
    )
    arch: str | None = setting(
        "--arch", default=None, unset=_SAYS, choices=tuple(ARCHS), aliases=("--archs",), help="backbone of the network"
    )
    num_segments: int | None = setting(
        "--num_segments", default=None, unset=_SAYS, limit=at_least(2), metavar="T", aliases=("--test_segments",),
        help="number of segments of a clip",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class NetworkSettings(WeightsKindSettings, BuiltSettings):
    """What they do not say of what it sees, or of its classes."""

    group: ClassVar[str] = BuiltSettings.group

    input_size: int | None = setting(
        "--input_size", default=None, unset=_SAYS, limit=at_least(32), metavar="PIXELS",
        help="width and height of the frames that the network sees, in pixels",
    )  # fmt: skip
    class_names: Path | None = setting(
        "--class_names", default=None, unset=_SAYS, metavar="FILE", help="file of class names, one per line"
    )

    @property
    def network_settings(self) -> dict[str, Any]:
        """What the command line says of the network, by name."""
        names = ("network", "arch", "num_segments", "input_size", "weights_kind")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


@dataclass(frozen=True, kw_only=True)
class ViewSettings(Settings):
    """How often a video is looked at."""

    group: ClassVar[str] = NetworkSettings.group

    num_clips: int = setting(
        "--num_clips", default=1, limit=at_least(1), metavar="K", help="number of clips of a video to average"
    )
    num_crops: int = setting(
        "--test_crops", default=1, choices=(1, 3), metavar="C", help="number of crops of each clip to average"
    )


@dataclass(frozen=True, kw_only=True)
class PredictConfig(
    DeviceSettings,
    ViewSettings,
    NetworkSettings,
    DecoderSettings,
    WindowSettings,
    OutputSettings,
    AskedSettings,
    CommandLine,
):
    """Settings of predict.py; the options of the last base come first in its --help."""

    group: ClassVar[str] = DeviceSettings.group

    batch_size: int = setting(
        "--batch_size", default=16, limit=at_least(1), metavar="N",
        help="number of views (crops of clips) or windows in one forward pass",
    )  # fmt: skip
    clip_timeout: float = setting(
        "--clip_timeout", default=300, limit=at_least(0, " seconds"), metavar="SECONDS",
        help="give up a video that takes longer to read than this many seconds; 0 disables",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.timeline is None or self.every is not None, "--every SECONDS with --timeline", "none")
        require(self.every is None or (self.num_clips, self.num_crops) == (1, 1),
                "one clip and one crop with --every", f"{self.num_clips} and {self.num_crops}")  # fmt: skip
