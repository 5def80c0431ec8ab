"""What each network costs: parameters, multiply-adds, memory, latency, clips a second.

python scripts/benchmarks/complexity.py   (all networks, resnet50, 8 segments, 224 px)
python scripts/benchmarks/complexity.py --arch resnet18 resnet101 --segments 8 16 --csv costs.csv
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # ops/, from any working directory

from ops.models import ARCHS, NETWORKS
from ops.runtime import OneLineParser, processors, run_script


def parser() -> OneLineParser:
    made = OneLineParser(description="Say what networks cost: parameters, multiply-adds, memory, time.")
    add = made.add_argument
    add("--model", nargs="+", default=list(NETWORKS), choices=NETWORKS, help="networks to measure (default: all four)")
    add("--arch", nargs="+", default=["resnet50"], choices=ARCHS, help="backbones to measure (default: resnet50)")
    add("--segments", type=int, nargs="+", default=[8], metavar="T", help="numbers of segments (default: 8)")
    add("--input_size", type=int, nargs="+", default=[224], metavar="PIXELS", help="crops, in pixels (default: 224)")
    add("--num_class", type=int, default=174, metavar="K", help="number of classes (default: %(default)s)")
    add("--batch_size", type=int, default=4, metavar="N", help="clips in a batch for clips/s (default: %(default)s)")
    add(
        "--rounds",
        type=int,
        default=5,
        metavar="N",
        help="timed forward passes of each network; 0 only counts, which takes no computation (default: %(default)s)",
    )
    add("--threads", type=int, default=processors(), metavar="N", help="CPU threads (default: %(default)s here)")
    add("--device", default="cpu", choices=("cpu", "cuda"), help="where the time is measured (default: %(default)s)")
    add("--csv", type=Path, metavar="FILE", help="also write the table to this file (default: print only)")
    add("--plot", type=Path, metavar="PNG", help="also plot the costs against GMAC (default: no plot)")
    return made


def main() -> None:
    parsed = parser().parse_args()
    from ops.benchmark import ComplexityOptions, report_complexity  # takes longer to import than to say --help

    report_complexity(ComplexityOptions(**vars(parsed)))


if __name__ == "__main__":
    run_script(main)
