#!/usr/bin/env bash
# Tests MSN-ResNet-50, 8 segments, on the official splits of UCF101, 3 crops of 256 x 256 x 10 clips (this project's
# choice, as on Kinetics-400), and reports each split and the mean.
#
#   bash scripts/test_ucf101_8f.sh [splits] [options of test_models_three_crops.py]
#
# Splits are some of 1 2 3, all by default.
#
# The same command goes on where an interrupted run stopped; other settings need another OUTPUT or --overwrite.
set -euo pipefail

export NUM_GPUS=${NUM_GPUS:-1}          # processes, one a GPU; the scores do not depend on it
WORKERS=${WORKERS:-8}                   # processes that decode, per process
ROOT=${ROOT:-data/ucf101}               # lists of the splits, classes.txt and what they name
CHECKPOINTS=${CHECKPOINTS:-checkpoint/MSN_ucf101_RGB_resnet50_avg_segment8}  # _splitN/best.pth.tar is appended
OUTPUT=${OUTPUT:-results/ucf101_8f}     # _splitN is appended

splits=()
while [[ ${1:-} =~ ^[1-3]$ ]]; do
    splits+=("$1")
    shift
done
if ((${#splits[@]} == 0)); then
    splits=(1 2 3)
fi

here=$(dirname "${BASH_SOURCE[0]}")
results=()
for split in "${splits[@]}"; do
    folder=${OUTPUT}_split$split
    bash "$here/launch.sh" test_models_three_crops.py ucf101 --root_path "$ROOT" --split "$split" --archs resnet50 \
        --weights "${CHECKPOINTS}_split$split/best.pth.tar" --test_segments 8 \
        --test_crops 3 --full_res --num_clips 10 --clip_index all \
        --batch_size 16 -j "$WORKERS" --output_dir "$folder" --resume_scores "$@"
    NUM_GPUS=1 bash "$here/launch.sh" pkl_to_results.py --num_clips 10 --test_crops 3 --output_dir "$folder" \
        --class_names "$ROOT/classes.txt"
    results+=("$folder/results.json")
done
NUM_GPUS=1 bash "$here/launch.sh" scripts/mean_results.py "${results[@]}"
