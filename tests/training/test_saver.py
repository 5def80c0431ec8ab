"""Under which names a run's state is written."""

import pytest

from ops.training.saving.checkpoint_contents import Position
from ops.training.saving.saver import names_of

EPOCH_2, BEST = "2_epoch_ckpt.pth.tar", "best.pth.tar"


@pytest.mark.parametrize(
    ("position", "names"),
    [
        (Position(), ()),
        (Position(0, 3), ()),
        (Position(2, 1, 50.0, 2), ()),
        (Position(2), (EPOCH_2,)),
        (Position(2, 0, 50.0, 1), (EPOCH_2,)),
        (Position(2, 0, 50.0, 2), (EPOCH_2, BEST)),
    ],
)
def test_names_beside_the_last(position: Position, names: tuple[str, ...]) -> None:
    assert names_of(position) == names
