"""What motion modules see: the branches of STP-ME, the gates of DS-ME and L-TDM. T segments, C channels, h x w maps."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ops.inference import Explanation, Gates
from ops.visual.explained.segment_figure import GREY, SMALL, Place, SegmentFigure, positive

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BRANCHES = ("P1: differences of consecutive frames", "P2: differences over 2 frames", "P3: difference over 4 frames")
DIRECTIONS = {
    "ahead": "difference to the next segment",
    "back": "difference to the previous segment",
    "gate": "gate: both together",
}
CHANNELS_HEIGHT, CURVE_HEIGHT = 1.5, 1.1  # inches
MOST_MARKED = 12  # blocks with a colour of their own


def draw_branches(explanation: Explanation) -> bytes:
    """PNG: what each branch of STP-ME sees, the mean over its channels of the absolute value, each on its own scale."""
    assert explanation.branches is not None
    figure = SegmentFigure(explanation, "STP-ME: motion over 1, 2 and 4 frames")
    figure.frames()
    for label, branch in zip(BRANCHES, explanation.branches, strict=True):
        figure.maps(label, np.abs(branch).mean(axis=1), "mean |feature|")
    total = np.abs(explanation.branches.sum(axis=0)).mean(axis=1)
    figure.maps("P1 + P2 + P3", total, "mean |feature|")
    return figure.png()


def draw_gate_maps(explanation: Explanation, gates: Gates) -> bytes:
    """PNG: where L-TDM changes features, by the difference to each neighbour alone and by both."""
    height, width = gates.maps["gate"].shape[1:]
    figure = SegmentFigure(
        explanation, f"L-TDM in {gates.block}: where differences open the gates ({height} x {width})"
    )
    figure.frames()
    limit = max(float(maps.max()) for maps in gates.maps.values())
    for name, label in DIRECTIONS.items():
        figure.maps(label, gates.maps[name], "mean |factor − 1|", limit)
    return figure.png()


def draw_gates(explanation: Explanation) -> bytes:
    """PNG: the factor of each channel in each segment, a diagram a block, and how far from 1 they are on average."""
    per_pixel = bool(explanation.gates[0].maps)
    module = "L-TDM (mean over the map)" if per_pixel else "DS-ME"
    note = "The gates of a segment come from its difference to the next one; those of the last, from the whole clip."
    notes = () if per_pixel else (note,)
    figure = SegmentFigure(explanation, f"Gates of {module}: factor of each channel over time", notes)
    figure.frames()
    limit = positive(max(np.abs(gates.factors - 1).max() for gates in explanation.gates))
    for gates in explanation.gates:
        figure.row(CHANNELS_HEIGHT, f"{gates.block}\n{gates.factors.shape[1]} channels", _channels(gates, limit))
    figure.row(CURVE_HEIGHT, "mean |factor − 1|", lambda place: _curves(place, explanation.gates))
    return figure.png()


def _channels(gates: Gates, limit: float) -> Callable[[Place], None]:
    """Draws the factors (T, C) with a column a segment, the channels in the order of their means."""
    order = np.argsort(-gates.factors.mean(axis=0), kind="stable")

    def draw(place: Place) -> None:
        axes = place.wide()
        shown = axes.imshow(
            gates.factors[:, order].T, cmap="RdBu", vmin=1 - limit, vmax=1 + limit, aspect="auto", interpolation="none"
        )
        axes.set_xticks([])
        axes.set_yticks([])
        _divide(axes, len(gates.factors))
        place.bar(shown, "factor")

    return draw


def _curves(place: Place, gates: tuple[Gates, ...]) -> None:
    axes = place.wide()
    for number, one in enumerate(gates[:MOST_MARKED]):
        means = np.abs(one.factors - 1).mean(axis=1)
        axes.plot(means, color=f"C{number}", marker="o", markersize=4, label=one.block)
    axes.set_xlim(-0.5, len(gates[0].factors) - 0.5)
    axes.set_ylim(0, 1.12 * positive(axes.get_ylim()[1]))
    axes.set_xticks([])
    axes.tick_params(labelsize=SMALL - 1)
    axes.grid(axis="y", color="#e3e7eb")
    _divide(axes, len(gates[0].factors))
    axes.legend(fontsize=SMALL - 1, loc="upper left", bbox_to_anchor=(1.0, 1.05), frameon=False, borderaxespad=0.2)


def _divide(axes: Axes, segments: int) -> None:
    """Lines between the columns of segments."""
    for column in range(1, segments):
        axes.axvline(column - 0.5, color=GREY, linewidth=0.5)
