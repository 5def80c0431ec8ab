"""The cost model against the clock: processes of this host that train together, as many as asked for."""

import os
import socket
import statistics
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection

import torch
from torch import multiprocessing

from ops.benchmark.scaling.cost_model import OneHost
from ops.models import FRAMES_PER_SEGMENT, build_model
from ops.runtime import distributed, exchange, processors

NUM_CLASSES, SEGMENTS, SIZE = 174, 2, 32


@dataclass(frozen=True)
class Clocked:
    """Medians over steps, of the slowest process: with the exchange of gradients, and without."""

    processes: int
    together: float
    apart: float
    spread: float  # of ``together``: a half of the range between the quartiles, over the median


def _train(rank: int, processes: int, port: int, arch: str, steps: int, answer: Connection) -> None:
    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(rank), "WORLD_SIZE": str(processes), "LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }  # fmt: skip
    device = torch.device("cpu")
    with distributed.process_group(device):
        torch.manual_seed(0)
        model = build_model(arch, NUM_CLASSES, SEGMENTS, model="msn").train()
        network = exchange.wrap(model, device)
        clips = torch.randn(2, SEGMENTS, FRAMES_PER_SEGMENT["msn"], 3, SIZE, SIZE)

        def step(synced: bool) -> float:
            exchange.barrier()
            begun = time.perf_counter()
            with exchange.gradients_synced(network, synced):
                network(clips).sum().backward()
            return time.perf_counter() - begun

        for synced in (True, False):
            step(synced)
        times = [(step(True), step(False)) for _ in range(steps)]  # alternating: other load slows both
        slowest = [tuple(map(max, zip(*each, strict=True))) for each in zip(*exchange.from_all(times), strict=True)]
        if rank == 0:
            answer.send((slowest, sum(p.numel() * p.element_size() for p in model.parameters())))


def clocked(processes: int, arch: str, steps: int) -> tuple[Clocked, int]:
    """The seconds of a step in so many processes, and the bytes of its gradients."""
    receive, send = multiprocessing.Pipe(duplex=False)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    multiprocessing.spawn(_train, (processes, port, arch, steps, send), nprocs=processes)
    slowest, size = receive.recv()
    together, apart = ([each[kind] for each in slowest] for kind in (0, 1))
    quartiles = statistics.quantiles(together, n=4)
    middle = statistics.median(together)
    return Clocked(processes, middle, statistics.median(apart), (quartiles[2] - quartiles[0]) / 2 / middle), size


def compare(counts: tuple[int, ...], arch: str, steps: int) -> tuple[OneHost, list[tuple[Clocked, float]]]:
    """The model, whose two rates come from the runs of one and of two processes, and what it says of each run.

    Computing alone is measured in one process; the exchange is what two processes need more than without it.
    """
    runs: dict[int, tuple[Clocked, int]] = {count: clocked(count, arch, steps) for count in sorted({1, 2, *counts})}
    size = runs[1][1]
    two = runs[2][0]
    share = max(1, 2 / processors())
    rate = share * size / max(two.together - two.apart, 1e-9)
    model = OneHost(processors(), runs[1][0].together, rate, size)
    return model, [(runs[count][0], model.seconds(count)) for count in counts]
