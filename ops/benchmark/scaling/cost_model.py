"""Cost model of training on many GPUs: a step, an epoch, a run, and what of them each part takes.

A step of P processes, b clips each:

    compute   = b * gflop_per_clip / gflops                       all processes at once
    exchange  = 2 (P-1)/P * bytes / bandwidth + 2 (P-1) latency   ring all-reduce; the slowest link counts
    exposed   = max(exchange - overlap * compute, 0)              DDP sends while the backward pass computes
    loading   = b * cpu_seconds_per_clip / cores_per_gpu          data-loading workers, at the same time
    step      = max(compute + exposed, loading)

An epoch adds the start of the workers, the validation, and the checkpoint that the first process writes while the
others wait.
"""

import math
from dataclasses import dataclass, field, fields, replace


def _assumed(default: float, words: str, source: str) -> float:
    made: float = field(default=default, metadata={"words": words, "source": source})
    return made


@dataclass(frozen=True)
class Assumptions:
    """What the model takes for granted; each with its unit, and where it comes from."""

    gflop_per_clip: float = _assumed(331, "GFLOP of a training clip", "55.2 GMAC forward, counted; backward twice that")
    gflops: float = _assumed(30_000, "GFLOP/s that a GPU reaches", "assumed, not measured")
    gradient_bytes: float = _assumed(31e6 * 4, "bytes of the gradients", "31.0 M parameters, counted")
    gpus_per_host: float = _assumed(8, "GPUs of a host", "assumed")
    bandwidth_inside: float = _assumed(200e9, "bytes/s between GPUs of a host", "assumed, NVLink")
    bandwidth_between: float = _assumed(20e9, "bytes/s of a host's network", "assumed, 200 Gbit/s, 80 % of it")
    latency: float = _assumed(10e-6, "seconds of one hop", "assumed")
    overlap: float = _assumed(0.6, "part of the computation that hides the exchange", "assumed; backward is two thirds")
    cpu_seconds_per_clip: float = _assumed(0.102, "CPU seconds to load a clip", "measured: docs/performance.md")
    cores_per_gpu: float = _assumed(8, "cores that load for a GPU", "--workers 8, a core each")
    batch: float = _assumed(8, "clips of a GPU's batch", "recipe")
    train_videos: float = _assumed(240_000, "training videos", "Kinetics-400")
    val_videos: float = _assumed(20_000, "validation videos", "Kinetics-400")
    epochs: float = _assumed(100, "epochs", "recipe")
    checkpoint_bytes: float = _assumed(2 * 31e6 * 4, "bytes of a checkpoint", "weights and momentum, counted")
    disk: float = _assumed(500e6, "bytes/s of the disk that checkpoints go to", "assumed")
    epoch_start: float = _assumed(2, "seconds until the first batch of an epoch", "assumed")

    def table(self) -> list[tuple[str, float, str]]:
        """Words, value and source of each."""
        return [(f.metadata["words"], getattr(self, f.name), f.metadata["source"]) for f in fields(self)]


@dataclass(frozen=True)
class Step:
    """Seconds of a step and its parts."""

    compute: float
    exchange: float
    exposed: float
    loading: float

    @property
    def seconds(self) -> float:
        return max(self.compute + self.exposed, self.loading)


@dataclass(frozen=True)
class Run:
    """What a number of GPUs gives.

    Args:
        videos_per_step: over all GPUs.
        steps: of an epoch.
        epoch: seconds, of which ``validation``, ``checkpoint`` and ``start`` are not training.
        hours: of the whole run.
        efficiency: clips a second, over as many times those of one GPU alone that never waits.
        limit: what the step waits for.
    """

    gpus: int
    step: Step
    videos_per_step: int
    steps: int
    epoch: float
    validation: float
    checkpoint: float
    start: float
    hours: float
    efficiency: float
    limit: str


def step_of(given: Assumptions, gpus: int) -> Step:
    """The parts of one step."""
    hosts = math.ceil(gpus / given.gpus_per_host)
    bandwidth = given.bandwidth_inside if hosts == 1 else given.bandwidth_between
    compute = given.batch * given.gflop_per_clip / given.gflops
    exchange = 2 * (gpus - 1) / gpus * given.gradient_bytes / bandwidth + 2 * (gpus - 1) * given.latency
    exposed = max(exchange - given.overlap * compute, 0)
    return Step(compute, exchange, exposed, given.batch * given.cpu_seconds_per_clip / given.cores_per_gpu)


def run_of(given: Assumptions, gpus: int) -> Run:
    """Step, epoch and run on a number of GPUs."""
    step = step_of(given, gpus)
    videos = int(given.batch * gpus)
    steps = int(given.train_videos // videos)
    forward = replace(given, gflop_per_clip=given.gflop_per_clip / 3)
    ahead = step_of(forward, 1)
    validation = math.ceil(given.val_videos / videos) * max(ahead.compute, ahead.loading)
    checkpoint = given.checkpoint_bytes / given.disk
    epoch = steps * step.seconds + validation + checkpoint + given.epoch_start
    alone = step_of(given, 1).compute / given.batch
    return Run(
        gpus, step, videos, steps, epoch, validation, checkpoint, given.epoch_start,
        epoch * given.epochs / 3_600, steps * videos * alone / gpus / epoch,
        "loading" if step.loading > step.compute + step.exposed else "exchange" if step.exposed else "computing",
    )  # fmt: skip


@dataclass(frozen=True)
class OneHost:
    """Processes that share the cores of one host, which ``measure`` compares with the clock.

    Args:
        cores: of the host.
        compute: seconds that a process alone needs for a step.
        rate: bytes a second that a core adds and copies in an all-reduce.
        gradient_bytes: of a step.
    """

    cores: int
    compute: float
    rate: float
    gradient_bytes: int

    def seconds(self, processes: int) -> float:
        """Of a step: computing and exchanging, which share the cores and so hide nothing of each other."""
        share = max(1, processes / self.cores)
        return share * (self.compute + 2 * (processes - 1) / processes * self.gradient_bytes / self.rate)
