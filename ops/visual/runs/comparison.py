"""Runs side by side, as text, CSV and a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ops.runtime import InputError, write_atomically
from ops.visual.runs.record import Best, RunRecord, differing, read_run

MOST_EPOCHS = 12  # in the text
WIDEST = 40  # letters of a setting
# Curves of the picture: heading, unit and the scalars that are drawn, with the style of their lines.
PANELS = (
    ("loss of training", "loss", {"train_epoch/loss": "-"}),
    ("loss of validation", "loss", {"val/loss": "-", "val_ema/loss": "--"}),
    ("top-1 of training", "%", {"train_epoch/top1": "-", "train_epoch/top1_mixed": ":"}),
    ("top-1 of validation", "%", {"val/top1": "-", "val_ema/top1": "--"}),
)


def compare_runs(folders: Sequence[Path], out: Path) -> str:
    """Write OUT.csv (a row a run), OUT_curves.csv (a row a value) and OUT.png; returns the text.

    Raises:
        InputError: a folder holds no run, or a file cannot be written.
    """
    if not out.parent.is_dir():
        raise InputError(f"expected --out in an existing folder, got {out}")
    runs = [read_run(folder) for folder in folders]
    rows = list(summary(runs))
    write_atomically(out.with_name(f"{out.name}.csv"), _csv(zip(*rows, strict=True)))
    write_atomically(out.with_name(f"{out.name}_curves.csv"), _csv(_values(runs)))
    write_atomically(out.with_name(f"{out.name}.png"), draw(runs))
    curve = list(epochs(runs))
    return "\n\n".join([_aligned(rows), *([_aligned(curve)] if len(curve) > 1 else [])])


def summary(runs: list[RunRecord]) -> Iterator[list[str]]:
    """Rows of text: names, what differs, best accuracies, cost; a column for each run."""
    yield ["run", *(run.name for run in runs)]
    for path, values in differing(runs).items():
        yield [path, *map(_words, values)]
    yield ["best top-1 % [95 % interval]", *(_best(run.best()) for run in runs)]
    if any(run.best("val_ema/top1") for run in runs):
        yield ["best top-1 % of EMA weights", *(_best(run.best("val_ema/top1")) for run in runs)]
    yield ["clips seen in training", *("unknown" if run.clips is None else f"{run.clips:,}" for run in runs)]
    yield ["hours", *(f"{run.hours:.2f}" for run in runs)]


def epochs(runs: list[RunRecord]) -> Iterator[list[str]]:
    """Rows of text: top-1 of validation after at most MOST_EPOCHS epochs, evenly chosen, the last one among them."""
    yield ["epoch: top-1 % of validation", *(run.name for run in runs)]
    curves = [run.curves.get("val/top1", {}) for run in runs]
    found = sorted({epoch for curve in curves for epoch in curve})
    chosen = {found[-1 - number * len(found) // MOST_EPOCHS] for number in range(min(MOST_EPOCHS, len(found)))}
    for epoch in sorted(chosen):
        yield [str(epoch), *(f"{curve[epoch]:.2f}" if epoch in curve else "-" for curve in curves)]


def _best(best: Best | None) -> str:
    if best is None:
        return "none"
    interval = "" if best.interval is None else f" [{best.interval[0]:.2f}, {best.interval[1]:.2f}]"
    return f"{best.top1:.2f}{interval} (epoch {best.epoch})"


def _words(value: Any) -> str:
    text = (
        " ".join(map(str, value))
        if isinstance(value, list)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 3]}..."


def _aligned(rows: list[list[str]]) -> str:
    """Columns of text."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _values(runs: list[RunRecord]) -> Iterator[Sequence[Any]]:
    yield "run", "scalar", "step or epoch", "value"
    for run in runs:
        for scalar, curve in sorted(run.curves.items()):
            yield from ((run.name, scalar, step, f"{value:.6g}") for step, value in curve.items())


def _csv(rows: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def draw(runs: list[RunRecord]) -> bytes:
    """A PNG: four panels of curves by epoch, a colour a run; broken lines are EMA weights, dotted ones mixed clips."""
    from matplotlib.figure import Figure  # takes longer to import than all the rest
    from matplotlib.lines import Line2D

    figure = Figure(figsize=(11, 7), layout="constrained")
    for axes, (title, unit, scalars) in zip(figure.subplots(2, 2).flat, PANELS, strict=True):
        axes.set(title=title, xlabel="epoch", ylabel=unit)
        axes.grid(alpha=0.25)
        for number, run in enumerate(runs):
            for scalar, style in scalars.items():
                curve = run.curves.get(scalar, {})
                axes.plot(list(curve), list(curve.values()), style, color=f"C{number % 10}", marker=".")
    figure.legend(
        [Line2D([], [], color=f"C{number % 10}", marker=".") for number in range(len(runs))],
        [run.name for run in runs], loc="outside upper center", ncols=2,
    )  # fmt: skip
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=90)
    return png.getvalue()
