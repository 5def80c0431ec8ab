"""Train the four networks, and MSN without each of its modules, alike on the synthetic motion set, and write a page.

    python scripts/benchmarks/study.py
    python scripts/benchmarks/study.py --compare recipes --seeds 3 --results docs/recipes.json

writes docs/study.json (results), docs/study.md (the page) and docs/study.png (its plot).
Finished runs are kept in the file of results. The same command continues an interrupted study and its interrupted run;
when all runs are finished, it only writes the page again.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # ops/, from any working directory

from ops.models import ARCHS
from ops.runtime import OneLineParser, run_script


def parser() -> OneLineParser:
    made = OneLineParser(description="Compare the four networks, and MSN without each module, on the motion set.")
    add = made.add_argument
    files = "file of results; the page and the plot are written beside it (default: %(default)s)"
    add("--results", type=Path, default=Path("docs/study.json"), metavar="FILE", help=files)
    add("--folder", type=Path, default=Path("data/study"), metavar="DIR", help="data and runs (default: %(default)s)")
    add("--seeds", type=int, default=2, metavar="N", help="runs of each network and set (default: %(default)s)")
    add("--compare", default="networks", choices=("networks", "recipes"),
        help="what differs between runs: networks, or options of training (default: %(default)s)")  # fmt: skip
    add("--limit", type=int, metavar="N", help="stop after N runs; 0 only writes the page (default: all runs)")
    add("--arch", default="resnet10", choices=ARCHS, help="backbone of all runs (default: %(default)s)")
    add("--segments", type=int, default=4, metavar="T", help="segments of a clip (default: %(default)s)")
    add("--input_size", type=int, default=32, metavar="PIXELS", help="frame size in training (default: %(default)s)")
    add("--rendered", type=int, default=36, metavar="PIXELS", help="frame size of the videos (default: %(default)s)")
    add("--train", type=int, default=840, metavar="N", help="training clips of each set (default: %(default)s)")
    add("--val", type=int, default=280, metavar="N", help="validation clips of each set (default: %(default)s)")
    add("--epochs", type=int, default=3, metavar="N", help="epochs of a run (default: %(default)s)")
    add("--batch_size", type=int, default=16, metavar="N", help="clips in a batch (default: %(default)s)")
    add("--lr", type=float, default=0.014, metavar="LR", help="initial learning rate (default: %(default)s)")
    return made


def main() -> None:
    parsed = parser().parse_args()
    from ops.benchmark import Schedule, StudyOptions, make_study  # takes longer to import than to say --help

    schedule = Schedule(
        parsed.arch, parsed.segments, parsed.input_size, parsed.rendered, parsed.train, parsed.val, parsed.epochs,
        parsed.batch_size, parsed.lr,
    )  # fmt: skip
    for path in make_study(
        StudyOptions(schedule, parsed.results, parsed.folder, parsed.seeds, parsed.limit, parsed.compare)
    ):
        print(f"wrote {path}")


if __name__ == "__main__":
    run_script(main)
