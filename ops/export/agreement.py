"""How an exported network compares with its checkpoint, on the same clips."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ops.evaluation import softmax
from ops.inference import Predictor
from ops.runtime import InputError

# Largest difference of logits over the largest logit; 16-bit numbers have 11 bits, and errors of layers add up.
LIMITS = {False: 1e-3, True: 5e-2}


@dataclass(frozen=True)
class Agreement:
    """The largest differences on some clips.

    Args:
        clips: how many.
        logits: of logits.
        largest: logit of the checkpoint, in absolute value.
        probabilities: of probabilities.
        same: clips whose most probable class is the same.
    """

    clips: int
    logits: float
    largest: float
    probabilities: float
    same: int

    def __str__(self) -> str:
        return (
            f"largest difference of logits {self.logits:.2g} (logits up to {self.largest:.3g}), of probabilities "
            f"{self.probabilities:.2g}; the same class in {self.same} of {self.clips}"
        )

    def check(self, path: Path, half: bool) -> None:
        """Raise InputError where the differences are more than rounding."""
        if not self.logits <= LIMITS[half] * self.largest:  # NaN is not, either
            raise InputError(f"{path}: expected the scores of the checkpoint, got others, and wrote nothing: {self}")


def compare(original: Predictor, exported: Predictor, clips: Tensor) -> Agreement:
    """Logits of both on clips (N, T, F, 3, s, s): the first one alone, then the others as one batch."""
    pairs = []
    with torch.inference_mode():
        for batch in (clips[:1], clips[1:]):
            if len(batch):
                pairs.append([predictor.network(batch).double().numpy() for predictor in (original, exported)])
    ours, theirs = (np.concatenate(each) for each in zip(*pairs, strict=True))  # (N, K)
    return Agreement(
        len(ours),
        float(np.abs(ours - theirs).max()),
        float(np.abs(ours).max()),
        float(np.abs(softmax(ours) - softmax(theirs)).max()),
        int((ours.argmax(axis=1) == theirs.argmax(axis=1)).sum()),
    )
