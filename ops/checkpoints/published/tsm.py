"""Key names of TSM's published code, which TSN's files are of as well: a ResNet, its conv1 wrapped where it shifts."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ops.checkpoints.published.key_table import RESNET_BATCH_NORMS, RESNET_NAMES, KeyTable

_SHIFTED = ".conv1.net.weight"


def _folds(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """How many channels each shifted convolution moves either way, an eighth."""
    shifted = {name: weight for name, weight in state.items() if name.endswith(_SHIFTED)}
    return {n.replace(_SHIFTED, ".conv1.fold"): torch.tensor(w.shape[1] // 8) for n, w in shifted.items()}


TSM = KeyTable(
    network="tsm",
    mark=r"\.conv1\.net\.",
    renamed=(*RESNET_NAMES, (r"\.conv1\.net\.", ".conv1.")),
    batch_norm_of=RESNET_BATCH_NORMS,
    added=_folds,
)
TSN = KeyTable(
    network="tsn",
    mark=r"^base_model\.conv1\.weight$",  # of all: the last to be looked for
    renamed=RESNET_NAMES,
    batch_norm_of=RESNET_BATCH_NORMS,
)
