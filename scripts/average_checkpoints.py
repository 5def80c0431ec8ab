#!/usr/bin/env python3
"""Write the mean of several checkpoints of one network, with BatchNorm statistics measured again on training clips.

    python scripts/average_checkpoints.py checkpoint/RUN/5[0-9]_epoch_ckpt.pth.tar --out averaged.pth.tar

The data set is that of training, as the first checkpoint says, unless options say otherwise. Test the result like any
other checkpoint.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # ops/, from any working directory

from ops.checkpoints import WEIGHTS_KINDS
from ops.data import DatasetOptions
from ops.runtime import OneLineParser, add_options, number_type, run_script, take
from ops.settings import DecoderSettings


def parser() -> OneLineParser:
    made = OneLineParser(description="Write the mean of several checkpoints of one network.")
    add, one = made.add_argument, number_type(int, 1)
    add("checkpoints", type=Path, nargs="+", metavar="CHECKPOINT", help="checkpoints of one network (required)")
    add("--out", type=Path, required=True, metavar="FILE", help="file to write; it must not exist yet (required)")
    add("--weights_kind", default="raw", choices=WEIGHTS_KINDS,
        help="the weights that were trained, or their moving average of --ema (default: %(default)s)")  # fmt: skip
    add("--num_videos", type=one, default=1000, metavar="N",
        help="training videos on which BatchNorm statistics are measured (default: %(default)s)")  # fmt: skip
    add("--batch_size", type=one, default=16, metavar="N", help="videos in a batch (default: %(default)s)")
    add("-j", "--workers", type=number_type(int, 0), default=8, metavar="N",
        help="number of data-loading worker processes (default: %(default)s)")  # fmt: skip
    add("--seed", type=number_type(int, 0), default=0, metavar="N", help="seed of the clips (default: %(default)s)")
    add_options(made, DatasetOptions, without=("name",))
    add_options(made, DecoderSettings)
    return made


def main() -> None:
    parsed = parser().parse_args()
    from ops.runtime import distributed  # PyTorch takes longer to import than to say --help
    from ops.training import AverageOptions, average_checkpoints

    values = vars(parsed)
    data = take(DatasetOptions, values, name="")  # removes its options from the values
    print(average_checkpoints(AverageOptions(data=data, **values), distributed.pick_device(None)))


if __name__ == "__main__":
    run_script(main)
