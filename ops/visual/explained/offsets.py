"""The offsets of DS-ME's deformable convolutions as arrows on the frames that they read. h x w maps, k x k kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ops.inference import Explanation, Offsets
from ops.visual.explained.segment_figure import Place, SegmentFigure, bare

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NOTES = (
    "Arrows: from where a plain convolution would read a segment to where it is read,",
    "to align it with the segment before.",
)
CELL_SCALE = 1.5
MOST_ARROWS = 14  # a side, of mean offsets
MOST_KERNELS = 4  # a side, whose points are all drawn
ROOM = 1.7  # steps that the longest arrow takes at most, where it is enlarged
ENLARGED = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000)
MEAN_COLOUR, POINT_COLOUR = "#ffd21f", "#52e3ff"


def draw_offsets(explanation: Explanation, offsets: Sequence[Offsets]) -> bytes:
    """PNG of the offsets of one block: for each kernel size their mean at each place, and all of some kernels.

    An arrow begins where a plain convolution would read and ends where this one does; the frame is the one that is
    read. Short arrows are drawn larger, and the label says by how much.
    """
    height, width = offsets[0].moved.shape[-2:]
    title = f"Offsets of DS-ME in {offsets[0].block} ({height} x {width})"
    figure = SegmentFigure(explanation, title, NOTES, offsets[0].read.tolist(), scale=CELL_SCALE)
    for one in offsets:
        size = f"{one.kernel_size} x {one.kernel_size}"
        for label, (starts, moves), room, colour in (
            (f"{size}: mean of the {one.kernel_size**2} points", mean_arrows(one), ROOM * mean_step(one), MEAN_COLOUR),
            (f"{size}: each point of some kernels", point_arrows(one), ROOM, POINT_COLOUR),
        ):
            longest = float(np.hypot(moves[..., 0], moves[..., 1]).max())
            scale = enlargement(longest, room)
            said = f"{label}\nlongest: {longest:.2g} map px\n" + (f"arrows drawn x {scale}" if scale > 1 else "")
            figure.row(figure.cell, said, _arrows(figure, one, starts, moves * scale, colour))
    return figure.png()


def mean_step(offsets: Offsets) -> int:
    """Pixels of the map from one arrow to the next, where their means are drawn."""
    return -(-max(offsets.moved.shape[-2:]) // MOST_ARROWS)


def mean_arrows(offsets: Offsets) -> tuple[np.ndarray, np.ndarray]:
    """Starts (A, 2) and moves (P, A, 2), as (y, x) in pixels of the map: the mean over the points of a kernel."""
    step = mean_step(offsets)
    height, width = offsets.moved.shape[-2:]
    y, x = (a.ravel() for a in np.mgrid[step // 2 : height : step, step // 2 : width : step])
    return np.stack([y, x], axis=1), offsets.moved.mean(axis=1)[:, :, y, x].swapaxes(1, 2)


def point_arrows(offsets: Offsets) -> tuple[np.ndarray, np.ndarray]:
    """The same for each point of kernels that lie side by side, or farther apart where there are many."""
    size, (height, width) = offsets.kernel_size, offsets.moved.shape[-2:]
    rows, columns = (_centres(length, size) for length in (height, width))
    reach = np.arange(size) - size // 2
    y, x, dy, dx = (a.ravel() for a in np.meshgrid(rows, columns, reach, reach, indexing="ij"))
    point = (dy + size // 2) * size + dx + size // 2
    moves = offsets.moved[:, point, :, y, x]  # (A, P, 2): advanced indices come first
    return np.stack([y + dy, x + dx], axis=1), moves.swapaxes(0, 1)


def _centres(length: int, size: int) -> np.ndarray:
    """Rows or columns of kernels that do not touch each other, evenly spread."""
    count = max(1, min(MOST_KERNELS, length // size))
    return ((2 * np.arange(count) + 1) * length / (2 * count)).astype(int)


def enlargement(longest: float, room: float) -> int:
    """By how much arrows can be drawn larger so that the longest one takes no more than ``room``."""
    return max((scale for scale in ENLARGED if scale * longest <= room), default=1)


def _arrows(
    figure: SegmentFigure, offsets: Offsets, starts: np.ndarray, moves: np.ndarray, colour: str
) -> Callable[[Place], None]:
    pictures = figure.explanation.clip.middle_pictures
    height, width = offsets.moved.shape[-2:]

    def draw(place: Place) -> None:
        for column, segment in enumerate(offsets.read):
            axes = bare(place.cell(column))
            grey = pictures[segment] @ np.array([0.299, 0.587, 0.114])
            edges = (-0.5, width - 0.5, height - 0.5, -0.5)
            axes.imshow(grey, cmap="gray", vmin=0, vmax=400, extent=edges, aspect="auto")
            put_arrows(axes, starts, moves[column], colour)
            axes.set_xlim(edges[0], edges[1])
            axes.set_ylim(edges[2], edges[3])

    return draw


def put_arrows(axes: Axes, starts: np.ndarray, moves: np.ndarray, colour: str) -> None:
    """Arrows from (A, 2) by (A, 2), (y, x) in units of the axes, with a dot where each begins."""
    axes.scatter(starts[:, 1], starts[:, 0], s=2.5, color=colour, linewidths=0)
    axes.quiver(
        starts[:, 1], starts[:, 0], moves[:, 1], moves[:, 0], color=colour, angles="xy", scale_units="xy", scale=1,
        width=0.009, headwidth=4, headlength=4.5, headaxislength=4, minshaft=1.5, minlength=0.5,
    )  # fmt: skip
