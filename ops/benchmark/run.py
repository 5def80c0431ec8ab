"""What scripts/benchmarks/benchmark.py does: the comparisons of a mode, printed and written as JSON."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ops.benchmark.comparison import Comparison, alternate, machine
from ops.benchmark.lists import read_long_list
from ops.benchmark.loading import (
    ClipShape,
    LoaderOracle,
    augmentation_sides,
    clips_of_files,
    loader_sides,
    loader_sizes,
    many_view_sides,
)
from ops.benchmark.network import NetworkOracle, Settings, model_sides, peak_memory, train_sides
from ops.benchmark.presets import preset_sides
from ops.benchmark.scores import score_views
from ops.data import workers_enough
from ops.models import FRAMES_PER_SEGMENT
from ops.runtime import InputError, plural, processors, require, write_atomically
from ops.video import VideoError, open_video


@dataclass(frozen=True)
class Oracles:
    """The plain implementations that this project is measured against."""

    network: NetworkOracle
    loader: LoaderOracle


@dataclass(frozen=True)
class BenchmarkOptions:
    """What is measured; benchmark.py --help says what each option is."""

    what: str
    model: str
    arch: str
    segments: int
    input_size: int
    batch_size: int
    rounds: int
    threads: int
    device: str
    amp: str | None
    compile: bool
    videos: Sequence[Path] | None
    pixels: str
    num_videos: int | None
    json: Path | None

    def __post_init__(self) -> None:
        require(self.rounds >= 1, "--rounds of at least 1", self.rounds)
        require(self.segments >= 2, "--segments of at least 2", self.segments)
        if self.json is not None:
            can_be_written = self.json.parent.is_dir() and not self.json.is_dir()
            require(can_be_written, "--json FILE in an existing folder", self.json)
        for path in self.videos or ():
            try:
                open_video(path, "pyav")
            except VideoError as error:
                raise InputError(str(error)) from None


def run_benchmark(options: BenchmarkOptions, oracles: Oracles) -> None:
    """Measure, print tables, and write them where the options say."""
    comparisons, extra = measure(options, oracles)
    for comparison in comparisons:
        print(comparison.table(), end="\n\n")
    for name, value in extra.items():
        print(f"{name}: {value}")
    if options.json is not None:
        threads = options.threads if options.what in ("model", "train") else 1
        figures = {"machine": machine(threads, options.device), "comparisons": [c.summary() for c in comparisons]}
        write_atomically(options.json, (json.dumps(figures | extra, indent=1) + "\n").encode())


def measure(options: BenchmarkOptions, oracles: Oracles) -> tuple[list[Comparison], dict[str, Any]]:
    """The comparisons of a mode, and what else it finds."""
    if options.what in ("model", "train"):
        return measure_network(options, oracles.network)
    torch.set_num_threads(1)
    gc.freeze()  # as data-loading workers do
    if options.what == "scores":
        return [], score_views(options.num_videos or 20_000)
    if options.what == "lists":
        return [], read_long_list(options.num_videos or 10_000_000)
    shape = ClipShape(options.segments, FRAMES_PER_SEGMENT[options.model], options.input_size)
    extra: dict[str, Any] = {}
    if options.what == "presets":
        compared = preset_sides(options.videos, shape, extra)
    elif options.what == "augment":
        compared = augmentation_sides(options.videos, shape)
    else:
        sides_of = loader_sides if options.what == "loader" else many_view_sides
        compared = sides_of(options.videos, shape, oracles.loader)
    comparisons = [
        alternate(Comparison(title, yardstick, "CPU seconds"), sides, options.rounds, time.process_time)
        for title, yardstick, sides in compared
    ]
    return comparisons, loader_sizes(shape, oracles.loader) if options.what == "loader" else extra


def measure_network(options: BenchmarkOptions, oracle: NetworkOracle) -> tuple[list[Comparison], dict[str, Any]]:
    """A forward pass, or a training step and its peak memory."""
    require(options.device == "cpu" or torch.cuda.is_available(), "a GPU for --device cuda", "none")
    torch.set_num_threads(options.threads)
    what = "forward pass in evaluation mode" if options.what == "model" else "training step"
    size = f"{options.batch_size} x {options.segments} segments, {options.input_size} px"
    settings = Settings(*(getattr(options, name) for name in Settings._fields))
    sides = (model_sides if options.what == "model" else train_sides)(settings, options.compile, oracle)
    empty = Comparison(f"{what}, {options.model}, {options.arch}, {size}", "oracle", "seconds")
    comparison = alternate(empty, sides, options.rounds, time.perf_counter)
    sides.clear()  # their memory is what the next ones need
    torch.cuda.empty_cache()
    if options.what == "model":
        return [comparison], {}
    extra: dict[str, Any] = {"peak_memory_mb": peak_memory(settings, options.compile, options.threads, oracle)}
    return [comparison], extra | headspace(options, comparison)


def headspace(options: BenchmarkOptions, comparison: Comparison) -> dict[str, Any]:
    """Whether reading or the network bounds training here: the steps were timed on a batch in memory."""
    shape = ClipShape(options.segments, FRAMES_PER_SEGMENT[options.model], options.input_size)
    clips = [
        alternate(Comparison(name, name, "CPU seconds"), {name: work}, options.rounds, time.process_time).median(name)
        for name, work in clips_of_files(options.videos, shape, options.pixels)
    ]
    step, clip = comparison.median("network"), sum(clips) / len(clips)
    cores, workers = processors(), workers_enough(clip * options.batch_size, step)
    free = max(cores - (options.threads if options.device == "cpu" else 1), 1)  # cores that the network leaves
    bound = "the network" if workers <= free else "reading"
    line = (
        f"the network takes {options.batch_size / step:.3g} clips a second, a worker reads {1 / clip:.3g} "
        f"({options.pixels}): -j {workers} is enough, and {plural(free, 'core')} of {cores} left for workers, so "
        f"{bound} bounds training on this machine"
    )
    return {"headspace": line}
