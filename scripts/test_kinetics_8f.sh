#!/usr/bin/env bash
# Tests MSN-ResNet-50 on Kinetics-400, 8 segments, 3 crops of 256 x 256 x 10 clips, and reports.
#
#   bash scripts/test_kinetics_8f.sh [options of test_models_three_crops.py]
#   WEIGHTS=best.pth.tar ROOT=/data/kinetics bash scripts/test_kinetics_8f.sh --amp bf16
#
# The same command goes on where an interrupted run stopped; other settings need another OUTPUT or --overwrite.
set -euo pipefail

export NUM_GPUS=${NUM_GPUS:-1}          # processes, one a GPU; the scores do not depend on it
WORKERS=${WORKERS:-8}                   # processes that decode, per process
ROOT=${ROOT:-data/kinetics}             # val.txt, classes.txt and what they name
WEIGHTS=${WEIGHTS:-checkpoint/MSN_kinetics_RGB_resnet50_avg_segment8/best.pth.tar}
OUTPUT=${OUTPUT:-results/kinetics_8f}

here=$(dirname "${BASH_SOURCE[0]}")
bash "$here/launch.sh" test_models_three_crops.py kinetics --root_path "$ROOT" --archs resnet50 \
    --weights "$WEIGHTS" --test_segments 8 --test_crops 3 --full_res --num_clips 10 --clip_index all \
    --batch_size 16 -j "$WORKERS" --output_dir "$OUTPUT" --resume_scores "$@"
NUM_GPUS=1 bash "$here/launch.sh" pkl_to_results.py --num_clips 10 --test_crops 3 --output_dir "$OUTPUT" \
    --class_names "$ROOT/classes.txt"
