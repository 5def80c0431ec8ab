"""Say what training on many GPUs would give, by a cost model of its steps, and where it breaks.

python scripts/benchmarks/scaling.py                                   8, 64 and 512 GPUs on Kinetics-400
python scripts/benchmarks/scaling.py --set gflops=60000 cores_per_gpu=16
python scripts/benchmarks/scaling.py --measure 1 2 4                   the model against processes of this host
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # ops/, from any working directory

from ops.models import ARCHS
from ops.runtime import OneLineParser, number_type, run_script


def parser() -> OneLineParser:
    made = OneLineParser(description="Say what training on many GPUs would give, and where it breaks.")
    add = made.add_argument
    add("--gpus", type=number_type(int, 1), nargs="+", default=[8, 64, 512], metavar="N",
        help="numbers of GPUs (default: 8 64 512)")  # fmt: skip
    add("--set", nargs="+", default=[], metavar="NAME=NUMBER",
        help="assumptions in place of those in the table (default: the table of docs/scaling.md)")  # fmt: skip
    add("--measure", type=number_type(int, 1), nargs="+", default=[], metavar="P",
        help="train in P processes of this host and compare the model with the clock (default: only the model)",
        )  # fmt: skip
    add("--arch", default="resnet18", choices=ARCHS, help="backbone that is measured (default: %(default)s)")
    add("--steps", type=number_type(int, 4), default=15, metavar="N", help="steps to measure (default: %(default)s)")
    return made


def main() -> None:
    parsed = parser().parse_args()
    from ops.benchmark import ScalingOptions, report_scaling  # takes longer to import than to say --help

    report_scaling(
        ScalingOptions(tuple(parsed.gpus), tuple(parsed.set), tuple(parsed.measure), parsed.arch, parsed.steps)
    )


if __name__ == "__main__":
    run_script(main)
