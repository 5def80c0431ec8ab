"""An exponential moving average of the weights, beside those that are trained (Polyak and Juditsky, 1992)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ops.models import Recognizer
from ops.runtime import InputError


class WeightAverage:
    """The average of a model's weights and batch statistics: a' = decay * a + (1 - decay) * weights after each step.

    A step that was skipped counts as one that left the weights as they were.

    Args:
        model: which it starts from.
        decay: from 0 to below 1.
    """

    def __init__(self, model: Recognizer, decay: float) -> None:
        self.decay = decay
        self.accuracy: Mapping[str, Any] | None = None  # of the last validation, as about.py saves it
        self._averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
        self._averaged.requires_grad_(False).eval()

    @property
    def model(self) -> Recognizer:
        """The network with the averaged weights."""
        return self._averaged.module  # type: ignore[return-value]

    def update(self, model: nn.Module) -> None:
        """Take in a model's weights after a step; those of the first step replace what was there."""
        self._averaged.update_parameters(model)

    def content(self, accuracy: Mapping[str, Any] | None) -> dict[str, Any]:
        """What is saved, with the accuracy of these weights."""
        return {
            "state_dict": self.model.state_dict(),
            "decay": self.decay,
            "steps": int(self._averaged.n_averaged),
            "accuracy": accuracy,
        }

    def restore(self, content: Mapping[str, Any], path: Path) -> None:
        """Take over what a checkpoint has saved.

        Raises:
            InputError: it has no average, or that of other weights.
        """
        saved = content.get("ema")
        if not isinstance(saved, Mapping):
            raise InputError(
                f"{path}: expected averaged weights to resume with --ema, got a checkpoint of a run without --ema; "
                f"resume without --ema, or start a new run with --tune_from"
            )
        try:
            self.model.load_state_dict(saved["state_dict"])
            self._averaged.n_averaged.fill_(saved["steps"])
        except (KeyError, RuntimeError, TypeError) as error:
            raise InputError(f"{path}: expected averaged weights of this network, got {error}") from None
        self.accuracy = saved.get("accuracy")
