#!/usr/bin/env bash
# Tests a recipe of recipes/center_crop/ or recipes/three_crops/, reports, and continues an interrupted test.
#   bash scripts/test.sh RECIPE [options of the test script]
#   WEIGHTS=best.pth.tar ROOT=/data/something bash scripts/test.sh msn_something_v1_8f --amp bf16
#   bash scripts/test.sh msn_something_v1_8f_16f      # 8 and 16 segments, and both averaged after the softmax
# Options override the recipe, and so do these variables (recipes/README.md):
#   NUM_GPUS  number of GPU processes (default: 1)     WORKERS  data-loading worker processes per GPU process
#   ROOT      root folder of the data set              OUTPUT   folder for scores and results (default: results/RECIPE)
#   WEIGHTS   checkpoint; of two recipes together: WEIGHTS_8F and WEIGHTS_16F
#   SPLITS, CHECKPOINTS   splits to test (default: "1 2 3"); their weights are CHECKPOINTS_splitN/best.pth.tar
set -euo pipefail

recipe=${1:?expected the name of a recipe, as in: bash scripts/test.sh msn_something_v1_8f}
shift
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
recipes=$(dirname "$here")/recipes
output=${OUTPUT:-results/${recipe#msn_}}
results() { # options of pkl_to_results.py
    NUM_GPUS=1 bash "$here/shared/launch.sh" pkl_to_results.py --class_names "$root/classes.txt" "$@"
}
test_one() { # folder for the scores, options of the test script
    local folder=$1
    shift
    bash "$here/shared/launch.sh" "test_models_$views.py" "@$file" "${options[@]}" --output_dir "$folder" --resume_scores "$@"
    results --num_clips "$clips" --test_crops "$crops" --output_dir "$folder"
}
pair=
if [[ $recipe == *_8f_16f ]]; then
    pair=${recipe%_8f_16f}
    recipe=${pair}_8f
fi
views=center_crop clips=1 crops=1
[[ -f $recipes/$views/$recipe.args ]] || views=three_crops clips=10 crops=3
file=$recipes/$views/$recipe.args
[[ -f $file ]] || { echo "error: $recipe: expected a recipe of recipes/center_crop/ or recipes/three_crops/" >&2; exit 2; }
root=${ROOT:-data/$(awk '!/^#/ && NF { print $1; exit }' "$file")}
options=()
[[ -z ${WORKERS:-} ]] || options+=(--workers "$WORKERS")
[[ -z ${ROOT:-} ]] || options+=(--root_path "$ROOT")
if [[ -n $pair ]]; then
    WEIGHTS=${WEIGHTS_8F:-} OUTPUT=$output/8f bash "${BASH_SOURCE[0]}" "${pair}_8f" "$@"
    WEIGHTS=${WEIGHTS_16F:-} OUTPUT=$output/16f bash "${BASH_SOURCE[0]}" "${pair}_16f" "$@"
    echo "8 and 16 segments together:"
    results --num_clips "$clips" --test_crops "$crops" --multi_segments \
        --output_dir "$output/8f" --output_dir1 "$output/16f"
elif grep -q '^--split ' "$file"; then
    reports=()
    weights=$(sed -n 's/^--weights //p' "$file")
    for split in ${SPLITS:-1 2 3}; do
        path=${weights/_split1/_split$split}
        [[ -z ${CHECKPOINTS:-} ]] || path=${CHECKPOINTS}_split$split/best.pth.tar
        test_one "${output}_split$split" --split "$split" --weights "$path" "$@"
        reports+=("${output}_split$split/results.json")
    done
    NUM_GPUS=1 bash "$here/shared/launch.sh" scripts/mean_results.py "${reports[@]}"
else
    [[ -z ${WEIGHTS:-} ]] || options+=(--weights "$WEIGHTS")
    test_one "$output" "$@"
fi
