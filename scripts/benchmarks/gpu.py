"""Measure training and testing on one GPU: float32, TF32, bf16, compiled; MSN and a plain implementation of it.

python scripts/benchmarks/gpu.py --output results/gpu/figures

prints a table and writes results/gpu/figures.json and figures.md. `make bench-gpu` also puts the table into
docs/performance.md; `make bench-gpu REHEARSE=1` tries all of it on a CPU, with tiny sizes.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # ops/ and tests/, from any working directory

from ops.runtime import OneLineParser, run_script

ARCHS = ("resnet50", "resnet101", "resnet152")


def parser() -> OneLineParser:
    made = OneLineParser(description="Measure speed and memory of training and testing on one GPU.")
    add = made.add_argument
    add("--arch", default="resnet50", choices=ARCHS, help="backbone of both networks (default: %(default)s)")
    add("--segments", type=int, default=8, metavar="T", help="segments per clip (default: %(default)s)")
    add("--input_size", type=int, default=224, metavar="PIXELS", help="frame width and height (default: %(default)s)")
    add(
        "--batch_sizes",
        type=int,
        nargs="+",
        default=[8, 16, 32],
        metavar="N",
        help="clips in a batch (default: 8 16 32)",
    )
    add(
        "--device",
        default="cuda",
        choices=("cuda", "cpu"),
        help="where to measure; cpu only rehearses (default: %(default)s)",
    )
    add("--budget", type=float, default=420, metavar="SECONDS",
        help="time for all measurements; those that do not fit in are skipped (default: %(default)s)")  # fmt: skip
    add("--output", type=Path, default=Path("results/gpu/figures"), metavar="FILE",
        help="where FILE.json and FILE.md are written (default: %(default)s)")  # fmt: skip
    add("--page", type=Path, metavar="FILE", help="also fill the figures of this page (default: no page)")
    return made


def main() -> None:
    parsed = parser().parse_args()
    from ops.benchmark import GPUBenchmarkOptions, run_gpu_benchmark  # takes longer to import than to say --help
    from tests.oracle.networks import ORACLES

    run_gpu_benchmark(GPUBenchmarkOptions(**vars(parsed)), ORACLES["msn"])


if __name__ == "__main__":
    run_script(main)
