"""What `make study` does: the runs that are missing, then the page."""

import time
from collections.abc import Callable
from pathlib import Path

import torch

from ops.benchmark.comparison import Comparison, alternate, processor
from ops.benchmark.complexity import count
from ops.benchmark.study.findings import Findings
from ops.benchmark.study.page import Cost, draw, page
from ops.benchmark.study.recipes import recipes_table
from ops.benchmark.study.runs import CLASS_SETS, VARIANTS, Schedule, StudyOptions, run_study
from ops.models import Recognizer, build_model, fuse_for_inference
from ops.runtime import processors, setup_logger, write_atomically

ROUNDS = 9  # forward passes of each network, in turn, for clips a second


def make_study(options: StudyOptions) -> tuple[Path, ...]:
    """Run, then write page and plot, or the table of recipes, beside the results; returns their paths."""
    setup_logger(True)
    schedule = options.schedule
    findings = Findings(run_study(options), options.seeds, schedule.val_clips, options.compares)
    if options.compares == "recipes":
        table = options.results.with_suffix(".md")
        write_atomically(table, f"{recipes_table(findings)}\n".encode())
        return (table,)
    costs = costs_of(schedule)
    text, plot = options.results.with_suffix(".md"), options.results.with_suffix(".png")
    machine = f"{processor()}, {processors()} cores"
    write_atomically(plot, draw(findings, costs))
    write_atomically(text, page(schedule, findings, costs, machine, plot.name).encode())
    return text, plot


def costs_of(schedule: Schedule) -> dict[str, Cost]:
    """Of every network, by name, with the head for all classes; other work of the machine slows all of them alike."""
    networks = {
        variant.name: build_model(schedule.arch, CLASS_SETS["all"], schedule.num_segments, model=variant.network,
                                  motion=variant.motion)
        for variant in VARIANTS
    }  # fmt: skip
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        sides = {name: _forward(network, schedule) for name, network in networks.items()}
        times = alternate(Comparison("clips a second", "TSN", "CPU seconds"), sides, ROUNDS, time.process_time)
    finally:
        torch.set_num_threads(threads)
    costs = {}
    for name, network in networks.items():
        counts = count(network, schedule.input_size)
        costs[name] = Cost(counts.gmac, counts.parameters / 1e6, schedule.batch_size / times.median(name))
    return costs


def _forward(network: Recognizer, schedule: Schedule) -> Callable[[], torch.Tensor]:
    """A batch through the network as the test scripts run it."""
    folded, size = fuse_for_inference(network), schedule.input_size
    clips = torch.zeros(schedule.batch_size, schedule.num_segments, network.frames_per_segment, 3, size, size)
    return torch.inference_mode()(lambda: folded(clips))
