"""What an exported network says of itself: what its checkpoint said, and what was found out to open it."""

from typing import Any

from ops.checkpoints import VERSION
from ops.inference import Predictor
from ops.models import IMAGE_MEAN, IMAGE_STD, Recognizer


def about_of(predictor: Predictor) -> dict[str, Any]:
    """JSON-able, like ``about`` in a checkpoint of main.py, with the number of classes, which weights else say."""
    network, found, settings = predictor.network, predictor.found, predictor.settings
    assert isinstance(network, Recognizer)
    return {
        "network": network.design.network,
        "arch": network.arch,
        "motion": list(network.design.motion),
        "motion_window": settings.motion_window,
        "motion_weight": settings.motion_weight,
        "num_segments": network.num_segments,
        "frames_per_segment": network.frames_per_segment,
        "num_classes": network.num_classes,
        "input_size": settings.input_size,
        "dense_sample": settings.dense_sample,
        "mean": list(IMAGE_MEAN),
        "std": list(IMAGE_STD),
        "dataset": found.dataset,
        "class_names": list(predictor.class_names) if predictor.has_names else [],
        "mirror_pairs": None if found.mirror_pairs is None else [list(pair) for pair in found.mirror_pairs],
        "accuracy": None if found.accuracy is None else dict(found.accuracy),
        "version": found.version or VERSION,
    }
