"""A trained network for code of one's own: to score clips with, or to train further."""

from pathlib import Path
from typing import Any

import torch

from ops.evaluation import open_network
from ops.models import Recognizer


def from_pretrained(
    name: str | Path, device: torch.device | str = "cpu", weights_kind: str = "raw", **settings: Any
) -> Recognizer:
    """A network with its weights, in evaluation mode.

    Args:
        name: a folder that export.py wrote, a model on the Hugging Face hub (``owner/name``, ``owner/name@revision``),
            or a checkpoint file.
        device: where it is put.
        weights_kind: ``raw`` for the weights that were trained, ``ema`` for their moving average.
        settings: what the files do not say, or what is to come before it, as for Predictor.

    Raises:
        InputError: there is no such network, or it does not say what is needed.
    """
    return open_network(Path(name), settings, torch.device(device), fused=False, weights_kind=weights_kind).network
