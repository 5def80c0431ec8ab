"""Score one centre crop of one clip a video (or of several clips) with one or several models.

python test_models_center_crop.py something --archs resnet50 --weights best.pth.tar --output_dir results
"""

from ops.evaluation import score_views
from ops.runtime import distributed, run_script, setup_logger
from ops.settings import TestScript, parse_test

SCRIPT = TestScript(
    "test_models_center_crop.py",
    num_crops=1,
    num_clips=1,
    description="Score one centre crop of one clip a video (or of several clips) with one or several models.",
)


def main() -> None:
    config = parse_test(SCRIPT)
    setup_logger(distributed.is_main())
    device = distributed.pick_device(config.gpus)
    with distributed.process_group(device):
        score_views(config, device)


if __name__ == "__main__":
    run_script(main)
