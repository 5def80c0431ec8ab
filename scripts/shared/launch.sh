#!/usr/bin/env bash
# Runs one of the repository's Python scripts in NUM_GPUS processes, one a GPU, from any folder.
#
#   NUM_GPUS=4 bash scripts/shared/launch.sh main.py something RGB --num_segments 8
#
# PYTHON is the interpreter (default: python). train.sh and test.sh start everything through this.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
script=$1
shift
if ((${NUM_GPUS:-1} > 1)); then
    launcher=(-m torch.distributed.run --standalone --nproc_per_node="$NUM_GPUS")
fi
exec "${PYTHON:-python}" ${launcher[@]+"${launcher[@]}"} "$repository/$script" "$@"
