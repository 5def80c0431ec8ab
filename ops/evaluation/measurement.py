"""What an accuracy was measured with: the line that stands beside every accuracy, and travels with score files."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from ops.models import NETWORKS
from ops.runtime import plural

# What is averaged over views, in words, by the names of --average.
AVERAGED = {
    "softmax": "averaged after the softmax",
    "logits": "averaged as logits",
    "relu": "averaged as max(logit, 0)",
}
_SEQUENCES = ("networks", "segments", "motion", "motion_windows", "coefficients", "remarks")


@dataclass(frozen=True)
class Checkpoint:
    """A tested checkpoint: its file, its epoch where it says so, and the SHA-256 of the file (first 16 digits).

    ``weights`` are ``raw``, those that were trained, or ``ema``, their moving average.
    """

    file: str
    epoch: int | None
    sha256: str | None = None
    weights: str = "raw"

    def __str__(self) -> str:
        average = ", EMA weights" if self.weights == "ema" else ""
        return f"{self.file} (epoch {'unknown' if self.epoch is None else self.epoch}{average})"


@dataclass(frozen=True)
class Measurement:
    """How videos became scores.

    Args:
        dataset: name of the data set.
        video_list: name of the list file.
        num_videos: how many videos the list has.
        scored_videos: how many of them were scored.
        segments: T of each model.
        motion: the motion modules of each model, ``stpme,dsme,shift`` or fewer or ``none``.
        motion_windows: segments that DS-ME took as one clip, of each model.
        crops, clips: views of a video: C crops of each of K clips.
        sampling: ``even``, ``random`` or ``dense`` clips.
        scale: short side in pixels.
        size: side of a crop in pixels.
        checkpoints: one a model.
        coefficients: factor of each model's scores.
        softmax: whether models were averaged as probabilities.
        average: what is averaged over views, one of AVERAGED.
        amp: the type of mixed precision, if any.
        seed: of random clips; None where nothing is random.
        remarks: what was not as in training, in words.
        networks: msn, tdn, tsm or tsn, of each model.
        pixels: ``rgb``, or ``yuv`` where colours were converted on the device.
    """

    dataset: str
    video_list: str
    num_videos: int
    scored_videos: int
    segments: tuple[int, ...]
    motion: tuple[str, ...]
    motion_windows: tuple[int, ...]
    crops: int
    clips: int
    sampling: str
    scale: int
    size: int
    checkpoints: tuple[Checkpoint, ...]
    coefficients: tuple[float, ...] = (1.0,)
    softmax: bool = False
    average: str = "softmax"
    amp: str | None = None
    seed: int | None = None
    remarks: tuple[str, ...] = ()
    networks: tuple[str, ...] = ("msn",)
    pixels: str = "rgb"

    def line(self) -> str:
        """One line for people."""
        frames = "+".join(map(str, self.segments))
        videos = plural(self.num_videos, "video")
        if self.scored_videos != self.num_videos:
            videos = f"{self.scored_videos:,} of {videos}"
        models = ", ".join(map(str, self.checkpoints))
        seed = "" if self.seed is None else f", seed {self.seed}"
        sampling = "" if self.sampling == "even" else f" ({self.sampling}{seed})"
        unusual = [
            (set(self.networks) != {"msn"}, " + ".join(map(str.upper, self.networks))),
            (
                self.motion != tuple(motion_name(NETWORKS[name]) for name in self.networks),
                f"motion {' + '.join(self.motion)}",
            ),
            (self.motion_windows != self.segments, f"motion window {'+'.join(map(str, self.motion_windows))}"),
            (set(self.coefficients) != {1.0}, f"factors {', '.join(f'{c:g}' for c in self.coefficients)}"),
            (self.softmax and len(self.segments) > 1, "networks averaged after the softmax"),
            (self.crops * self.clips > 1 or self.average != "softmax", f"views {AVERAGED[self.average]}"),
            (self.amp is not None, str(self.amp)),
            (self.pixels != "rgb", f"{self.pixels.upper()} pixels"),
            *((True, remark) for remark in self.remarks),
        ]
        remarks = "".join(f", {remark}" for applies, remark in unusual if applies)
        line = (
            f"{frames} frames x {plural(self.crops, 'crop')} x {plural(self.clips, 'clip')}{sampling}, "
            f"{self.size} x {self.size} px from short side {self.scale}, {self.dataset} {self.video_list} ({videos}), "
            f"{models}{remarks}"
        )
        return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Measurement":
        """The inverse of ``to_dict``, from parsed JSON; raises ValueError on anything else."""
        names = {f.name for f in fields(cls)}
        if isinstance(values, Mapping):
            older = {
                "remarks": [],
                "pixels": "rgb",
                "average": "softmax",
                "networks": ["msn"] * len(values.get("checkpoints") or ()),
            }
            values = {**older, **values}
        if not isinstance(values, Mapping) or set(values) != names:
            raise ValueError(f"expected a measurement with {', '.join(sorted(names))}")
        try:
            checkpoints = tuple(Checkpoint(**c) for c in values["checkpoints"])
            listed = {name: tuple(values[name]) for name in _SEQUENCES}
            measurement = cls(**{**values, **listed, "checkpoints": checkpoints})
        except TypeError as error:
            raise ValueError(f"expected a measurement, got {error}") from None
        measurement._check_types()
        return measurement

    def _check_types(self) -> None:
        optional = (
            *(((c.epoch, int), (c.sha256, str)) for c in self.checkpoints), ((self.amp, str), (self.seed, int))
        )  # fmt: skip
        expected = [
            *((text, str) for text in (self.dataset, self.video_list, self.sampling, self.average, self.pixels)),
            *((text, str) for text in (*self.motion, *self.remarks, *self.networks)),
            *((text, str) for c in self.checkpoints for text in (c.file, c.weights)),
            *((value, kind) for pairs in optional for value, kind in pairs if value is not None),
            *((number, int) for number in (self.num_videos, self.scored_videos, self.crops, self.clips, self.scale)),
            *((number, int) for number in (self.size, *self.segments, *self.motion_windows)),
            *((number, float) for number in self.coefficients),
            (self.softmax, bool),
        ]
        for value, kind in expected:
            if type(value) is not kind:
                raise ValueError(f"expected a measurement with {kind.__name__} in place of {ascii(value)[:200]}")
        if not set(self.networks) <= set(NETWORKS):
            raise ValueError(f"expected a measurement with networks of {', '.join(NETWORKS)}, got {self.networks!r}")
        if self.average not in AVERAGED:
            raise ValueError(f"expected a measurement with average {' or '.join(AVERAGED)}, got {self.average!r}")


def motion_name(modules: Sequence[str]) -> str:
    """Motion modules as the command line names them."""
    return ",".join(modules) or "none"


def has_top5(num_classes: int) -> bool:
    """Whether top-5 says something: of five classes or fewer it is always 100 %."""
    return num_classes > 5


def accuracies(top1: float, top5: float | None) -> str:
    """``top-1 50.00 %, top-5 80.00 %``; without top-5 where that says nothing."""
    return f"top-1 {top1:.2f} %" + ("" if top5 is None else f", top-5 {top5:.2f} %")
