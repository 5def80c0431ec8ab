"""The page of the study: tables, a plot, and what they say in words."""

import io
from collections.abc import Mapping
from itertools import pairwise, product
from typing import NamedTuple

from ops.benchmark.study.findings import Accuracy, Findings
from ops.benchmark.study.runs import CLASS_SETS, VARIANTS, Schedule, Variant, planned_runs

NETWORKS, REDUCED = VARIANTS[:4], VARIANTS[4:]
MSN = NETWORKS[-1]
COSTS = (("gmac", "GMAC a clip"), ("parameters", "million parameters"), ("clips_per_second", "clips a second"))


class Cost(NamedTuple):
    """10^9 multiply-adds of a clip, 10^6 parameters, clips a second on one core."""

    gmac: float
    parameters: float
    clips_per_second: float


def page(schedule: Schedule, findings: Findings, costs: Mapping[str, Cost], machine: str, plot: str) -> str:
    """The page in Markdown.

    Args:
        costs: by name of the variant.
        machine: what the clips a second were measured on.
        plot: name of the picture beside the page.
    """
    return f"""# Study: which network sees which motion?

`make study` wrote this page: the four networks, and MSN without each of its modules, trained alike on the synthetic
[motion](datasets.md#motion) set. **All figures are this project's own, on its own synthetic data**, from short
trainings of small networks. They show what a network learns quickly, not how accurate it is on real videos. The
accuracies that the authors published are in [models](models.md).

- **local**: eight directions of motion, which five consecutive frames show. Chance is 12.5 %.
- **order**: six sequences of two motions. Pairs of classes have the same motions in another order. Chance is 16.7 %.
- **all**: these fourteen classes together. Chance is 7.1 %.

{_settings(schedule)}

{_table(findings, costs)}

{_state(findings)}

GMAC (10^9 multiply-adds) as `scripts/benchmarks/complexity.py` counts them. Clips a second: forward passes of batches
of {schedule.batch_size} in evaluation mode, in CPU time of one core, all networks in turn ({machine}).

![Top-1 of each network and set of classes against GMAC, parameters and clips a second]({plot})

## Which network can tell local motion?

{_ranking(findings, "local")}

## Which network can tell order?

{_ranking(findings, "order")}

## All classes together

{_ranking(findings, "all")}

## What each module of MSN earns

Top-1 of MSN minus that of MSN without the module, in percentage points. **Bold**: more than twice the noise of such a
difference.

{_modules(findings)}

{_noise(findings)}
"""


def _settings(schedule: Schedule) -> str:
    s = schedule
    return (
        f"Each run: {s.arch}, {s.num_segments} segments, {s.input_size} x {s.input_size} pixels, from scratch; "
        f"{s.train_clips} training clips, rendered at {s.rendered} x {s.rendered};\n"
        f"{s.epochs} epochs in batches of {s.batch_size}; learning rate {s.lr:g}, falling along a cosine. The table "
        f"gives the top-1 of the last\nepoch in percent, on {s.val_clips} validation clips, {s.num_segments} segments "
        f"x 1 crop x 1 clip: the mean over seeds ± half the distance\nbetween the best and the worst of them."
    )


def _table(findings: Findings, costs: Mapping[str, Cost]) -> str:
    rows = [
        f"| network | {' | '.join(CLASS_SETS)} | GMAC | million parameters | clips a second |",
        "| --- " * (len(CLASS_SETS) + 4) + "|",
    ]
    for variant in VARIANTS:
        cells = [findings.accuracy(variant, classes) or "not run" for classes in CLASS_SETS]
        gmac, parameters, speed = costs[variant.name]
        rows.append(f"| {variant.name} | {' | '.join(map(str, cells))} | {gmac:.3f} | {parameters:.2f} | {speed:.0f} |")
    return "\n".join(rows)


def _state(findings: Findings) -> str:
    """How many runs are finished, and which are not."""
    planned, missing = list(planned_runs(findings.seeds)), []
    for seed, classes in product(range(findings.seeds), CLASS_SETS):
        of_set = [run for run in planned if (run.seed, run.classes) == (seed, classes)]
        names = [run.variant.name for run in of_set if run.key not in findings.top1]
        if names:
            missing.append(f"seed {seed}, {classes}: {'all' if len(names) == len(of_set) else ', '.join(names)}")
    if not missing:
        return f"All {len(planned)} runs are finished: {findings.seeds} of each."
    done = sum(run.key in findings.top1 for run in planned)
    return f"**{done} of {len(planned)} runs are finished.** Missing: {'; '.join(missing)}. `make study` continues."


