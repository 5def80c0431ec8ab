#!/usr/bin/env bash
# Tests a recipe of recipes/center_crop/ or recipes/three_crops/, reports, and continues an interrupted test.
#   bash scripts/test.sh RECIPE [options of the test script]
#   WEIGHTS=best.pth.tar ROOT=/data/something bash scripts/test.sh msn_something_v1_8f --amp bf16
#   bash scripts/test.sh msn_something_v1_8f_16f                  # 8 and 16 segments, and the average of both
#   WEIGHTS=TSM.pth bash scripts/test.sh twice_sample something   # a recipe for any data set: which one, behind it
# Options override the recipe, and so do these variables (recipes/README.md):
#   NUM_GPUS  number of GPU processes (default: 1)     WORKERS  data-loading worker processes per GPU process
#   ROOT      root folder of the data set              OUTPUT   folder for scores and results (default: results/RECIPE)
#   WEIGHTS   checkpoint; of two recipes together: WEIGHTS_8F and WEIGHTS_16F          AVERAGE  of pkl_to_results.py
#   SPLITS, CHECKPOINTS   splits to test (default: "1 2 3"); their weights are CHECKPOINTS_splitN/best.pth.tar
set -euo pipefail

recipe=${1:?expected the name of a recipe, as in: bash scripts/test.sh msn_something_v1_8f}
shift
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
results() { # options of pkl_to_results.py
    [[ -z ${AVERAGE:-} ]] || set -- --average "$AVERAGE" "$@"
    NUM_GPUS=1 bash "$here/shared/launch.sh" pkl_to_results.py --class_names "$root/classes.txt" "$@"
}
test_one() { # folder for the scores, options of the test script
    local folder=$1
    shift
    bash "$here/shared/launch.sh" "test_models_$views.py" "@$file" "${options[@]}" --output_dir "$folder" --resume_scores "$@"
    results --num_clips "$clips" --test_crops "$crops" --output_dir "$folder"
}
one=$recipe
[[ $recipe != *_8f_16f ]] || one=${recipe%_16f} # the first of two recipes
file=$(find "$here/.."/recipes/*_crop* -name "$one.args" -o -name "${one%_*f}.args" | sort | head -n 1)
[[ -f $file ]] || { echo "error: $one: expected a recipe of recipes/center_crop/ or recipes/three_crops/" >&2; exit 2; }
views=$(basename "$(dirname "$file")") clips=1 crops=1
[[ $views == center_crop ]] || clips=$(sed -n 's/^--num_clips //p' "$file") crops=3
clips=${clips:-10}
dataset=$(awk '!/^#/ && NF { print $1; exit }' "$file") name=${recipe#msn_}
[[ $dataset != [@-]* ]] || { dataset=${1:?expected a data set behind the recipe}; name=${name}_$dataset; }
root=${ROOT:-data/$dataset} output=${OUTPUT:-results/$name} options=()
[[ -z ${WORKERS:-} ]] || options+=(--workers "$WORKERS")
[[ -z ${ROOT:-} ]] || options+=(--root_path "$ROOT")
if [[ $recipe == *_8f_16f ]]; then
    WEIGHTS=${WEIGHTS_8F:-} OUTPUT=$output/8f bash "${BASH_SOURCE[0]}" "$one" "$@"
    WEIGHTS=${WEIGHTS_16F:-} OUTPUT=$output/16f bash "${BASH_SOURCE[0]}" "${one%_8f}_16f" "$@"
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
