"""A figure with a column a segment: pictures, maps and diagrams below each other, for what a network saw and did.

T segments, s x s pixels, h x w maps. Lengths are in inches.
"""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ops.inference import Explanation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 110
LABELS, BARS, MARGIN = 1.75, 1.05, 0.15  # left, right and around
GAP = 0.06  # between columns
BETWEEN = 0.14  # rows
HEAD, NOTE, COLUMN_HEAD = 0.56, 0.22, 0.42
CELL, SMALL_CELL, MANY = 1.5, 1.15, 8  # width of a column; of more than MANY
LETTERS, SMALL = 10, 8.5
GREY = "#5b6672"
LABEL_WIDTH = 22  # letters of a row's label in a line
LONGEST = 90  # letters of a heading


@dataclass(frozen=True)
class Place:
    """Where a row is drawn: ``cell(segment)``, all of its width, or its colour bar."""

    figure: Figure
    bottom: float
    height: float
    cell_width: float
    columns: int

    def _axes(self, left: float, bottom: float, width: float, height: float) -> Axes:
        size = self.figure.get_size_inches()
        box = (left / size[0], bottom / size[1], width / size[0], height / size[1])
        return self.figure.add_axes(box)

    def left(self, column: int) -> float:
        return MARGIN + LABELS + column * (self.cell_width + GAP)

    def cell(self, column: int) -> Axes:
        return self._axes(self.left(column), self.bottom, self.cell_width, self.height)

    def wide(self) -> Axes:
        """Over all columns, so that column k of T has its middle at k where the limits are -0.5 and T - 0.5."""
        width = self.columns * (self.cell_width + GAP)
        return self._axes(self.left(0) - GAP / 2, self.bottom, width, self.height)

    def bar(self, scale: Any, label: str, columns: int | None = None) -> None:
        """A colour bar, with its label."""
        left = self.left(self.columns if columns is None else columns) + 0.06
        axes = self._axes(left, self.bottom + 0.04, 0.11, self.height - 0.08)
        bar = self.figure.colorbar(scale, cax=axes)
        bar.ax.tick_params(labelsize=SMALL - 1.5, length=2, pad=2)
        bar.ax.locator_params(nbins=4)
        bar.ax.yaxis.get_offset_text().set_fontsize(SMALL - 1.5)
        bar.set_label(label, size=SMALL - 0.5)


@dataclass(frozen=True)
class Row:
    height: float
    label: str
    draw: Callable[[Place], None]


class SegmentFigure:
    """Collects rows, then draws them.

    Args:
        explanation: whose clip the columns show.
        title: of the figure; the video and the class are said below it.
        notes: lines below that.
        segments: that have a column, from 0; None for all.
        more: columns behind those of the segments.
        scale: of the width of columns.
    """

    def __init__(
        self,
        explanation: Explanation,
        title: str,
        notes: Sequence[str] = (),
        segments: Sequence[int] | None = None,
        more: Sequence[str] = (),
        scale: float = 1.0,
    ) -> None:
        self.explanation = explanation
        self.title = title
        self.notes = notes
        self.more = more
        self.segments = range(len(explanation.clip.frames)) if segments is None else segments
        self.cell = scale * (CELL if len(self.segments) <= MANY else SMALL_CELL)
        self.rows: list[Row] = []

    def row(self, height: float, label: str, draw: Callable[[Place], None]) -> None:
        self.rows.append(Row(height, label, draw))

    def frames(self) -> None:
        """The middle frame of each segment."""
        pictures = self.explanation.clip.middle_pictures

        def draw(place: Place) -> None:
            for column, picture in enumerate(pictures):
                bare(place.cell(column)).imshow(picture, interpolation="nearest", aspect="auto")

        self.row(self.cell, "middle frame", draw)

    def maps(self, label: str, maps: np.ndarray, bar_label: str, limit: float | None = None) -> None:
        """Maps (T, h, w) that are nowhere below zero, on one scale from zero to ``limit``, or to the largest value."""
        end = positive(maps.max() if limit is None else limit)

        def draw(place: Place) -> None:
            for column, one in enumerate(maps):
                axes = bare(place.cell(column))
                shown = axes.imshow(one, cmap="magma", vmin=0, vmax=end, aspect="auto")
            place.bar(shown, bar_label)

        self.row(self.cell, label, draw)

    def png(self) -> bytes:
        from matplotlib.figure import Figure  # takes longer to import than to say --help

        columns = len(self.segments) + len(self.more)
        width = 2 * MARGIN + LABELS + columns * (self.cell + GAP) + BARS
        head = HEAD + NOTE * len(self.notes) + COLUMN_HEAD
        height = MARGIN + head + sum(row.height + BETWEEN for row in self.rows) + MARGIN
        figure = Figure(figsize=(width, height))
        top = height - MARGIN
        self._heading(figure, top)
        top -= head
        self._column_heads(figure, top)
        for row in self.rows:
            bottom = top - row.height
            label = "\n".join(textwrap.fill(line, LABEL_WIDTH) for line in row.label.splitlines())
            text(figure, MARGIN, top - row.height / 2, label, LETTERS, va="center")
            row.draw(Place(figure, bottom, row.height, self.cell, len(self.segments)))
            top = bottom - BETWEEN
        png = io.BytesIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font")  # shown as a box
            figure.savefig(png, format="png", dpi=DPI)
        return png.getvalue()

    def _heading(self, figure: Figure, top: float) -> None:
        it = self.explanation
        name = it.source if "://" in it.source else Path(it.source).name
        about = f"{shortened(name)}: {shortened(it.class_name)}, probability {100 * it.probability:.1f} %"
        text(figure, MARGIN, top, self.title, LETTERS + 3, va="top", weight="bold")
        for number, line in enumerate((about, *self.notes)):
            text(figure, MARGIN, top - 0.29 - NOTE * number, line, LETTERS, va="top", color=GREY)

    def _column_heads(self, figure: Figure, bottom: float) -> None:
        frames = self.explanation.clip.frames
        heads = [f"segment {segment + 1}\n{frame_range(frames[segment])}" for segment in self.segments]
        place = Place(figure, bottom, 0, self.cell, len(self.segments))
        for column, head in enumerate([*heads, *self.more]):
            left = place.left(column) + self.cell / 2
            text(figure, left, bottom + 0.05, head, SMALL, va="bottom", ha="center")


def frame_range(frames: np.ndarray) -> str:
    """``frames 4–8``, ``frame 4``, counted from 1."""
    first, last = int(frames[0]) + 1, int(frames[-1]) + 1
    return f"frame {first}" if first == last else f"frames {first}–{last}"


def text(figure: Figure, left: float, bottom: float, words: str, size: float, **how: Any) -> None:
    """Words at a place in inches."""
    width, height = figure.get_size_inches()
    figure.text(left / width, bottom / height, words, fontsize=size, parse_math=False, **how)


def bare(axes: Axes) -> Axes:
    """Without ticks."""
    axes.set_xticks([])
    axes.set_yticks([])
    return axes


def positive(limit: float) -> float:
    """A limit of a scale that begins at zero, where all may be zero."""
    return max(float(limit), 1e-12)


def shortened(name: str) -> str:
    return name if len(name) <= LONGEST // 2 else name[: LONGEST // 2 - 1] + "…"
