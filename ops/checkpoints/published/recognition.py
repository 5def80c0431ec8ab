"""Which published network a file is of, and its weights under this project's names."""

import re
from collections.abc import Mapping

from torch import Tensor

from ops.checkpoints.published.key_table import Conversion, KeyTable, convert
from ops.checkpoints.published.msn import MSN
from ops.checkpoints.published.tdn import TDN
from ops.checkpoints.published.tsm import TSM, TSN
from ops.runtime import InputError

TABLES = (MSN, TDN, TSM, TSN)
REFUSED = {
    r"\.nl\.": "the non-local variant of TSM (files with _nl in their names)",
    r"^base_model\.features\.": "TSM with a MobileNetV2",
}
_WITHOUT_PREFIX = re.compile(r"(conv1|bn1|layer\d|fc|features)\.")


def is_reference(state: Mapping[str, Tensor]) -> bool:
    """Whether weights carry the names of published code."""
    return _table(_prefixed(state)) is not None


def convert_reference(state: Mapping[str, Tensor]) -> Conversion:
    """Translate the weights of a published network, msn, tdn, tsm or tsn; which one, its names say.

    Raises:
        InputError: they are of none of these, or a bias has no BatchNorm behind it.
    """
    state = _prefixed(state)
    table = _table(state)
    if table is None:
        raise InputError(
            f"expected weights of a published network, got unknown names ({next(iter(state), 'none')}, ...)"
        )
    return convert(state, table)


def _prefixed(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """With ``base_model.`` in front of a ResNet's names, where a file goes without."""
    if any(name.startswith(("base_model.", "backbone.")) for name in state):
        return state
    return {f"base_model.{k}" if _WITHOUT_PREFIX.match(k) else k: v for k, v in state.items()}


def _table(state: Mapping[str, Tensor]) -> KeyTable | None:
    for pattern, kind in REFUSED.items():
        if any(re.search(pattern, name) for name in state):
            raise InputError(f"expected weights of MSN, TDN, TSM or TSN with a ResNet, got those of {kind}")
    return next((table for table in TABLES if any(re.search(table.mark, name) for name in state)), None)
