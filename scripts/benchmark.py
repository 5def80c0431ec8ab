"""Measure this project against a plain restatement of the same mathematics and of the published way of loading.

python scripts/benchmark.py model           a forward pass in evaluation mode
python scripts/benchmark.py train           a training step, and its peak memory
python scripts/benchmark.py loader          CPU seconds a training clip, from a video file and from a folder of JPEGs
python scripts/benchmark.py test            CPU seconds to load the 30 views of a video
python scripts/benchmark.py scores          20,000 videos x 400 classes x 30 views through pkl_to_results.py

Both sides alternate in one process, so that what else the machine does hits both. Medians and ratios are what to
quote. The yardstick is tests/oracle.
"""

import argparse
import json
import platform
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from ops.benchmark import (  # noqa: E402  # noqa: E402
    loader_sides,
    loader_sizes,
    many_view_sides,
    model_sides,
    peak_memory,
    score_views,
    train_sides,
)
from ops.runtime import (  # noqa: E402
    InputError,
    require,
    run_script,
    write_atomically,
)
from ops.video import VideoError, open_video  # noqa: E402

Clock = Callable[[], float]


@dataclass
class Comparison:
    """Times of the sides of one comparison.

    Args:
        title: what is compared.
        yardstick: the side that the others are divided by.
        unit: what a time is.
        seconds: of each round, by side.
    """

    title: str
    yardstick: str
    unit: str
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def median(self, side: str) -> float:
        return statistics.median(self.seconds[side])

    def summary(self) -> dict[str, Any]:
        rows = {
            side: {"median": self.median(side), "least": min(times), "most": max(times),
                   "of_yardstick": self.median(side) / self.median(self.yardstick), "rounds": times}
            for side, times in self.seconds.items()
        }  # fmt: skip
        return {"title": self.title, "unit": self.unit, "yardstick": self.yardstick, "sides": rows}

    def table(self) -> str:
        width = max(map(len, self.seconds))
        lines = [f"{self.title} ({self.unit})", f"{'':{width}}   median    least     most   of {self.yardstick}"]
        for side, times in self.seconds.items():
            share = self.median(side) / self.median(self.yardstick)
            lines.append(
                f"{side:{width}} {self.median(side):8.3f} {min(times):8.3f} {max(times):8.3f}   "
                f"{share:.2f} ({1 / share:.2f} times as fast)"
            )
        return "\n".join(lines)


def alternate(comparison: Comparison, sides: dict[str, Callable[[], Any]], rounds: int, clock: Clock) -> Comparison:
    """Run every side once to warm up, then all of them in turn, ``rounds`` times."""
    for work in sides.values():
        work()
    comparison.seconds = {side: [] for side in sides}
    for _ in range(rounds):
        for side, work in sides.items():
            start = clock()
            work()
            comparison.seconds[side].append(clock() - start)
    return comparison


def machine(threads: int, device: str) -> dict[str, Any]:
    """What the figures depend on."""
    import torch

    packages = ("torch", "torchvision", "numpy", "av", "Pillow", "decord", "torchcodec")
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except ImportError:
            found[name] = "not installed"
    accelerator = torch.cuda.get_device_name() if device == "cuda" else "none"
    return {"processor": processor(), "accelerator": accelerator, "threads": threads,
            "python": platform.python_version(), "packages": found | {"torch": torch.__version__}}  # fmt: skip


def processor() -> str:
    """The processor's name, as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure against a plain restatement, side by side.")
    add = parser.add_argument
    add("what", choices=("model", "train", "loader", "test", "scores"))
    add("--arch", default="resnet50", choices=("resnet50", "resnet101", "resnet152"))
    add("--segments", type=int, default=8, metavar="T")
    add("--input_size", type=int, default=224, metavar="PIXELS")
    add("--batch_size", type=int, default=2, metavar="N")
    add("--rounds", type=int, default=5, metavar="N")
    add("--threads", type=int, default=2, metavar="N", help="of torch, for model and train")
    add("--device", default="cpu", choices=("cpu", "cuda"), help="for model and train")
    add("--amp", choices=("bf16", "fp16"), help="autocast, for model and train on both sides")
    add("--compile", action="store_true", help="a compiled side too, for model and train")
    add("--videos", type=Path, nargs="+", metavar="FILE", help="for loader and test (default: one is made)")
    add("--num_videos", type=int, default=20_000, metavar="N", help="for scores")
    add("--json", type=Path, metavar="FILE", help="where the figures go too")
    args = parser.parse_args()
    require(args.rounds >= 1, "--rounds of at least 1", args.rounds)
    require(args.segments >= 2, "--segments of at least 2", args.segments)
    if args.json is not None:
        require(
            args.json.parent.is_dir() and not args.json.is_dir(), "--json to be a file in a folder there", args.json
        )
    for path in args.videos or ():
        try:
            open_video(path, "pyav")
        except VideoError as error:
            raise InputError(str(error)) from None
    return args


def measure(args: argparse.Namespace) -> tuple[list[Comparison], dict[str, Any]]:
    """The comparisons of a mode, and what else it finds."""
    import time

    import torch

    if args.what in ("model", "train"):
        require(args.device == "cpu" or torch.cuda.is_available(), "a GPU for --device cuda", "none")
        torch.set_num_threads(args.threads)
        title = "forward pass in evaluation mode" if args.what == "model" else "training step"
        title = f"{title}, {args.arch}, {args.batch_size} x {args.segments} segments, {args.input_size} px"
        settings = (args.arch, args.segments, args.input_size, args.batch_size, args.device, args.amp)
        sides = (model_sides if args.what == "model" else train_sides)(settings, args.compile)
        comparison = alternate(Comparison(title, "oracle", "seconds"), sides, args.rounds, time.perf_counter)
        sides.clear()  # their memory is what the next ones need
        torch.cuda.empty_cache()
        extra = {"peak_memory_mb": peak_memory(settings, args.compile, args.threads)} if args.what == "train" else {}
        return [comparison], extra
    torch.set_num_threads(1)
    if args.what == "scores":
        return [], score_views(args.num_videos)
    compared = loader_sides if args.what == "loader" else many_view_sides
    comparisons = [
        alternate(Comparison(title, yardstick, "CPU seconds"), sides, args.rounds, time.process_time)
        for title, yardstick, sides in compared(args.videos, args.segments, args.input_size)
    ]
    return comparisons, loader_sizes(args.segments, args.input_size) if args.what == "loader" else {}


def main() -> None:
    args = parse()
    comparisons, extra = measure(args)
    for comparison in comparisons:
        print(comparison.table(), end="\n\n")
    for name, value in extra.items():
        print(f"{name}: {value}")
    if args.json is not None:
        threads = args.threads if args.what in ("model", "train") else 1
        figures = {"machine": machine(threads, args.device), "comparisons": [c.summary() for c in comparisons]}
        write_atomically(args.json, (json.dumps(figures | extra, indent=1) + "\n").encode())


if __name__ == "__main__":
    run_script(main)
