#!/usr/bin/env bash
# Trains a recipe of recipes/, and resumes where an interrupted run stopped.
#
#   bash scripts/train.sh RECIPE [options of main.py]
#   NUM_GPUS=8 ROOT=/data/something bash scripts/train.sh msn_something_v1_8f --amp bf16
#   NUM_GPUS=8 bash scripts/train.sh tsm_something somethingv2 RGB    # a recipe for several data sets: which one, behind it
#
# RECIPE is the name of a recipe or a file of options. Options override it, and so do these variables:
#   NUM_GPUS    number of GPU processes (default: 2); the learning rate is scaled to NUM_GPUS x BATCH_SIZE
#   BATCH_SIZE  videos in a batch, per GPU process
#   WORKERS     data-loading worker processes per GPU process
#   ROOT        root folder of the data set: train.txt, val.txt, classes.txt and what they name
#   PRETRAIN    imagenet, none, or a file of ImageNet weights
#   TUNE_FROM   checkpoint to fine-tune from
#   SPLITS      of a data set with official splits: those to train on (default: "1 2 3")
set -euo pipefail

recipe=${1:?expected the name of a recipe, as in: bash scripts/train.sh msn_something_v1_8f}
shift
export NUM_GPUS=${NUM_GPUS:-2}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
recipes=$(dirname "$here")/recipes
file=$recipe
[[ -f $file ]] || file=$recipes/$recipe.args
options=(--resume auto)
[[ -z ${BATCH_SIZE:-} ]] || options+=(--batch-size "$BATCH_SIZE")
[[ -z ${WORKERS:-} ]] || options+=(--workers "$WORKERS")
[[ -z ${ROOT:-} ]] || options+=(--root_path "$ROOT")
[[ -z ${PRETRAIN:-} ]] || options+=(--pretrain "$PRETRAIN")
[[ -z ${TUNE_FROM:-} ]] || options+=(--tune_from "$TUNE_FROM")

if ! grep -qs '^--split ' "$file"; then
    exec bash "$here/shared/launch.sh" main.py "@$file" "${options[@]}" "$@"
fi
for split in ${SPLITS:-1 2 3}; do
    bash "$here/shared/launch.sh" main.py "@$file" --split "$split" --suffix "split$split" "${options[@]}" "$@"
done
