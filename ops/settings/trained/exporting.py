"""Settings of export.py."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ops.runtime import Settings, at_least, require, setting
from ops.settings.shared import CommandLine, DecoderSettings
from ops.settings.trained.predicting import NetworkSettings

INPUTS = ("uint8", "float")
ENDING = ".onnx"


@dataclass(frozen=True, kw_only=True)
class ExportedSettings(Settings):
    """What is written."""

    group: ClassVar[str] = "output"

    checkpoint: Path = setting(
        "checkpoint", metavar="CHECKPOINT",
        help="checkpoint of the network, of this project or a published one",
    )  # fmt: skip
    out: Path = setting(
        "out", metavar="OUT",
        help=f"what to write: an ONNX file if it ends in {ENDING}, else a folder in the form of Hugging Face; it must "
        f"not exist yet",
    )  # fmt: skip
    input: str = setting(
        "--input", default="uint8", choices=INPUTS,
        help="with an ONNX file: pixels that the network takes, uint8 from 0 to 255, or float that are normalised "
        "already",
    )  # fmt: skip
    fp16: bool = setting("--fp16", default=False, help="write weights, and compute ONNX, with 16-bit numbers")
    results: tuple[Path, ...] | None = setting(
        "--results", default=None, unset="the accuracy that the checkpoint says", metavar="RESULTS.json",
        help="with a folder: results.json of pkl_to_results.py, whose accuracies the model card shows too",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class CheckSettings(Settings):
    """The clips that what is written is compared on."""

    group: ClassVar[str] = "check"

    videos: tuple[str, ...] | None = setting(
        "--videos", default=None, unset="the validation list of training, if it is there", metavar="SOURCE",
        help="videos to compare the exported network with the checkpoint on: files, folders, patterns, lists",
    )  # fmt: skip
    num_videos: int = setting(
        "--num_videos", default=8, limit=at_least(1), metavar="N", help="compare on the first N videos that can be read"
    )


@dataclass(frozen=True, kw_only=True)
class ExportConfig(NetworkSettings, DecoderSettings, CheckSettings, ExportedSettings, CommandLine):
    """Settings of export.py; the options of the last base come first in its --help."""

    @property
    def is_onnx(self) -> bool:
        return self.out.suffix.lower() == ENDING

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.is_onnx or self.input == "uint8", f"OUT{ENDING} with --input float", self.out)
        require(not self.is_onnx or not self.results, "--results with a folder as OUT", self.out)
