"""Score three crops of one clip per video (or of several clips) with one or several networks.

python test_models_three_crops.py kinetics --weights best.pth.tar --full_res --clip_index all --output_dir results
"""

from ops.evaluation import run_test_script
from ops.runtime import run_script
from ops.settings import TestScript

SCRIPT = TestScript(
    "test_models_three_crops.py",
    num_crops=3,
    num_clips=10,
    description="Score three crops of one clip per video (or of several clips) with one or several networks.",
)


def main() -> None:
    run_test_script(SCRIPT)


if __name__ == "__main__":
    run_script(main)
