"""The figures of `make bench-gpu` as one Markdown page, and where they stand in docs/performance.md."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ops.benchmark.gpu.plan import KINDS, SIDES, TASKS, Measurement
from ops.runtime import InputError, write_atomically

BEGIN, END = "<!-- figures of `make bench-gpu` -->", "<!-- end of the figures -->"


def markdown(figures: dict[str, Any], batch_sizes: Sequence[int]) -> str:
    """One table: a row for each task, network and kind of numbers; then profiles and the loader."""
    known = {tuple(row[name] for name in ("task", "side", "kind", "batch_size")): row for row in figures["rows"]}
    machine, sizes = figures["machine"], [f"batch {size}" for size in batch_sizes]
    where = f"{machine['accelerator']}, torch {machine['packages']['torch']}; {figures['what']}"
    lines = [f"{where}; clips a second (peak memory).", "", f"| task | network | numbers | {' | '.join(sizes)} |"]
    lines.append("| --- | --- | --- |" + " --- |" * len(sizes))
    for task in TASKS:
        for side in SIDES:
            for kind in KINDS:
                rows = [known.get((task, side, kind, size), {}) for size in batch_sizes]
                if side == "MSN" or not KINDS[kind].compile:
                    lines.append(f"| {task} | {side} | {kind} | {' | '.join(map(_cell, rows))} |")
    for task in TASKS:
        for kind in ("float32", "bf16"):
            ratios = [_ratio(known, task, kind, size) for size in batch_sizes]
            lines.append(f"| {task} | fastest MSN / {kind} oracle | | {' | '.join(ratios)} |")
    for name, found in figures.get("profiles", {}).items():
        lines += ["", f"Where a step spends its time: {name}", "", "| kernel | ms | share |", "| --- | --- | --- |"]
        if "failed" in found:
            lines.append(f"| {found['failed']} | | |")
        lines += [f"| `{k['name'][:90].replace('|', ' ')}` | {k['ms']:.2f} | {100 * k['share']:.1f} % |"
                  for k in found.get("kernels", ())]  # fmt: skip
    if "loader" in figures:
        lines += ["", _loader_line(figures["loader"])]
    return "\n".join(lines) + "\n"


def _cell(row: dict[str, Any]) -> str:
    if "clips_per_second" not in row:
        return str(row.get("failed", "not measured"))
    memory = f" ({row['peak_memory_mb']:,.0f} MB)" if "peak_memory_mb" in row else ""
    return f"{row['clips_per_second']:.1f}{memory}"


def _ratio(known: dict[tuple[Any, ...], dict[str, Any]], task: str, kind: str, size: int) -> str:
    ours = [row for (t, side, _, s), row in known.items() if (t, side, s) == (task, "MSN", size)]
    speeds = [row.get("clips_per_second", 0) for row in ours]
    oracle = known.get((task, "oracle", kind, size), {}).get("clips_per_second")
    return f"{max(speeds) / oracle:.2f}" if oracle and speeds and max(speeds) else "not measured"


def _loader_line(loader: dict[str, Any]) -> str:
    line = (f"One core reads {loader['clips_per_second_a_core']:.1f} training clips a second, the machine's "
            f"{loader['cores']} cores about {loader['clips_per_second']:.0f}")  # fmt: skip
    if loader["headspace"] is None:
        return f"{line}."
    return f"{line}: {loader['headspace']:.1f} times what the fastest training step takes."


def fill_page(page: Path, text: str) -> None:
    """Put the figures where a page has room for them.

    Raises:
        InputError: it has none.
    """
    content = page.read_text(encoding="utf-8")
    if content.count(BEGIN) != 1 or content.count(END) != 1:
        raise InputError(f"{page}: expected the lines {BEGIN} and {END}, once each, got none or several")
    before, rest = content.split(BEGIN)
    write_atomically(page, f"{before}{BEGIN}\n{text}{END}{rest.split(END)[1]}".encode())


def as_row(what: Measurement, found: dict[str, Any]) -> dict[str, Any]:
    return {**vars(what), **found}
