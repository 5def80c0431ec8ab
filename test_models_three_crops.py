"""Score three crops of clips of each video with one or several models.

python test_models_three_crops.py kinetics --weights best.pth.tar --full_res --clip_index all --output_dir results
"""

from ops.evaluation import score_views
from ops.runtime import distributed, run_script, setup_logger
from ops.settings import TestScript, parse_test

SCRIPT = TestScript(
    "test_models_three_crops.py",
    num_crops=3,
    num_clips=10,
    description="Score three crops of clips of each video with one or several models.",
)


def main() -> None:
    config = parse_test(SCRIPT)
    setup_logger(distributed.is_main())
    device = distributed.pick_device(config.gpus)
    with distributed.process_group(device):
        score_views(config, device)


if __name__ == "__main__":
    run_script(main)
