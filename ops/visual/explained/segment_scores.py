"""The scores of each segment: a picture and a table. T segments, K classes."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import numpy as np

from ops.inference import Explanation
from ops.visual.explained.segment_figure import LETTERS, SMALL, Place, SegmentFigure, bare, positive, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_CLASSES = 8
LINE = 0.34  # inches
DARK = 0.6  # part of the scale from which a cell is so dark that its numbers are white
CLIP = "clip:\nmean, probability"


def draw_scores(explanation: Explanation) -> bytes:
    """PNG: the scores of the most probable classes of the clip, in each segment and on average."""
    chosen = shown_classes(explanation)
    scores = explanation.scores[:, chosen].T  # (classes, T)
    names = [shortened(explanation.answer.class_names[label]) for label in chosen]
    figure = SegmentFigure(explanation, "Scores of the segments (logits)", more=(CLIP,))
    figure.frames()
    limit = positive(np.abs(scores).max())

    def draw(place: Place) -> None:
        axes = place.wide()
        table(axes, scores, limit, [[f"{value:.1f}" for value in row] for row in scores])
        axes.set_yticks(range(len(chosen)), names, fontsize=SMALL + 0.5, parse_math=False)
        for label, tick in zip(chosen, axes.get_yticklabels(), strict=True):
            tick.set_fontweight("bold" if label == explanation.label else "normal")
        percent = 100 * explanation.answer.probabilities[chosen]
        means = scores.mean(axis=1)
        said = [[f"{mean:.1f}   {share:.1f} %"] for mean, share in zip(means, percent, strict=True)]
        table(bare(place.cell(place.columns)), means[:, None], limit, said)
        place.bar(axes.images[0], "score", place.columns + 1)

    figure.row(LINE * len(chosen), "", draw)
    return figure.png()


def shown_classes(explanation: Explanation) -> list[int]:
    """The most probable classes, and the one that is explained."""
    labels = [guess.label for guess in explanation.answer.top(MOST_CLASSES)]
    return labels if explanation.label in labels else [*labels[:-1], explanation.label]


def table(axes: Axes, values: np.ndarray, limit: float, texts: list[list[str]]) -> None:
    """Values (rows, columns) as colours, with texts on them."""
    axes.imshow(values, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto")
    axes.set_xticks([])
    axes.tick_params(length=0)
    for row, column in np.ndindex(values.shape):
        colour = "white" if abs(values[row, column]) > DARK * limit else "black"
        axes.text(column, row, texts[row][column], ha="center", va="center", fontsize=LETTERS - 1, color=colour)


def scores_table(explanation: Explanation) -> bytes:
    """CSV: a row a segment with its first and last frame, from 1, and all scores; the last row is the clip's."""
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(["segment", "first_frame", "last_frame", *explanation.answer.class_names])
    for number, (frames, scores) in enumerate(zip(explanation.clip.frames, explanation.scores, strict=True), 1):
        writer.writerow([number, frames[0] + 1, frames[-1] + 1, *(f"{score:.6g}" for score in scores)])
    writer.writerow(["clip", "", "", *(f"{score:.6g}" for score in explanation.scores.mean(axis=0))])
    return lines.getvalue().encode("utf-8", "backslashreplace")
