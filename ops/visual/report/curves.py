"""The body of training_curves.py: event files in, a page of curves out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ops.runtime import InputError, check_writable, plural, print_any_name, report, write_atomically
from ops.settings import CurvesConfig
from ops.training import RunScalars, find_runs, read_scalars
from ops.visual.report.page import packed, render

MOST_POINTS = 1500  # of a curve; more are averaged in groups


class Curve(NamedTuple):
    """Which scalars a curve shows, its name, and how it is drawn: ``thin``, ``plain``, ``dashed`` or ``thick``."""

    tag: str
    name: str
    style: str


class Chart(NamedTuple):
    """Curves over epochs that share an axis in ``unit``."""

    title: str
    unit: str
    curves: tuple[Curve, ...]
    logarithmic: bool = False


def _of_epochs(key: str) -> tuple[Curve, ...]:
    return (
        Curve(f"train/{key}", "training, some steps", "thin"),
        Curve(f"train_epoch/{key}", "training, whole epoch", "dashed"),
        Curve(f"val/{key}", "validation", "thick"),
    )


CHARTS = (
    Chart("Loss", "", _of_epochs("loss")),
    Chart("Top-1 accuracy", "%", _of_epochs("top1")),
    Chart("Top-5 accuracy", "%", _of_epochs("top5")),
    Chart("Learning rate", "", (Curve("train/lr", "learning rate", "thick"),), logarithmic=True),
    Chart("Time per step", "s", (Curve("train/step_time", "a step", "plain"),
                                 Curve("train/data_time", "of it, waiting for data", "dashed"))),
)  # fmt: skip


class Summary(NamedTuple):
    """What a run came to; None where it has not come so far."""

    name: str
    epochs: float
    best_top1: float | None
    best_epoch: int | None
    last_loss: float | None
    hours: float
    step_time: float | None
    data_share: float | None


def write_curves(config: CurvesConfig) -> int:
    """Make the page, and print what it is; returns the exit status: 0, or 2 where a run could not be read.

    Raises:
        InputError: there is nothing to draw, or the page cannot be written.
    """
    print_any_name()
    folders = find_runs(config.runs)
    check_writable(config.page)
    runs, problems = [], []
    for folder in folders:
        try:
            runs.append(read_scalars(folder))
        except InputError as error:
            problems.append(str(error))
    if not runs:
        raise InputError(problems[0])
    for problem in problems:
        report(problem)
    names = run_names([run.folder.resolve() for run in runs])
    data = {"runs": names, "charts": [_chart(chart, runs) for chart in CHARTS]}
    summaries = [summarise(run, name) for run, name in zip(runs, names, strict=True)]
    title = names[0] if len(names) == 1 else plural(len(names), "run")
    unfinished = [name for run, name in zip(runs, names, strict=True) if run.steps_per_epoch is None]
    page = render("curves.html.jinja", data, title=title, summaries=summaries, unfinished=unfinished)
    write_atomically(config.page, page)
    print(f"{config.page}: {plural(len(runs), 'run')}, {len(page) / 1e6:.1f} MB")
    return 2 if problems else 0


def run_names(folders: Sequence[Path]) -> list[str]:
    """The paths of folders from where they part; the name of a single one."""
    common = Path(os.path.commonpath([folder.parent for folder in folders]))
    return [str(folder.relative_to(common)) for folder in folders]


def in_epochs(run: RunScalars, tag: str) -> tuple[np.ndarray, np.ndarray]:
    """Epochs (M,) and finite values (M,) of a scalar, averaged in groups where there are very many."""
    steps, values = run.scalars.get(tag, (np.empty(0), np.empty(0)))
    per_epoch = 1 if not tag.startswith("train/") else run.steps_per_epoch or max(steps, default=1)
    finite = np.isfinite(values)
    x, y = steps[finite] / per_epoch, values[finite]
    group = -(-len(x) // MOST_POINTS)
    if group <= 1:
        return x, y
    starts = np.arange(0, len(x), group)
    sizes = np.diff(np.append(starts, len(x)))
    return np.add.reduceat(x, starts) / sizes, np.add.reduceat(y, starts) / sizes


def summarise(run: RunScalars, name: str) -> Summary:
    """The row of a run in the table."""
    epochs, top1 = in_epochs(run, "val/top1")
    _, losses = in_epochs(run, "train_epoch/loss")
    trained, _ = in_epochs(run, "train/loss")
    _, step_times = in_epochs(run, "train/step_time")
    _, data_times = in_epochs(run, "train/data_time")
    return Summary(
        name=name,
        epochs=float(max(*trained, *epochs, 0)) if run.steps_per_epoch or len(epochs) else 0.0,
        best_top1=float(top1.max()) if len(top1) else None,
        best_epoch=int(epochs[top1.argmax()]) if len(top1) else None,
        last_loss=float(losses[-1]) if len(losses) else None,
        hours=run.hours,
        step_time=float(np.median(step_times)) if len(step_times) else None,
        data_share=100 * float(data_times.sum() / step_times.sum()) if len(step_times) else None,
    )


def _chart(chart: Chart, runs: Sequence[RunScalars]) -> dict[str, Any]:
    lines = []
    for number, run in enumerate(runs):
        for curve in chart.curves:
            x, y = in_epochs(run, curve.tag)
            if len(x):
                lines.append({"run": number, "name": curve.name, "style": curve.style,
                              "x": packed(x, "f4"), "y": packed(y, "f4")})  # fmt: skip
    return {"title": chart.title, "unit": chart.unit, "logarithmic": chart.logarithmic, "lines": lines}
