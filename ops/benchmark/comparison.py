"""Sides of a comparison, timed in turn, and the machine that they ran on."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

Clock = Callable[[], float]


@dataclass
class Comparison:
    """Times of the sides of one comparison.

    Args:
        title: what is compared.
        yardstick: the side that the others are divided by.
        unit: what a time is.
        seconds: of each round, by side.
    """

    title: str
    yardstick: str
    unit: str
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def median(self, side: str) -> float:
        return statistics.median(self.seconds[side])

    def summary(self) -> dict[str, Any]:
        rows = {
            side: {"median": self.median(side), "least": min(times), "most": max(times),
                   "of_yardstick": self.median(side) / self.median(self.yardstick), "rounds": times}
            for side, times in self.seconds.items()
        }  # fmt: skip
        return {"title": self.title, "unit": self.unit, "yardstick": self.yardstick, "sides": rows}

    def table(self) -> str:
        width = max(map(len, self.seconds))
        lines = [f"{self.title} ({self.unit})", f"{'':{width}}   median    least     most   of {self.yardstick}"]
        for side, times in self.seconds.items():
            share = self.median(side) / self.median(self.yardstick)
            lines.append(
                f"{side:{width}} {self.median(side):8.3f} {min(times):8.3f} {max(times):8.3f}   "
                f"{share:.2f} ({1 / share:.2f} times as fast)"
            )
        return "\n".join(lines)


def alternate(comparison: Comparison, sides: dict[str, Callable[[], Any]], rounds: int, clock: Clock) -> Comparison:
    """Run every side once to warm up, then all of them in turn, ``rounds`` times."""
    for work in sides.values():
        work()
    comparison.seconds = {side: [] for side in sides}
    for _ in range(rounds):
        for side, work in sides.items():
            start = clock()
            work()
            comparison.seconds[side].append(clock() - start)
    return comparison


def machine(threads: int, device: str) -> dict[str, Any]:
    """What the figures depend on."""
    import torch

    packages = ("torch", "torchvision", "numpy", "av", "Pillow", "decord", "torchcodec")
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except ImportError:
            found[name] = "not installed"
    accelerator = torch.cuda.get_device_name() if device == "cuda" else "none"
    return {"processor": processor(), "accelerator": accelerator, "threads": threads,
            "python": platform.python_version(), "packages": found | {"torch": torch.__version__}}  # fmt: skip


def processor() -> str:
    """The processor's name, as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
