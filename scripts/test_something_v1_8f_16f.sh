#!/usr/bin/env bash
# Tests the ensemble of the 8- and the 16-segment MSN-ResNet-50 on Something-Something V1, one centre crop of one
# clip each, averaged after the softmax, and reports.
#
#   bash scripts/test_something_v1_8f_16f.sh [options of test_models_center_crop.py]
#
# Other variables are those of test_something_v1_8f.sh. The scores of each network and the report on it are in the
# folders 8f and 16f of OUTPUT, the report on both in 8f/ensemble_results.txt.
set -euo pipefail

WEIGHTS_8F=${WEIGHTS_8F:-checkpoint/MSN_something_RGB_resnet50_avg_segment8/best.pth.tar}
WEIGHTS_16F=${WEIGHTS_16F:-checkpoint/MSN_something_RGB_resnet50_avg_segment16/best.pth.tar}
ROOT=${ROOT:-data/something}
OUTPUT=${OUTPUT:-results/something_v1_8f_16f}
export ROOT

here=$(dirname "${BASH_SOURCE[0]}")
WEIGHTS=$WEIGHTS_8F OUTPUT=$OUTPUT/8f bash "$here/test_something_v1_8f.sh" "$@"
WEIGHTS=$WEIGHTS_16F OUTPUT=$OUTPUT/16f bash "$here/test_something_v1_16f.sh" "$@"
echo "8 and 16 segments together:"
NUM_GPUS=1 bash "$here/launch.sh" pkl_to_results.py --num_clips 1 --test_crops 1 --multi_segments \
    --output_dir "$OUTPUT/8f" --output_dir1 "$OUTPUT/16f" --class_names "$ROOT/classes.txt"
