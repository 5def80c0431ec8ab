#!/usr/bin/env bash
# Fine-tunes MSN-ResNet-50, 8 segments, on the official splits of UCF101, from weights trained on Kinetics-400.
#
#   bash scripts/train_ucf101_8f.sh [splits] [options of main.py]
#   NUM_GPUS=8 TUNE_FROM=kinetics.pth.tar bash scripts/train_ucf101_8f.sh 1 --storage frames
#
# Splits are some of 1 2 3, all by default.
# The published recipes leave UCF101 out: these settings are this project's choice, after what is usual for
# fine-tuning, and not tuned. The learning rate is for 16 videos a step and is scaled to NUM_GPUS x BATCH_SIZE.
# The same command goes on where an interrupted run stopped.
set -euo pipefail

export NUM_GPUS=${NUM_GPUS:-2}          # processes, one a GPU
BATCH_SIZE=${BATCH_SIZE:-8}             # videos a process
WORKERS=${WORKERS:-8}                   # processes that decode, per process
ROOT=${ROOT:-data/ucf101}               # lists of the splits, classes.txt and what they name
TUNE_FROM=${TUNE_FROM:-checkpoint/MSN_kinetics_RGB_resnet50_avg_segment8/best.pth.tar}

splits=()
while [[ ${1:-} =~ ^[1-3]$ ]]; do
    splits+=("$1")
    shift
done
if ((${#splits[@]} == 0)); then
    splits=(1 2 3)
fi

here=$(dirname "${BASH_SOURCE[0]}")
for split in "${splits[@]}"; do
    bash "$here/launch.sh" main.py ucf101 RGB --root_path "$ROOT" --split "$split" --suffix "split$split" \
        --arch resnet50 --num_segments 8 --tune_from "$TUNE_FROM" --consensus_type avg --dropout 0.8 --npb \
        --epochs 25 --batch-size "$BATCH_SIZE" --lr 0.001 --lr_batch_size 16 --lr_scheduler step --lr_steps 10 20 \
        --wd 5e-4 --gd 20 --eval-freq 1 -j "$WORKERS" --resume auto "$@"
done
