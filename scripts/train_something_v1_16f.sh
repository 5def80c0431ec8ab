#!/usr/bin/env bash
# Trains MSN-ResNet-50 on Something-Something V1, 16 segments.
# The published recipe is for 8 segments; the settings are the same, with fewer videos a process for the memory's sake.
#
#   bash scripts/train_something_v1_16f.sh [options of main.py]
#   NUM_GPUS=8 ROOT=/data/something bash scripts/train_something_v1_16f.sh --amp bf16
#
# The learning rate is for 16 videos a step, as published (2 processes of 8), and is scaled to NUM_GPUS x BATCH_SIZE.
# The same command goes on where an interrupted run stopped.
set -euo pipefail

export NUM_GPUS=${NUM_GPUS:-2}          # processes, one a GPU
BATCH_SIZE=${BATCH_SIZE:-4}             # videos a process
WORKERS=${WORKERS:-8}                   # processes that decode, per process
ROOT=${ROOT:-data/something}            # train.txt, val.txt, classes.txt and what they name
PRETRAIN=${PRETRAIN:-imagenet}          # or a file of ImageNet weights

here=$(dirname "${BASH_SOURCE[0]}")
exec bash "$here/launch.sh" main.py something RGB --root_path "$ROOT" \
    --arch resnet50 --num_segments 16 --pretrain "$PRETRAIN" --consensus_type avg --dropout 0.5 --npb \
    --epochs 60 --batch-size "$BATCH_SIZE" --lr 0.01 --lr_batch_size 16 --lr_scheduler step --lr_steps 30 45 55 \
    --wd 5e-4 --gd 20 --eval-freq 1 -j "$WORKERS" --resume auto "$@"
