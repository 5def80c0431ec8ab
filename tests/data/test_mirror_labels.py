"""Labels after a flip, from class names."""

import pytest

from ops.data.mirror_labels import NO_MIRROR, flips, mirror_labels_of_names

SOMETHING = (
    "Pushing something from left to right",
    "Pushing something from right to left",
    "Turning the camera left while filming something",
    "Turning the camera right while filming something",
    "Moving something up",
    "Throwing something",
)
JESTER = (
    "Swiping Left",
    "Swiping Right",
    "Swiping Down",
    "Sliding Two Fingers Left",
    "Sliding Two Fingers Right",
    "Turning Hand Clockwise",
    "Turning Hand Counterclockwise",
    "No gesture",
)
MOTION = (
    "left", "right", "up", "clockwise", "anticlockwise", "left then right", "right then left", "up then down",
)  # fmt: skip


@pytest.mark.parametrize("network", ["msn", "tdn", "tsm", "tsn"])
@pytest.mark.parametrize(
    "dataset", ["something", "somethingv2", "my_something", "jester", "kinetics", "ucf101", "motion"]
)
def test_flips_as_published(network: str, dataset: str) -> None:
    unflipped = network.startswith("ts") and ("something" in dataset or "jester" in dataset)
    assert flips("auto", network, dataset) is not unflipped
    assert flips("on", network, dataset) and not flips("off", network, dataset)


class TestMirrorLabelsOfNames:
    @pytest.mark.parametrize(
        ("names", "expected"),
        [
            (SOMETHING, (1, 0, 3, 2, 4, 5)),
            (JESTER, (1, 0, 2, 4, 3, 6, 5, 7)),
            (MOTION, (1, 0, 2, 4, 3, 6, 5, 7)),
            (("Swiping Left", "Swiping Down"), (NO_MIRROR, 1)),
            (("clockwise", "up"), (NO_MIRROR, 1)),
            (("swiping LEFT", "Swiping right"), (1, 0)),
            (("leftovers", "bright", "cleft", "upright"), (0, 1, 2, 3)),
            (("left anticlockwise", "right clockwise", "left clockwise", "right anticlockwise"), (1, 0, 3, 2)),
            (("left counterclockwise", "right clockwise"), (1, 0)),
            (("waving",), (0,)),
            (("move_left", "move_right", "move-left-2", "move-right-2"), (1, 0, 3, 2)),
            (("TurnLeft", "TurnRight", "turnLeftFast", "turnRightFast", "UPRIGHT"), (1, 0, 3, 2, 4)),
            (("drifting leftwards", "drifting rightwards", "leftward", "rightward"), (1, 0, 3, 2)),
        ],
    )
    def test_by_name(self, names: tuple[str, ...], expected: tuple[int, ...]) -> None:
        assert mirror_labels_of_names(names) == expected

    def test_a_name_is_mirrored_as_a_whole(self) -> None:
        """Sides exchanged and the sense of rotation kept is no mirror image."""
        assert mirror_labels_of_names(("left anticlockwise", "right anticlockwise")) == (NO_MIRROR, NO_MIRROR)

    @pytest.mark.parametrize("names", [SOMETHING, JESTER, MOTION, SOMETHING + JESTER + MOTION, SOMETHING[1:]])
    def test_is_an_involution(self, names: tuple[str, ...]) -> None:
        mirror = mirror_labels_of_names(names)
        assert all(mirror[m] == label for label, m in enumerate(mirror) if m != NO_MIRROR)
