"""What scaling.py prints."""

from dataclasses import dataclass

from ops.benchmark.scaling.cost_model import Assumptions, Run, run_of
from ops.runtime import InputError

COLUMNS = (
    "GPUs", "videos per step", "ms a step: compute + exposed exchange, loading", "step waits for", "minutes an epoch",
    "of them validation, checkpoint, start", "hours of the run", "efficiency",
)  # fmt: skip
OF_MEASURED = (
    "processes", "measured, ms a step", "half of the range between quartiles", "predicted, ms a step", "error",
)  # fmt: skip


@dataclass(frozen=True)
class ScalingOptions:
    """What the command line says; scripts/benchmarks/scaling.py describes each."""

    gpus: tuple[int, ...]
    set: tuple[str, ...]
    measure: tuple[int, ...]
    arch: str
    steps: int


def report_scaling(options: ScalingOptions) -> None:
    """Print the table of assumptions and what numbers of GPUs give, or the model against the clock.

    Raises:
        InputError: an assumption that there is not.
    """
    if options.measure:
        _report_measured(options)
        return
    given = changed(Assumptions(), options.set)
    print("| assumption | value | source |\n| --- | --- | --- |")
    for words, value, source in given.table():
        print(f"| {words} | {value:,g} | {source} |")
    print(f"\n| {' | '.join(COLUMNS)} |\n" + "| --- " * len(COLUMNS) + "|")
    for gpus in options.gpus:
        print(row(run_of(given, gpus)))


def row(run: Run) -> str:
    """A line of the table."""
    step = run.step
    rest = ", ".join(f"{seconds:.1f} s" for seconds in (run.validation, run.checkpoint, run.start))
    return (
        f"| {run.gpus} | {run.videos_per_step:,} | {1000 * step.compute:.1f} + {1000 * step.exposed:.1f}, "
        f"{1000 * step.loading:.1f} | {run.limit} | {run.epoch / 60:.2f} | {rest} | {run.hours:.1f} | "
        f"{100 * run.efficiency:.0f} % |"
    )


def changed(given: Assumptions, changes: tuple[str, ...]) -> Assumptions:
    """Assumptions with some in place of others, ``gflops=60000``."""
    values = dict(vars(given))
    for change in changes:
        name, _, text = change.partition("=")
        try:
            if name not in values:
                raise ValueError
            values[name] = float(text)
        except ValueError:
            raise InputError(f"--set: expected NAME=NUMBER with one of {', '.join(values)}, got {change!r}") from None
    return Assumptions(**values)


def _report_measured(options: ScalingOptions) -> None:
    from ops.benchmark.scaling.measured import compare

    model, runs = compare(options.measure, options.arch, options.steps)
    print(f"{model.cores} cores; {1000 * model.compute:.1f} ms to compute a step alone; {model.gradient_bytes:,} bytes")
    print(f"of gradients, exchanged at {model.rate / 1e6:,.0f} MB/s a core")
    print(f"\n| {' | '.join(OF_MEASURED)} |\n" + "| --- " * len(OF_MEASURED) + "|")
    for run, predicted in runs:
        measured, error = 1000 * run.together, 100 * (predicted / run.together - 1)
        noise = 100 * run.spread
        print(f"| {run.processes} | {measured:.1f} | {noise:.0f} % | {1000 * predicted:.1f} | {error:+.0f} % |")
