#!/usr/bin/env python3
"""Run a script in several processes, on one machine or more: PyTorch's torchrun, whose own failures are one line.

    python scripts/shared/torchrun.py --nnodes=2 --node-rank=0 --master-addr=gpu01 --nproc_per_node=8 main.py ...
    python scripts/shared/torchrun.py --help

All options are torchrun's. The exit status is the script's, or 2 where the machines do not meet.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))  # ops/, from any working directory

from ops.runtime import run_script


def main() -> None:
    from ops.runtime import run_torchrun  # after run_script has set how much PyTorch's C++ prints

    run_torchrun(sys.argv[1:])


if __name__ == "__main__":
    run_script(main)
