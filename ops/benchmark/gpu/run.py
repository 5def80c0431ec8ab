"""`make bench-gpu`: measurements in a process that is given a time, and their figures as JSON and Markdown.

A process of its own, as a compiler that hangs cannot be interrupted: what was measured until then is kept.
"""

from __future__ import annotations

import json
import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from ops.benchmark.comparison import machine
from ops.benchmark.gpu.measure import Shapes, measure, profile_step
from ops.benchmark.gpu.plan import KINDS, Measurement, plan
from ops.benchmark.gpu.table import as_row, fill_page, markdown
from ops.benchmark.loading import ClipShape, training_clips_per_second
from ops.benchmark.network import NetworkOracle
from ops.models import FRAMES_PER_SEGMENT
from ops.runtime import processors, require, setup_logger, write_atomically

COMPILING = 90  # seconds that a compiled measurement needs; with fewer left it is not begun
GRACE = 20  # seconds for the measurement that is running when time is up


@dataclass(frozen=True)
class GPUBenchmarkOptions:
    """scripts/benchmarks/gpu.py --help says what each is."""

    arch: str
    segments: int
    input_size: int
    batch_sizes: Sequence[int]
    device: str
    budget: float
    output: Path
    page: Path | None

    def __post_init__(self) -> None:
        require(self.device == "cpu" or torch.cuda.is_available(), "a GPU for --device cuda", "none")
        require(self.segments >= 2, "--segments of at least 2", self.segments)
        require(min(self.batch_sizes) >= 1, "--batch_sizes of at least 1", min(self.batch_sizes))
        require(self.page is None or self.page.is_file(), "--page FILE that exists", self.page)

    @property
    def shapes(self) -> Shapes:
        return Shapes(self.arch, self.segments, self.input_size, self.device)


def run_gpu_benchmark(options: GPUBenchmarkOptions, oracle: NetworkOracle) -> None:
    """Measure until the time is up, print the table, and write OUTPUT.json and OUTPUT.md."""
    options.output.parent.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + options.budget
    figures: dict[str, Any] = {
        "machine": machine(torch.get_num_threads(), options.device),
        "what": f"MSN, {options.arch}, {options.segments} segments, {options.input_size} px",
        "loader": _loader(options), "rows": [], "profiles": {},
    }  # fmt: skip
    for name, what, found in _in_a_process(options, oracle, end):
        if name == "row":
            figures["rows"].append(as_row(what, found))
        else:
            figures["profiles"][str(what)] = found
    figures["rows"] += [
        as_row(what, {"failed": "no time left"}) for what in plan(options.batch_sizes)[len(figures["rows"]) :]
    ]
    _compare_with_loader(figures)
    text = markdown(figures, options.batch_sizes)
    print(f"\n{text}")
    write_atomically(options.output.with_suffix(".json"), (json.dumps(figures, indent=1) + "\n").encode())
    write_atomically(options.output.with_suffix(".md"), text.encode())
    if options.page is not None:
        fill_page(options.page, text)


def _in_a_process(options: GPUBenchmarkOptions, oracle: NetworkOracle, end: float) -> Any:
    """What the measuring process sends, until it ends or has to be ended."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(sender, options, oracle, end - time.monotonic()))
    process.start()
    sender.close()
    try:
        while receiver.poll(max(0.0, end + GRACE - time.monotonic())):
            yield receiver.recv()
    except EOFError:  # all is measured, or the process has died and says why itself
        pass
    finally:
        process.terminate()
        process.join()


def _work(sender: Connection, options: GPUBenchmarkOptions, oracle: NetworkOracle, seconds: float) -> None:
    setup_logger(is_main=True)  # which says how deformable convolutions are computed
    end = time.monotonic() + seconds
    profiled = [_to_profile("MSN", "bf16", options), _to_profile("oracle", "float32", options)]
    for number, what in enumerate(plan(options.batch_sizes)):
        left = end - time.monotonic()
        needed = COMPILING if KINDS[what.kind].compile and options.device == "cuda" else 0
        found = measure(what, options.shapes, oracle) if left > needed else {"failed": "no time left"}
        print(
            f"{what}: {found.get('failed') or format(found['clips_per_second'], '.1f') + ' clips a second'}", flush=True
        )
        sender.send(("row", what, found))
        if number + 1 == min(14, len(plan(options.batch_sizes)) - 2):  # behind the middle batch size
            for each in profiled:
                if end > time.monotonic():
                    sender.send(("profile", each, profile_step(each, options.shapes, oracle)))
    sender.close()


def _to_profile(side: str, kind: str, options: GPUBenchmarkOptions) -> Measurement:
    return Measurement("training", side, kind, min(options.batch_sizes))


def _loader(options: GPUBenchmarkOptions) -> dict[str, Any]:
    shape = ClipShape(options.segments, FRAMES_PER_SEGMENT["msn"], options.input_size)
    with tempfile.TemporaryDirectory() as folder:
        a_core = training_clips_per_second(Path(folder), shape)
    cores = processors()
    return {"clips_per_second_a_core": a_core, "cores": cores, "clips_per_second": cores * a_core}


def _compare_with_loader(figures: dict[str, Any]) -> None:
    speeds = [row["clips_per_second"] for row in figures["rows"]
              if row["task"] == "training" and row["side"] == "MSN" and "clips_per_second" in row]  # fmt: skip
    figures["loader"]["headspace"] = figures["loader"]["clips_per_second"] / max(speeds) if speeds else None
