"""A picture of a confusion matrix. K classes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NAMED, MOST_NUMBERED = 60, 20  # classes up to which names, and numbers in the cells, fit
CELL_WITH_NUMBERS, CELL = 0.62, 0.3  # inches
DARK = 55  # percent from which a cell is so dark that its numbers are white


def draw_confusion(confusion: np.ndarray, names: Sequence[str], title: str, caption: str) -> bytes:
    """The figure of ``confusion_figure`` as PNG."""
    png = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # shown as a box; the CSV file has the name
        confusion_figure(confusion, names, title, caption).savefig(png, format="png", dpi=120, bbox_inches="tight")
    return png.getvalue()


def confusion_figure(confusion: np.ndarray, names: Sequence[str], title: str, caption: str) -> Figure:
    """A confusion matrix, coloured by percent of each true class.

    Names with the number of videos beside them, and counts with row percentages, are written where there is room.

    Args:
        confusion: (K, K) numbers of videos, by true and by predicted class.
        names: of the classes.
        title: above the matrix.
        caption: small, below it.
    """
    from matplotlib.figure import Figure  # takes longer to import than to say --help

    sizes = confusion.sum(axis=1)
    share = 100 * confusion / np.maximum(sizes[:, None], 1)  # (K, K), percent of the true class
    named, numbered = len(names) <= MOST_NAMED, len(names) <= MOST_NUMBERED
    side = 3 + (CELL_WITH_NUMBERS if numbered else CELL) * len(names) if named else 12
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(share, vmin=0, vmax=100, cmap="Blues")
    figure.colorbar(image, label="% of the true class", shrink=0.7)
    if named:
        with_sizes = [f"{name} ({size:,})" for name, size in zip(names, sizes.tolist(), strict=True)]
        axes.set_xticks(range(len(names)), names, rotation=90, parse_math=False)
        axes.set_yticks(range(len(names)), with_sizes, parse_math=False)
    if numbered:
        write_numbers(axes, confusion, share)
    true = "true (number of videos)" if named else "true"
    axes.set_xlabel("predicted")
    axes.set_ylabel(true)
    axes.set_title(title, parse_math=False)
    figure.text(0.5, -0.01, caption, ha="center", va="top", fontsize=7, wrap=True, parse_math=False)
    return figure


def write_numbers(axes: Axes, confusion: np.ndarray, share: np.ndarray) -> None:
    """Count and row percentage in each cell that is not empty."""
    for true, predicted in np.argwhere(confusion).tolist():
        text = f"{confusion[true, predicted]:,}\n{share[true, predicted]:.0f} %"
        colour = "white" if share[true, predicted] > DARK else "black"
        axes.text(predicted, true, text, color=colour, ha="center", va="center", fontsize=8)
