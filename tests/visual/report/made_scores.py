"""Folders of scores for the tests of reports: made-up logits of videos that are there, or not."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ops.evaluation.measurement import Checkpoint, Measurement
from ops.evaluation.score_files.score_pickle import write_view

CLASSES, VIDEOS = 14, 220
NAMES = (*(f"class {label}" for label in range(CLASSES - 2)), "</script><b>bold</b>", "nobody's")
LABELS = np.random.default_rng(0).integers(0, CLASSES - 1, VIDEOS)  # the last class has no video
FILES = tuple(f"{i % 7}/video {i}.mp4" for i in range(VIDEOS))


def made_logits(seed: int) -> np.ndarray:
    """(VIDEOS, CLASSES): the label is often, but not always, first."""
    return np.random.default_rng(seed).normal(size=(VIDEOS, CLASSES)) + 2.0 * np.eye(CLASSES)[LABELS]


def write_scores(folder: Path, seed: int, names: Sequence[str] = NAMES, beside: bool = True) -> Path:
    """Scores of one view; without ``beside`` they do not say of which videos."""
    measured = Measurement(
        dataset="made", video_list="val.txt", num_videos=VIDEOS, scored_videos=VIDEOS, segments=(8,),
        motion=("stpme,dsme,shift",), motion_windows=(8,), crops=1, clips=1, sampling="even", scale=256, size=224,
        checkpoints=(Checkpoint(f"{folder.name}.pth.tar", 12),),
    )  # fmt: skip
    folder.mkdir(parents=True)
    write_view(folder, 0, 0, made_logits(seed), LABELS.tolist(), FILES, measured, None, names)
    if not beside:
        (folder / "0_crop0.json").unlink()
    return folder
