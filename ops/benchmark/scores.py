"""What scripts/benchmarks/benchmark.py scores measures: pkl_to_results.py on the score files of a large test."""

import os
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SCRIPT = Path(__file__).resolve().parents[2] / "pkl_to_results.py"
CLASSES, CLIPS, CROPS = 400, 10, 3
# Runs a script as its own command does, then prints on the last line the most memory that its process took.
WITH_PEAK = """
import runpy, sys
from pathlib import Path
sys.argv = sys.argv[1:]
sys.path.insert(0, str(Path(sys.argv[0]).parent))
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    from ops.benchmark.memory import process_peak
    print(process_peak())
"""


def score_views(num_videos: int) -> dict[str, float]:
    """Seconds and MB that pkl_to_results.py takes, imports included, for 30 views of ``num_videos`` videos."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, num_videos)
    with tempfile.TemporaryDirectory() as folder:
        for clip in range(CLIPS):
            for crop in range(CROPS):
                scores = rng.standard_normal((num_videos, 1, CLASSES), dtype=np.float32)
                rows = [[row, int(label)] for row, label in zip(scores, labels, strict=True)]
                Path(folder, f"{clip}_crop{crop}.pkl").write_bytes(pickle.dumps(rows, protocol=4))
        command = [sys.executable, "-c", WITH_PEAK, str(SCRIPT), "--num_clips", str(CLIPS), "--test_crops",
                   str(CROPS), "--output_dir", folder]  # fmt: skip
        start = time.perf_counter()
        done = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
        seconds = time.perf_counter() - start
    return {
        "seconds of pkl_to_results.py": round(seconds, 1),
        "its most memory in MB": int(done.stdout.splitlines()[-1]),
    }
