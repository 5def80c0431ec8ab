#!/usr/bin/env bash
# Tests MSN-ResNet-50 on Something-Something V1, 16 segments, one centre crop of one clip, and reports.
#
#   bash scripts/test_something_v1_16f.sh [options of test_models_center_crop.py]
#   WEIGHTS=best.pth.tar ROOT=/data/something bash scripts/test_something_v1_16f.sh --amp bf16
#
# The same command goes on where an interrupted run stopped; other settings need another OUTPUT or --overwrite.
set -euo pipefail

export NUM_GPUS=${NUM_GPUS:-1}          # processes, one a GPU; the scores do not depend on it
WORKERS=${WORKERS:-8}                   # processes that decode, per process
ROOT=${ROOT:-data/something}            # val.txt, classes.txt and what they name
WEIGHTS=${WEIGHTS:-checkpoint/MSN_something_RGB_resnet50_avg_segment16/best.pth.tar}
OUTPUT=${OUTPUT:-results/something_v1_16f}

here=$(dirname "${BASH_SOURCE[0]}")
bash "$here/launch.sh" test_models_center_crop.py something --root_path "$ROOT" --archs resnet50 \
    --weights "$WEIGHTS" --test_segments 16 --test_crops 1 --clip_index 0 \
    --batch_size 16 -j "$WORKERS" --output_dir "$OUTPUT" --resume_scores "$@"
NUM_GPUS=1 bash "$here/launch.sh" pkl_to_results.py --num_clips 1 --test_crops 1 --output_dir "$OUTPUT" \
    --class_names "$ROOT/classes.txt"
