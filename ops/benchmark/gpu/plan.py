"""What `make bench-gpu` measures, the most telling first: time may not suffice for all."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A precision and memory order to compute in.

    Args:
        amp: as --amp; None for 32-bit numbers.
        tf32: whether convolutions and products of 32-bit numbers may use TensorFloat-32.
    """

    amp: str | None = None
    tf32: bool = False
    channels_last: bool = False
    compile: bool = False


KINDS = {
    "float32": Kind(),
    "TF32": Kind(tf32=True),
    "bf16": Kind("bf16", tf32=True),
    "bf16, channels last, compiled": Kind("bf16", tf32=True, channels_last=True, compile=True),
}
TASKS = ("training", "testing")
SIDES = ("MSN", "oracle")


@dataclass(frozen=True)
class Measurement:
    """Clips a second, and memory, of one network doing one thing in batches of one size."""

    task: str
    side: str
    kind: str
    batch_size: int

    def __str__(self) -> str:
        return f"{self.task}, {self.side}, {self.kind}, batch {self.batch_size}"


def plan(batch_sizes: Sequence[int]) -> list[Measurement]:
    """All measurements: the middle batch size first, and what must be compiled last; the oracle is never compiled."""
    middle = batch_sizes[len(batch_sizes) // 2]
    sizes = [middle, *sorted((size for size in batch_sizes if size != middle), reverse=True)]
    found = [
        Measurement(task, side, kind, size)
        for size in sizes for task in TASKS for kind in KINDS for side in SIDES
        if side == "MSN" or not KINDS[kind].compile
    ]  # fmt: skip
    return sorted(found, key=lambda each: KINDS[each.kind].compile)  # a stable sort
