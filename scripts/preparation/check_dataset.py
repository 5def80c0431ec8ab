#!/usr/bin/env python3
"""Decode every video of lists from its first frame to its last, and report what is wrong with lists and videos.

    python scripts/preparation/check_dataset.py something -j 8                  its training and its validation list
    python scripts/preparation/check_dataset.py ucf101 --split 2 --write_clean
    python scripts/preparation/check_dataset.py data/mine/train.txt             with data/mine/dataset.toml

Beside each list (or in --report DIR) two reports are written, LIST_check.txt and LIST_check.csv, and with --write_clean
the list without what cannot be used, LIST_clean.txt. A video that crashes or hangs its decoder is reported, and the
check continues. After an interruption the same command continues.
Exit status: 0 nothing is wrong, 1 something is, 2 the command is wrong, 130 interrupted.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # ops/, from any working directory

from ops.preparation import add_shard_options, shard_of
from ops.runtime import OneLineParser, number_type, processors, run_script
from ops.settings import add_source_arguments, resolve_sources


def parser() -> OneLineParser:
    made = OneLineParser(description="Decode every video of a data set and report what is wrong.")
    add_source_arguments(made)
    add = made.add_argument_group("check").add_argument
    add("-j", "--jobs", type=number_type(int, 1), default=processors(), metavar="N",
        help="number of worker processes (default: one per processor, here %(default)s)")  # fmt: skip
    add("--timeout", type=number_type(float, 0), default=300.0, metavar="SECONDS",
        help="report a video that takes longer than this as unreadable; 0 disables (default: %(default)g)",
        )  # fmt: skip
    add("--report", type=Path, metavar="DIR", help="folder to write the reports to (default: the folder of each list)")
    add("--write_clean", action="store_true",
        help="also write LIST_clean.txt, the list without what cannot be used (default: reports only)")  # fmt: skip
    add("--verify_frames", action="store_true",
        help="also compare random frames, as training reads them, with decoding the video from end to end "
        "(default: do not compare)")  # fmt: skip
    add_shard_options(made)
    return made


def main() -> None:
    parsed = parser().parse_args()
    from ops.preparation import CheckOptions, check_lists  # takes longer to import than to say --help

    spec, lists = resolve_sources(parsed)
    options = CheckOptions(
        parsed.decoder, parsed.jobs, parsed.timeout, parsed.report, parsed.write_clean, parsed.verify_frames,
        shard_of(parsed), parsed.status,
    )  # fmt: skip
    sys.exit(check_lists(spec, lists, options))


if __name__ == "__main__":
    run_script(main)
