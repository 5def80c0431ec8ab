"""Settings of explain.py."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ops.runtime import CommaList, Settings, require, setting
from ops.settings.shared import CommandLine, DecoderSettings, GPUSettings
from ops.settings.trained.predicting import NetworkSettings

# What can be drawn, in the order in which it is.
PICTURES = ("scores", "class_map", "video", "branches", "gates", "offsets")
LAYERS = ("layer1", "layer2", "layer3", "layer4")


@dataclass(frozen=True, kw_only=True)
class ExplainedSettings(Settings):
    """The network and the videos."""

    checkpoint: Path = setting("checkpoint", metavar="CHECKPOINT", help="checkpoint of the network")
    sources: tuple[str, ...] = setting(
        "sources", metavar="VIDEO",
        help="video files, folders of videos or of numbered images, patterns like 'clips/*.mp4', lists (.txt, one "
        "video per line), or URLs of files",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PictureSettings(Settings):
    """What is drawn."""

    group: ClassVar[str] = "pictures"

    out: Path = setting(
        "--out",
        default=Path("explained"),
        metavar="DIR",
        help="folder for the pictures; each video gets a folder in it",
    )
    what: tuple[str, ...] | None = setting(
        "--what", default=None, unset="all that the network has", kind=CommaList(str), metavar="PICTURES",
        help="pictures to draw, separated by commas: scores of the segments; class_map, the class-activation maps, and "
        "video, the same over the whole video; for MSN also the branches of STP-ME, the gates of DS-ME and its "
        "offsets; for TDN the gates of L-TDM",
    )  # fmt: skip
    wanted: str | None = setting(
        "--class", default=None, unset="the most probable class of each video", metavar="NAME|NUMBER",
        help="class to explain",
    )  # fmt: skip
    layer: str | None = setting(
        "--layer", default=None, unset="the deepest one whose map has at least 4 x 4 pixels", choices=LAYERS,
        help="layer of the class-activation maps",
    )  # fmt: skip
    blocks: tuple[str, ...] | None = setting(
        "--blocks", default=None, unset="the last block of each stage", kind=CommaList(str), metavar="BLOCKS",
        help="blocks of the network whose gates and offsets are drawn, like layer2.0,layer3.1, or all",
    )  # fmt: skip
    palette: bool = setting("--palette", default=False, help="256 colours in PNG files, a third of their size")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.what or ():
            require(name in PICTURES, f"--what of {', '.join(PICTURES)}", name)


@dataclass(frozen=True, kw_only=True)
class ExplainConfig(GPUSettings, NetworkSettings, DecoderSettings, PictureSettings, ExplainedSettings, CommandLine):
    """Settings of explain.py; the options of the last base come first in its --help."""

    group: ClassVar[str] = GPUSettings.group
