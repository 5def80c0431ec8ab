"""What a checkpoint says of itself, so that it can be used without anything else: ``about`` in its contents.

    network, arch, motion, motion_window, motion_weight, num_segments, frames_per_segment      the network
    input_size, dense_sample, mean, std                                                        its clips
    dataset, class_names, mirror_pairs                                                         its classes
    accuracy                       of the validation of these weights, and of which views; None where there was none
    version                        of the project

The recipe lies beside it, under ``config``.
"""

from collections.abc import Mapping
from typing import Any

from ops.checkpoints import VERSION
from ops.data import DatasetSpec
from ops.evaluation import Measurement
from ops.models import IMAGE_MEAN, IMAGE_STD, Recognizer
from ops.settings import TrainConfig


def accuracy_of(epoch: int, results: Mapping[str, float], measurement: Measurement) -> dict[str, Any]:
    """A validation after ``epoch`` epochs as it is saved: accuracies in percent, and what they were measured with."""
    top = {name: value for name, value in results.items() if name != "loss"}
    return {"epoch": epoch, **top, "measured": measurement.line(), "measurement": measurement.to_dict()}


def about(config: TrainConfig, model: Recognizer, accuracy: Mapping[str, Any] | None) -> dict[str, Any]:
    """What is written, of a network and the accuracy of its weights."""
    design = model.design
    return {
        "network": design.network,
        "arch": design.arch,
        "motion": list(design.motion),
        "motion_window": config.model.motion_window,
        "motion_weight": config.model.motion_weight,
        "num_segments": design.num_segments,
        "frames_per_segment": design.frames_per_segment,
        "input_size": config.input_size,
        "dense_sample": config.dense_sample,
        "mean": list(IMAGE_MEAN),
        "std": list(IMAGE_STD),
        "dataset": config.dataset.name,
        "class_names": list(config.dataset.class_names),
        "mirror_pairs": mirror_pairs(config.dataset),
        "accuracy": None if accuracy is None else dict(accuracy),
        "version": VERSION,
    }


def mirror_pairs(dataset: DatasetSpec) -> list[list[int]]:
    """Labels that a horizontal flip exchanges, the lower first."""
    return [[label, mirror] for label, mirror in enumerate(dataset.mirror_labels()) if label < mirror]
