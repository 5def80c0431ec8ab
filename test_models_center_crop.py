"""Score one center crop of one clip per video (or of several clips) with one or several networks.

python test_models_center_crop.py something --archs resnet50 --weights best.pth.tar --output_dir results
"""

from ops.evaluation import run_test_script
from ops.runtime import run_script
from ops.settings import TestScript

SCRIPT = TestScript(
    "test_models_center_crop.py",
    num_crops=1,
    num_clips=1,
    description="Score one center crop of one clip per video (or of several clips) with one or several networks.",
)


def main() -> None:
    run_test_script(SCRIPT)


if __name__ == "__main__":
    run_script(main)
