#!/usr/bin/env bash
# Fine-tunes MSN-ResNet-50, 8 segments, on the official splits of UCF101, from weights trained on Kinetics-400.
#
#   bash scripts/train_ucf101_8f.sh [options of main.py]
#   NUM_GPUS=8 SPLITS="1 3" TUNE_FROM=kinetics.pth.tar bash scripts/train_ucf101_8f.sh --storage frames
#
# The published recipes leave UCF101 out: the settings, in fine_tune_splits.sh, are this project's choice, after what is
# usual for fine-tuning, and not tuned. The learning rate is for 16 videos a step and is scaled to
# NUM_GPUS x BATCH_SIZE. The same command goes on where an interrupted run stopped.
set -euo pipefail

exec bash "$(dirname "${BASH_SOURCE[0]}")/fine_tune_splits.sh" ucf101 "$@"
