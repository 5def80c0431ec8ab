"""Settings that main.py and the test scripts share."""

from dataclasses import dataclass, field
from typing import ClassVar

from ops.checkpoints import WEIGHTS_KINDS
from ops.data import DENSE_SPAN
from ops.models import DEFORM_BACKENDS
from ops.runtime import OptionFile, Settings, at_least, from_to, require, setting
from ops.video import DECODERS, PIXELS

AMP_TYPES = ("bf16", "fp16")
ON_BAD_VIDEO = ("error", "skip")
AVERAGES = ("softmax", "logits", "relu")  # how the scores of views are averaged (ops/evaluation/score_averaging.py)
AVERAGES_IN_WORDS = (
    "softmax, the probabilities (MSN, TDN), logits, the scores themselves (TSM, TSN), or relu, the scores above 0 (the "
    "published 8 + 16 segments of TDN and MSN)"
)


@dataclass(frozen=True, kw_only=True)
class CommandLine(Settings):
    """What a script was started with.

    Args:
        read_from: the files of options that were read (``@FILE``), in order.
        given: paths of the settings that were given; the others have their defaults. None: all were.
    """

    read_from: tuple[OptionFile, ...] = field(default=(), compare=False)
    given: frozenset[str] | None = field(default=None, compare=False)

    def was_given(self, path: str) -> bool:
        """Whether a setting is one of the command line and no default."""
        return self.given is None or path in self.given


@dataclass(frozen=True, kw_only=True)
class DecoderSettings(Settings):
    """How video files are decoded."""

    group: ClassVar[str] = "data set"

    decoder: str = setting(
        "--decoder", default="pyav", choices=tuple(DECODERS), help="library that decodes video files"
    )


@dataclass(frozen=True, kw_only=True)
class BrokenVideoSettings(Settings):
    """What happens at videos that cannot be read."""

    group: ClassVar[str] = "broken videos (docs/reliability.md)"

    on_bad_video: str = setting(
        "--on_bad_video", default="error", choices=ON_BAD_VIDEO,
        help="what to do when a video cannot be read: stop with an error, or skip the video",
    )  # fmt: skip
    max_bad: float = setting(
        "--max_bad", default=0.01, limit=from_to(0, 1), metavar="FRACTION",
        help="with --on_bad_video skip: stop when more than this fraction of a list was skipped",
    )  # fmt: skip
    clip_timeout: float = setting(
        "--clip_timeout", default=300, limit=at_least(0, " seconds"), metavar="SECONDS",
        help="stop when reading one video takes longer than this many seconds; 0 disables",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class FrameSettings(Settings):
    """Which frames the network sees, and how large."""

    group: ClassVar[str] = "frames"

    input_size: int = setting(
        "--input_size", default=224, limit=at_least(32), metavar="PIXELS", in_checkpoint=True,
        help="width and height of the frames that the network sees, in pixels",
    )  # fmt: skip
    dense_sample: bool = setting(
        "--dense_sample", default=False, off=("--whole_video",), in_checkpoint=True,
        off_help="take the frames of a clip from the whole video",
        help=f"take the frames of a clip from {DENSE_SPAN} consecutive frames instead of the whole video",
    )  # fmt: skip
    pixels: str = setting(
        "--pixels", default="rgb", choices=PIXELS,
        help="what data-loading workers send: RGB, or YUV 4:2:0 as video files store it, half the bytes and less work, "
        "whose colours are converted on the GPU; differs from RGB by rounding",
    )  # fmt: skip
    reduced_jpeg: bool = setting(
        "--reduced_jpeg", default=False,
        help="decode JPEG frames at 1/2, 1/4 or 1/8 of their size where the network sees no more than that: faster for "
        "large frames, and not exactly the same pixels",
    )  # fmt: skip
    seed: int = setting("--seed", default=0, limit=at_least(0), metavar="N", help="seed of all random numbers")

    def _check_pixels(self, storage: str, decoder: str) -> None:
        if self.pixels == "yuv":
            require(storage == "videos", "video files with --pixels yuv", f"{storage}, which are RGB")
            require(decoder == "pyav", "--decoder pyav with --pixels yuv", decoder)
            require(self.input_size % 2 == 0, "an even --input_size with --pixels yuv", self.input_size)

    def _check_dense(self, num_segments: int) -> None:
        if self.dense_sample:
            require(num_segments <= DENSE_SPAN, f"at most {DENSE_SPAN} segments with --dense_sample", num_segments)


@dataclass(frozen=True, kw_only=True)
class WeightsKindSettings(Settings):
    """Which weights of a checkpoint are used, by every command that takes one."""

    group: ClassVar[str] = "weights"

    weights_kind: str = setting(
        "--weights_kind", default="raw", choices=WEIGHTS_KINDS, of_one_start=True,
        help="weights of each checkpoint that are used: those that were trained (raw), or their moving average, of a "
        "training with --ema (ema)",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class WaitingSettings(Settings):
    """How the processes of a run wait for each other."""

    group: ClassVar[str] = "computing"

    dist_timeout: float = setting(
        "--dist_timeout", default=1800, limit=at_least(1, " second"), metavar="SECONDS", of_one_start=True,
        help="of several processes: stop when one waits longer than this many seconds for the others, at the start or "
        "at any point where they meet",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class GPUSettings(Settings):
    """On which GPU, and how exactly."""

    group: ClassVar[str] = "computing"

    gpus: tuple[int, ...] | None = setting(
        "--gpus", default=None, unset="0 1 2 ...", limit=at_least(0), metavar="ID",
        help="GPU number of each process on this machine, in order",
    )  # fmt: skip
    exact: bool = setting(
        "--exact", default=False,
        help="compute 32-bit products in full precision on a GPU too, not in TF32, which has 10 bits and is faster",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ProcessSettings(GPUSettings):
    """Processes, GPUs, and how the network is computed on them."""

    group: ClassVar[str] = "computing"

    workers: int = setting(
        "-j", "--workers", default=8, limit=at_least(0), metavar="N",
        help="number of data-loading worker processes per GPU process; 0 loads in the GPU process itself",
    )  # fmt: skip
    amp: str | None = setting(
        "--amp", default=None, unset="off, 32-bit numbers", choices=AMP_TYPES,
        help="automatic mixed precision: compute with 16-bit numbers of this type where it is safe",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class DeviceSettings(ProcessSettings):
    """The same where the network may be compiled."""

    group: ClassVar[str] = ProcessSettings.group

    compile: bool = setting(
        "--compile", default=False, help="compile the network with torch.compile: slower to start, then faster"
    )
    deform: str = setting(
        "--deform", default="auto", choices=DEFORM_BACKENDS,
        help="what computes msn's deformable convolutions; auto: on a GPU, triton where it is faster than portable",
    )  # fmt: skip
