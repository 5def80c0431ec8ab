#!/usr/bin/env bash
# Tests MSN-ResNet-50, 8 segments, on the official splits of a data set and reports each split and the mean: what
# test_ucf101_8f.sh and test_hmdb51_8f.sh have in common.
#
#   bash scripts/test_splits.sh DATASET [options of test_models_three_crops.py]
set -euo pipefail

dataset=$1
shift
export NUM_GPUS=${NUM_GPUS:-1}          # processes, one a GPU; the scores do not depend on it
WORKERS=${WORKERS:-8}                   # processes that decode, per process
ROOT=${ROOT:-data/$dataset}             # lists of the splits, classes.txt and what they name
SPLITS=${SPLITS:-1 2 3}                 # some of these
CHECKPOINTS=${CHECKPOINTS:-checkpoint/MSN_${dataset}_RGB_resnet50_avg_segment8}  # _splitN/best.pth.tar is appended
OUTPUT=${OUTPUT:-results/${dataset}_8f} # _splitN is appended

here=$(dirname "${BASH_SOURCE[0]}")
results=()
for split in $SPLITS; do
    folder=${OUTPUT}_split$split
    bash "$here/launch.sh" test_models_three_crops.py "$dataset" --root_path "$ROOT" --split "$split" \
        --archs resnet50 --weights "${CHECKPOINTS}_split$split/best.pth.tar" --test_segments 8 \
        --test_crops 3 --full_res --num_clips 10 --clip_index all \
        --batch_size 16 -j "$WORKERS" --output_dir "$folder" --resume_scores "$@"
    NUM_GPUS=1 bash "$here/launch.sh" pkl_to_results.py --num_clips 10 --test_crops 3 --output_dir "$folder" \
        --class_names "$ROOT/classes.txt"
    results+=("$folder/results.json")
done
NUM_GPUS=1 bash "$here/launch.sh" scripts/mean_results.py "${results[@]}"
