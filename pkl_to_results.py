"""Average score pickles over clips and crops (and over two folders), and report top-1, top-5 and classes.

python pkl_to_results.py --num_clips 10 --test_crops 3 --output_dir results
"""

import sys

from ops.runtime import run_script
from ops.settings import parse_results
from ops.visual import draw_confusion


def main() -> None:
    config = parse_results()
    if sys.stderr.isatty():
        print(config.headline(), file=sys.stderr)
    from ops.evaluation import compute_results, load_class_names, report, write_results  # slow to import

    results = compute_results(config)
    names = load_class_names(config, results)
    print(report(results, names, config.per_class))
    picture = draw_confusion(results.confusion, names, results.accuracies, results.protocol)
    paths = write_results(results, names, config.folders, picture)
    print("results:", ", ".join(map(str, paths)))


if __name__ == "__main__":
    run_script(main)
