"""What scripts/benchmarks/complexity.py does: a table of what networks cost, also as CSV and as a plot."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple

import torch

from ops.benchmark.complexity import Counts, Speed, count, measure
from ops.models import build_model
from ops.runtime import require, write_atomically


@dataclass(frozen=True)
class ComplexityOptions:
    """Which networks, and how they are measured; complexity.py --help says what each option is.

    Raises:
        InputError: a value is out of range, or a file cannot be written.
    """

    model: Sequence[str]
    arch: Sequence[str]
    segments: Sequence[int]
    input_size: Sequence[int]
    num_class: int
    batch_size: int
    rounds: int
    threads: int
    device: str
    csv: Path | None
    plot: Path | None

    def __post_init__(self) -> None:
        least = {"num_class": 1, "batch_size": 1, "rounds": 0, "threads": 1}
        for name, smallest in least.items():
            require(getattr(self, name) >= smallest, f"--{name} of at least {smallest}", getattr(self, name))
        require(min(self.segments) >= 2, "--segments of at least 2", min(self.segments))
        require(min(self.input_size) >= 32, "--input_size of at least 32", min(self.input_size))
        require(self.device == "cpu" or torch.cuda.is_available(), "a GPU for --device cuda", "none")
        for name, path in (("csv", self.csv), ("plot", self.plot)):
            can_be_written = path is None or (path.parent.is_dir() and not path.is_dir())
            require(can_be_written, f"--{name} FILE in an existing folder", path)


class Row(NamedTuple):
    """A network and what it costs; ``speed`` is None where it was not measured."""

    model: str
    arch: str
    segments: int
    input_size: int
    counts: Counts
    speed: Speed | None

    def values(self) -> dict[str, str | int | float]:
        """By name of the column of the CSV file."""
        own = {name: value for name, value in self._asdict().items() if name not in ("counts", "speed")}
        return {**own, **self.counts._asdict(), **({} if self.speed is None else self.speed._asdict())}


HEADINGS = {
    "model": "model", "arch": "backbone", "segments": "segments", "input_size": "pixels", "parameters": "parameters",
    "gmac": "GMAC", "other_gmac": "+ by hand", "activation_mb": "activations MB", "latency_ms": "latency ms",
    "clips_per_second": "clips/s",
}  # fmt: skip
MARKERS = {"msn": "o", "tdn": "s", "tsm": "^", "tsn": "v"}


def report_complexity(options: ComplexityOptions) -> None:
    """Print a row as soon as it is known; then write the files that the options name."""
    torch.set_num_threads(options.threads)
    names = list(HEADINGS)[: None if options.rounds else -2]
    print("  ".join(f"{HEADINGS[name]:>{_width(name)}}" for name in names))
    rows = []
    for row in measured(options):
        rows.append(row)
        print("  ".join(f"{_shown(row.values()[name]):>{_width(name)}}" for name in names), flush=True)
    print(_legend(options))
    if options.csv is not None:
        write_atomically(options.csv, _csv(rows).encode())
    if options.plot is not None:
        write_atomically(options.plot, _plot(rows))


def measured(options: ComplexityOptions) -> Iterator[Row]:
    """Every network that the options name, at every size."""
    for arch, model, segments, size in product(options.arch, options.model, options.segments, options.input_size):
        network = build_model(arch, options.num_class, segments, model=model)
        speed = measure(network, size, options.batch_size, options.rounds, options.device) if options.rounds else None
        yield Row(model, arch, segments, size, count(network, size), speed)


def _width(name: str) -> int:
    return max(len(HEADINGS[name]), 11 if name == "parameters" else 9 if name == "arch" else 6)


def _shown(value: str | float) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}" if value < 10 else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else value


def _legend(options: ComplexityOptions) -> str:
    counted = (
        "GMAC: 10^9 multiply-adds of one clip, convolutions and matrix products, in evaluation mode; + by hand: those "
        "of deformable sampling and of the learnable shift.\n"
        "activations: what one clip keeps in memory for the backward pass of a training step, float32, 2^20 bytes."
    )
    if not options.rounds:
        return counted
    return (
        f"{counted}\nlatency: one clip; clips/s: in batches of {options.batch_size}; medians of {options.rounds} "
        f"forward passes on {options.device}, {options.threads} threads, BatchNorms folded."
    )


def _csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0].values()), lineterminator="\n")
    writer.writeheader()
    writer.writerows(row.values() for row in rows)
    return text.getvalue()


def _plot(rows: Sequence[Row]) -> bytes:
    """A PNG: parameters, memory and, where it was measured, speed against GMAC; a colour a network."""
    from matplotlib.figure import Figure  # takes longer to import than to say --help

    panels = {"parameters": "parameters", "activation_mb": "activations in training, MB"}
    if rows[0].speed is not None:
        panels["clips_per_second"] = "clips a second"
    figure = Figure(figsize=(5 * len(panels), 4.2), layout="constrained")
    for place, (name, label) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(1, len(panels), place)
        for model in dict.fromkeys(row.model for row in rows):
            points = [row.values() for row in rows if row.model == model]
            marker = MARKERS.get(model, "o")  # networks that cost the same lie on each other
            axes.scatter([p["gmac"] for p in points], [p[name] for p in points], marker=marker, alpha=0.7, label=model)
        axes.set(xlabel="GMAC a clip", ylabel=label, xlim=(0, None), ylim=(0, None))
        axes.grid(alpha=0.25)
    figure.axes[0].legend()
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=110)
    return png.getvalue()
