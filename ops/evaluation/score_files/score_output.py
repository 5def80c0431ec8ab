"""The output folder of a test: claimed before the first video is scored, filled with score files after the last."""

import csv
import hashlib
import io
import itertools
import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ops.data import VideoSource
from ops.evaluation.measurement import Measurement, accuracies, has_top5
from ops.evaluation.score_averaging import RULES, as_probabilities, top_accuracies
from ops.evaluation.score_files.claim import claim
from ops.evaluation.score_files.score_journal import ScoreJournal
from ops.evaluation.score_files.score_pickle import measured_videos, read_view, view_path, write_view
from ops.runtime import (
    InputError,
    check_writable,
    exchange,
    get_logger,
    plural,
    release,
    write_atomically,
)
from ops.settings import TestConfig


class ScoreOutput:
    """The output folder of a test, held while videos are scored.

    Args:
        config: settings of the test script.
        measurement: how videos become scores.
        source: the videos.

    Raises:
        InputError: it cannot be written, another run fills it, or it holds scores that were measured in another way.
    """

    def __init__(self, config: TestConfig, measurement: Measurement, source: VideoSource) -> None:
        self.config = config
        self.measurement = measurement
        self.names = [record.path for record in source.records]
        self.labels = [record.label for record in source.records]
        self.data = exchange.from_main(pictures_of(source))  # on other machines their place may differ
        key = {
            "measurement": measurement.to_dict(),
            "clips": list(config.clips),
            "videos": hashlib.sha256("\n".join(self.names).encode()).hexdigest(),
            "data": self.data,
        }
        key = exchange.from_main(key)
        name = f"clips_{config.clips[0]}_to_{config.clips[-1]}"
        shape = (len(config.clips) * config.num_crops, config.data.num_classes)
        self.journal = ScoreJournal(config.output_dir, name, key, shape)
        self._lock = claim(self.journal, config.overwrite, config.resume_scores, self._check_what_is_there)
        self.is_complete: bool = exchange.on_main(self._is_complete)
        if self.is_complete:
            self.journal.remove()  # what other machines had when the first one completed
            exchange.barrier()

    def _check_what_is_there(self) -> None:
        """Refuse to replace scores of other settings."""
        config = self.config
        for path in () if config.overwrite else self._paths():
            if path.exists() and measured_videos(path, self.measurement, self.data) is None:
                raise InputError(
                    f"{path}: expected scores of these settings, got those of other settings; choose another "
                    f"--output_dir or pass --overwrite"
                )
        if config.csv_file is not None:
            check_writable(config.csv_file)

    def close(self) -> None:
        """Let other runs in."""
        if self._lock is not None:
            release(self._lock)

    def _paths(self) -> list[Path]:
        config = self.config
        return [view_path(config.output_dir, clip, crop) for clip in config.clips for crop in range(config.num_crops)]

    def _is_complete(self) -> bool:
        """Whether a resumed test has nothing left to do: every view is there, of these videos and labels."""
        config = self.config
        if not config.resume_scores or config.overwrite or self.journal.paths():
            return False
        if config.csv_file is not None and not config.csv_file.exists():
            return False
        wanted = set(self.names)
        paths = self._paths()
        for path in paths:
            videos = measured_videos(path, self.measurement, self.data) if path.is_file() else None
            if videos is None or not wanted.issuperset(videos):
                return False
            if len(videos) < len(self.names) and config.on_bad_video == "error":
                return False
        view, label_of = read_view(paths[0]), dict(zip(self.names, self.labels, strict=True))
        return view.labels.tolist() == [label_of[name] for name in view.videos or ()]

    def write(self, left_out: Collection[int]) -> None:
        """Turn the journal into score files and log the accuracies; broken videos are skipped."""
        config, found = self.config, self.journal.read()
        missing = [i for i in range(len(self.names)) if i not in found and i not in left_out]
        if missing:
            raise InputError(
                f"{config.output_dir}: expected scores of {plural(len(self.names), 'video')}, got none of "
                f"{len(missing):,}, the first is {self.names[missing[0]]}"
            )
        if not found:
            raise InputError(f"{config.data.val_list}: expected a video that can be read, got none")
        scored = sorted(found)
        scores = np.stack([found[i] for i in scored])  # (N, V, K)
        labels, names = [self.labels[i] for i in scored], [self.names[i] for i in scored]
        measurement = replace(self.measurement, scored_videos=len(scored))
        for view in range(scores.shape[1]):
            clip, crop = config.clips[view // config.num_crops], view % config.num_crops
            write_view(
                config.output_dir, clip, crop, scores[:, view], labels, names, measurement, self.data,
                config.data.class_names,
            )  # fmt: skip
        rule = RULES[config.average]
        averaged = sum(rule(scores[:, view]) for view in range(scores.shape[1])) / scores.shape[1]
        if config.csv_file is not None:
            probabilities = as_probabilities(averaged, config.average)
            _write_predictions(config.csv_file, names, labels, probabilities, config.data.class_names)
        top1, top5 = top_accuracies(averaged, np.array(labels))
        clips = "all clips" if len(config.clips) == config.num_clips else f"clip {', '.join(map(str, config.clips))}"
        log = get_logger()
        reported = accuracies(top1, top5 if has_top5(averaged.shape[1]) else None)
        log.info("%s   [%s; %s]", reported, measurement.line(), clips)
        log.info("scores: %s", config.output_dir)


def pictures_of(source: VideoSource) -> str:
    """A digest of all that decides which pictures the names of a list mean, whatever their order."""
    spec = source.spec
    pictures = sorted((record.path, record.num_frames) for record in source.records)
    told = json.dumps([str(spec.root.resolve()), spec.storage, spec.image_tmpl, pictures])
    return hashlib.sha256(told.encode()).hexdigest()


def _write_predictions(
    path: Path, names: list[str], labels: list[int], probabilities: np.ndarray, class_names: Sequence[str]
) -> None:
    """A row a video: its label, and the number, name and probability of the five classes that are most probable."""
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :5]
    class_names = class_names or [str(label) for label in range(probabilities.shape[1])]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    header = [(f"top{i}", f"top{i}_class", f"top{i}_probability") for i in range(1, best.shape[1] + 1)]
    writer.writerow(["video", "label", "class", *itertools.chain(*header)])
    for name, label, row, ranked in zip(names, labels, probabilities.tolist(), best.tolist(), strict=True):
        predicted = [(number, class_names[number], f"{row[number]:.6f}") for number in ranked]
        writer.writerow([name, label, class_names[label], *itertools.chain(*predicted)])
    write_atomically(path, text.getvalue().encode())
