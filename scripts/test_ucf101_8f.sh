#!/usr/bin/env bash
# Tests MSN-ResNet-50, 8 segments, on the official splits of UCF101, 3 crops of 256 x 256 x 10 clips (this project's
# choice, as on Kinetics-400), and reports each split and the mean.
#
#   bash scripts/test_ucf101_8f.sh [options of test_models_three_crops.py]
#   SPLITS=1 ROOT=/data/ucf101 bash scripts/test_ucf101_8f.sh --amp bf16
#
# Variables are those of test_splits.sh. The same command goes on where an interrupted run stopped; other settings need
# another OUTPUT or --overwrite.
set -euo pipefail

exec bash "$(dirname "${BASH_SOURCE[0]}")/test_splits.sh" ucf101 "$@"
