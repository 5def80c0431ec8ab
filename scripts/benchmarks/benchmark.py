"""Measure this project against a plain implementation of the same network, and of the published way to load clips.

python scripts/benchmarks/benchmark.py model   a forward pass in evaluation mode
python scripts/benchmarks/benchmark.py train   a training step, its peak memory, and whether reading keeps up with it
python scripts/benchmarks/benchmark.py loader  CPU seconds per training clip, from a video file and a JPEG folder
python scripts/benchmarks/benchmark.py presets the same from videos as resize_videos.py prepares them, and their quality
python scripts/benchmarks/benchmark.py augment CPU seconds per training clip with each operation of --augment
python scripts/benchmarks/benchmark.py test    CPU seconds to load the 30 views of a video
python scripts/benchmarks/benchmark.py scores  20,000 videos x 400 classes x 30 views through pkl_to_results.py
python scripts/benchmarks/benchmark.py lists   time and memory to read a list of 10 million videos

Sides take turns in one process: quote medians and ratios. The baseline is tests/oracle.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # ops/ and tests/, from any working directory

from ops.models import NETWORKS
from ops.runtime import OneLineParser, run_script
from ops.video import PIXELS

SUBJECTS = ("model", "train", "loader", "presets", "augment", "test", "scores", "lists")
ARCHS = ("resnet50", "resnet101", "resnet152")


def parser() -> OneLineParser:
    made = OneLineParser(description="Compare the speed of this project with that of a plain implementation.")
    add = made.add_argument
    add("what", choices=SUBJECTS, help="what to measure (required)")
    add("--model", default="msn", choices=NETWORKS, help="network, or whose clips are read (default: %(default)s)")
    add("--arch", default="resnet50", choices=ARCHS, help="backbone, for model and train (default: %(default)s)")
    add("--segments", type=int, default=8, metavar="T", help="segments per clip (default: %(default)s)")
    add("--input_size", type=int, default=224, metavar="PIXELS", help="frame width and height (default: %(default)s)")
    add("--batch_size", type=int, default=2, metavar="N", help="clips, for model and train (default: %(default)s)")
    add("--rounds", type=int, default=5, metavar="N", help="timed runs of each side (default: %(default)s)")
    add("--threads", type=int, default=2, metavar="N", help="threads, for model and train (default: %(default)s)")
    add("--device", default="cpu", choices=("cpu", "cuda"), help="where model and train run (default: %(default)s)")
    add("--amp", choices=("bf16", "fp16"), help="mixed precision on both sides, for model and train (default: off)")
    add("--compile", action="store_true", help="add a compiled side, for model and train (default: off)")
    add("--videos", type=Path, nargs="+", metavar="FILE", help="files to read clips from (default: one that is made)")
    add("--pixels", choices=PIXELS, default="rgb", help="what train reads of them (default: %(default)s)")
    add("--num_videos", type=int, metavar="N", help="videos, for scores and lists (default: 20,000 and 10,000,000)")
    add("--json", type=Path, metavar="FILE", help="also write the figures to this file (default: print only)")
    return made


def main() -> None:
    parsed = parser().parse_args()
    from ops.benchmark import BenchmarkOptions, Oracles, run_benchmark  # takes longer to import than to say --help
    from tests.oracle import naive_loader
    from tests.oracle.networks import ORACLES

    run_benchmark(BenchmarkOptions(**vars(parsed)), Oracles(ORACLES[parsed.model], naive_loader))


if __name__ == "__main__":
    run_script(main)
