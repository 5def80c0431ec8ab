#!/usr/bin/env bash
# Runs one of the repository's Python scripts in NUM_GPUS processes, one a GPU, from any folder.
#
#   NUM_GPUS=4 bash scripts/shared/launch.sh main.py something RGB --num_segments 8
#   NUM_NODES=2 NODE_RANK=1 MASTER_ADDR=gpu01 NUM_GPUS=8 bash scripts/shared/launch.sh ...   # on the second of two machines
#
# NUM_GPUS counts those of this machine; MASTER_ADDR is the first machine, which listens at MASTER_PORT (default: 29500).
# PYTHON is the interpreter (default: python), TORCHRUN further options of torchrun, e.g. "--max-restarts=3". train.sh and test.sh start everything through this.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
script=$1
shift
if ((${NUM_NODES:-1} > 1)); then
    : "${NODE_RANK:?expected NODE_RANK, from 0 to NUM_NODES - 1}" "${MASTER_ADDR:?expected MASTER_ADDR, the first machine}"
    launcher=(--nnodes="$NUM_NODES" --node-rank="$NODE_RANK" --master-addr="$MASTER_ADDR" --master-port="${MASTER_PORT:-29500}")
elif ((${NUM_GPUS:-1} > 1)); then
    launcher=(--standalone)
fi
if [[ -n ${launcher:-} ]]; then
    read -ra options <<<"${TORCHRUN:-}"
    launcher=(
        "$repository/ops/runtime/hosts/torchrun.py" "${launcher[@]}" --nproc_per_node="${NUM_GPUS:-1}"
        ${options[@]+"${options[@]}"}
    )
fi
exec "${PYTHON:-python}" ${launcher[@]+"${launcher[@]}"} "$repository/$script" "$@"
