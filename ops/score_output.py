"""The output folder of a test: claimed before the first video is scored, filled with score files after the last."""

import csv
import hashlib
import io
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np

from ops import distributed
from ops.atomic_file import write_atomically
from ops.config import TestConfig
from ops.dataset import VideoSource
from ops.errors import InputError
from ops.logger import get_logger
from ops.measurement import Measurement
from ops.score_journal import ScoreJournal
from ops.scores import softmax, top_accuracies, view_path, was_measured_by, write_view


def prepare_output(config: TestConfig, measurement: Measurement, source: VideoSource) -> ScoreJournal:
    """Create the output folder; refuse to replace scores that were measured in another way."""
    folder = config.output_dir
    key = {
        "measurement": measurement.to_dict(),
        "clips": list(config.clips),
        "coefficients": [m.coefficient for m in config.models],
        "softmax": config.softmax,
        "seed": config.seed,
        "amp": config.amp,
        "videos": hashlib.sha256("\n".join(r.path for r in source.records).encode()).hexdigest(),
    }
    journal = ScoreJournal(folder, key, (len(config.clips) * config.num_crops, config.dataset.num_classes))
    problem = None
    if distributed.is_main():
        try:
            _claim_output(config, measurement, journal)
        except InputError as error:
            problem = str(error)
    problem = distributed.from_main(problem)
    if problem is not None:
        raise InputError(problem)
    return journal


def _claim_output(config: TestConfig, measurement: Measurement, journal: ScoreJournal) -> None:
    try:
        config.output_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{config.output_dir}: expected a folder to write to, got {error.strerror}") from None
    write_atomically(config.output_dir / ".writable", b"")
    (config.output_dir / ".writable").unlink()
    if config.overwrite:
        if not config.resume_scores:
            journal.remove()
        return
    if journal.paths() and not config.resume_scores:
        raise InputError(
            f"{journal.paths()[0]}: expected no scores of an interrupted run, got some; pass --resume_scores to "
            f"continue it or --overwrite to start over"
        )
    for clip in config.clips:
        for crop in range(config.num_crops):
            path = view_path(config.output_dir, clip, crop)
            if path.exists() and not was_measured_by(path, measurement):
                raise InputError(
                    f"{path}: expected no scores of other settings, got some; choose another --output_dir or pass "
                    f"--overwrite"
                )


def write_scores(
    config: TestConfig,
    source: VideoSource,
    journal: ScoreJournal,
    left_out: Collection[int],
    measurement: Measurement,
) -> None:
    """Turn the journal into score files and say what they amount to."""
    found = journal.read()
    missing = [i for i in range(len(source.records)) if i not in found and i not in left_out]
    if missing:
        raise InputError(
            f"{config.output_dir}: expected scores of {len(source.records)} videos, {len(missing)} are missing, the "
            f"first is {source.records[missing[0]].path}; all processes must write to one folder"
        )
    if not found:
        raise InputError(f"{config.dataset.val_list}: expected a video that can be read, got none")
    scored = [record for i, record in enumerate(source.records) if i in found]
    scores = np.stack([found[i] for i in range(len(source.records)) if i in found])  # (N, V, K)
    labels = [r.label for r in scored]
    names = [r.path for r in scored]
    measurement = replace(measurement, scored_videos=len(scored))
    for view in range(scores.shape[1]):
        clip, crop = config.clips[view // config.num_crops], view % config.num_crops
        write_view(config.output_dir, clip, crop, scores[:, view], labels, names, measurement)
    journal.remove()
    probabilities = sum(softmax(scores[:, view]) for view in range(scores.shape[1])) / scores.shape[1]
    if config.csv_file is not None:
        _write_predictions(config.csv_file, names, labels, probabilities)
    top1, top5 = top_accuracies(probabilities, np.array(labels))
    clips = "all clips" if len(config.clips) == config.num_clips else f"clip {', '.join(map(str, config.clips))}"
    log = get_logger()
    log.info("top-1 %.2f %%, top-5 %.2f %%   [%s; %s]", top1, top5, measurement.line(), clips)
    log.info("scores: %s", view_path(config.output_dir, config.clips[0], 0).parent)


def _write_predictions(path: Path, names: list[str], labels: list[int], probabilities: np.ndarray) -> None:
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :5]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["video", "label", *(f"top{i + 1}" for i in range(best.shape[1]))])
    writer.writerows([name, label, *row] for name, label, row in zip(names, labels, best.tolist(), strict=True))
    write_atomically(path, text.getvalue().encode())
