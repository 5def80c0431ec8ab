"""A picture of the classes of a long video over time. K classes."""

import io
import warnings
from pathlib import Path

import numpy as np

from ops.inference import Timeline, clock

MOST_CLASSES = 12  # rows of the picture
LONGEST_NAME = 40  # letters
MOST_TICKS = 12
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800)  # seconds


def draw_timeline(timeline: Timeline) -> bytes:
    """PNG: time from left to right, a row a class, the darker the more probable.

    Shown are the classes that are most probable on the whole, those that have their peak first at the top.
    """
    from matplotlib.figure import Figure  # takes longer to import than to say --help
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    probabilities = timeline.probabilities  # (columns, K)
    classes = np.argsort(-probabilities.mean(axis=0), kind="stable")[:MOST_CLASSES]
    classes = classes[np.argsort(probabilities[:, classes].argmax(axis=0), kind="stable")]
    middles = np.array([(column.start + column.end) / 2 for column in timeline.columns])
    inner = (middles[1:] + middles[:-1]) / 2  # windows may overlap: each is drawn around its middle
    edges = np.array([timeline.columns[0].start, *inner, timeline.columns[-1].end])
    figure = Figure(figsize=(12, 1.6 + 0.34 * len(classes)), layout="constrained")
    axes = figure.add_subplot()
    image = axes.pcolormesh(
        edges, np.arange(len(classes) + 1), 100 * probabilities[:, classes].T, vmin=0, vmax=100, cmap="Blues"
    )
    axes.invert_yaxis()
    axes.set_yticks(np.arange(len(classes)) + 0.5, [short(timeline.class_names[c]) for c in classes], parse_math=False)
    axes.xaxis.set_major_locator(MultipleLocator(tick_seconds(edges[-1] - edges[0])))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: clock(seconds)))
    axes.set_xlabel("time")
    axes.set_title(timeline.name if "://" in timeline.name else Path(timeline.name).name, parse_math=False)
    figure.colorbar(image, label="probability (%)", pad=0.01)
    png = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # shown as a box; the CSV file has the name
        figure.savefig(png, format="png", dpi=120)
    return png.getvalue()


def tick_seconds(length: float) -> float:
    """Seconds from tick to tick of an axis of ``length`` seconds, as clocks have them."""
    steps = (*TICKS, *(3600 * k for k in (1, 2, 6, 12, 24)))
    return next((step for step in steps if length / step <= MOST_TICKS), length / MOST_TICKS)


def short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 3] + "..."