def _ranking(findings: Findings, classes: str) -> str:
    """The four networks from best to worst, and which of them guess."""
    found = [(accuracy, v) for v in NETWORKS if (accuracy := findings.accuracy(v, classes)) is not None]
    found.sort(key=lambda pair: -pair[0].mean)
    guess = [(a, v) for a, v in found if findings.is_chance(a, classes)]
    can = [pair for pair in found if pair not in guess]
    sentences = []
    if can:
        sentences.append(f"{_names(can)} {'does' if len(can) == 1 else 'do'} better than chance.")
    if guess:
        sentences.append(f"{_names(guess)} cannot be told from guessing (chance is {100 / CLASS_SETS[classes]:.1f} %).")
    for (better, one), (worse, other) in pairwise(can):
        ahead = "ahead of" if findings.seed_noise is None else "clearly ahead of"
        clear = ahead if findings.is_clear(better, worse) else "within the noise of"
        sentences.append(f"{one.name} is {clear} {other.name}.")
    return "\n".join(sentences) or "Not run yet."


def _names(found: list[tuple[Accuracy, Variant]]) -> str:
    *first, last = [f"{variant.name} ({accuracy} %)" for accuracy, variant in found]
    return f"{', '.join(first)} and {last}" if first else last


def _modules(findings: Findings) -> str:
    rows = [f"| module | {' | '.join(CLASS_SETS)} |", "| --- " * (len(CLASS_SETS) + 1) + "|"]
    for variant in REDUCED:
        cells = [_earned(findings, variant, classes) for classes in CLASS_SETS]
        rows.append(f"| {variant.name.removeprefix('MSN without ')} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _earned(findings: Findings, variant: Variant, classes: str) -> str:
    whole, reduced = findings.accuracy(MSN, classes), findings.accuracy(variant, classes)
    if whole is None or reduced is None:
        return "not run"
    points = f"{whole.mean - reduced.mean:+.1f}"
    return f"**{points}**" if findings.is_clear(whole, reduced) else points


def _noise(findings: Findings) -> str:
    clips = (
        f"The choice of {findings.val_clips} validation clips alone\ngives ± {findings.sampling_noise(50):.1f} points "
        f"at 50 % (one standard error)"
    )
    noise = findings.seed_noise
    if noise is None:
        return (
            f"Noise: no network has run with two seeds yet, so how much a seed changes is **not known**. {clips},\n"
            f"which bold and the order above are judged by; the noise of seeds comes on top."
        )
    return (
        f"Noise: from one seed to another, the top-1 of a run varies by {noise:.1f} points (standard deviation, over\n"
        f"all networks and sets); the mean of two seeds by {noise / 2**0.5:.1f}. {clips},\n"
        f"but all networks see the same clips."
    )


def draw(findings: Findings, costs: Mapping[str, Cost]) -> bytes:
    """A PNG: a row for each set of classes, a column for each cost."""
    from matplotlib.figure import Figure  # takes longer to import than all the rest

    figure = Figure(figsize=(12, 9), layout="constrained")
    panels = figure.subplots(len(CLASS_SETS), len(COSTS), sharey=True, sharex="col", squeeze=False)
    for row, (classes, count) in zip(panels, CLASS_SETS.items(), strict=True):
        for axes, (name, _) in zip(row, COSTS, strict=True):
            axes.axhline(100 / count, color="#777777", linestyle="--", linewidth=1, label="chance")
            for number, variant in enumerate(VARIANTS):
                accuracy = findings.accuracy(variant, classes)
                if accuracy is not None:
                    axes.errorbar(
                        getattr(costs[variant.name], name), accuracy.mean, yerr=accuracy.spread, capsize=4,
                        marker="o" if variant in NETWORKS else "X", markersize=8, linestyle="none", color=f"C{number}",
                        label=variant.name,
                    )  # fmt: skip
            axes.set(ylim=(0, 103))
            axes.grid(alpha=0.25)
        row[0].set_ylabel(f"top-1 %, {classes}")
    for axes, (_, label) in zip(panels[-1], COSTS, strict=True):
        axes.set_xlabel(label)
    handles = {
        label: handle for axes in panels.flat for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=4)
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=90)
    return png.getvalue()
