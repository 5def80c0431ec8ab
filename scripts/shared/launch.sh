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
require() { # NAME VALUE LOW HIGH
    [[ $2 =~ ^(0|[1-9][0-9]*)$ ]] && (($2 >= $3 && $2 <= $4)) && return
    echo "error: expected $1 to be a whole number from $3 to $4, got '$2'" >&2
    exit 2
}
nodes=${NUM_NODES:-1} gpus=${NUM_GPUS:-1} port=${MASTER_PORT:-29500}
require NUM_NODES "$nodes" 1 65535
require NUM_GPUS "$gpus" 1 1024
if ((nodes > 1)); then
    require NODE_RANK "${NODE_RANK:-}" 0 $((nodes - 1))
    require MASTER_PORT "$port" 1 65535
    [[ -n ${MASTER_ADDR:-} ]] || { echo "error: expected MASTER_ADDR to be the first machine, got none" >&2; exit 2; }
    launcher=(--nnodes="$nodes" --node-rank="$NODE_RANK" --master-addr="$MASTER_ADDR" --master-port="$port")
elif ((gpus > 1)); then
    launcher=(--standalone)
fi
if [[ -n ${launcher:-} ]]; then
    read -ra options <<<"${TORCHRUN:-}"
    launcher=(
        "$repository/scripts/shared/torchrun.py" "${launcher[@]}" --nproc_per_node="$gpus"
        ${options[@]+"${options[@]}"}
    )
fi
exec "${PYTHON:-python}" ${launcher[@]+"${launcher[@]}"} "$repository/$script" "$@"
