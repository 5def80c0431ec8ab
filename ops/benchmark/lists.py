"""What scripts/benchmarks/benchmark.py lists measures: reading the list of a very large data set."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

NUM_CLASSES = 400
ROOT = Path(__file__).resolve().parents[2]
# In a process of its own: its peak is that of what is measured.
READING = """
import json, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from ops.benchmark.memory import process_peak
from ops.data import DatasetOptions, read_list, resolve_dataset
root = Path(sys.argv[1])
spec = resolve_dataset(DatasetOptions(
    name="large", root_path=str(root), train_list="list.txt", val_list="list.txt", num_class=int(sys.argv[3]),
    class_names=None, image_tmpl="{:05d}.jpg", storage="videos", split=None, dataset_config=None,
))
wall, cpu = time.perf_counter(), time.process_time()
videos = read_list(root / "list.txt", spec)
videos.digest()
seconds = time.perf_counter() - wall, time.process_time() - cpu
print(json.dumps([len(videos), *seconds, process_peak()]))
"""


def read_long_list(num_videos: int) -> dict[str, float]:
    """Seconds and memory to read a list of video files, and to tell its digest, as every run does at its start."""
    with tempfile.TemporaryDirectory() as folder:
        with open(Path(folder) / "list.txt", "w") as file:
            for number in range(num_videos):
                label = number % NUM_CLASSES
                file.write(f"class_{label:03d}/video_{number:09d}_000010.mp4 {label}\n")
        done = subprocess.run(
            [sys.executable, "-c", READING, folder, str(ROOT), str(NUM_CLASSES)], check=True, stdout=subprocess.PIPE
        )
    found, wall, cpu, peak = json.loads(done.stdout)
    return {
        "videos in the list": found,
        "seconds to read it": round(wall, 1),
        "CPU seconds": round(cpu, 1),
        "most memory of the process in MB": peak,
    }
