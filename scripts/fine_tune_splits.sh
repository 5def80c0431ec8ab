#!/usr/bin/env bash
# Fine-tunes MSN-ResNet-50, 8 segments, on the official splits of a data set: what train_ucf101_8f.sh and
# train_hmdb51_8f.sh have in common.
#
#   bash scripts/fine_tune_splits.sh DATASET [options of main.py]
set -euo pipefail

dataset=$1
shift
export NUM_GPUS=${NUM_GPUS:-2}          # processes, one a GPU
BATCH_SIZE=${BATCH_SIZE:-8}             # videos a process
WORKERS=${WORKERS:-8}                   # processes that decode, per process
ROOT=${ROOT:-data/$dataset}             # lists of the splits, classes.txt and what they name
SPLITS=${SPLITS:-1 2 3}                 # some of these
TUNE_FROM=${TUNE_FROM:-checkpoint/MSN_kinetics_RGB_resnet50_avg_segment8/best.pth.tar}

here=$(dirname "${BASH_SOURCE[0]}")
for split in $SPLITS; do
    bash "$here/launch.sh" main.py "$dataset" RGB --root_path "$ROOT" --split "$split" --suffix "split$split" \
        --arch resnet50 --num_segments 8 --tune_from "$TUNE_FROM" --consensus_type avg --dropout 0.8 --npb \
        --epochs 25 --batch-size "$BATCH_SIZE" --lr 0.001 --lr_batch_size 16 --lr_scheduler step --lr_steps 10 20 \
        --wd 5e-4 --gd 20 --eval-freq 1 -j "$WORKERS" --resume auto "$@"
done
