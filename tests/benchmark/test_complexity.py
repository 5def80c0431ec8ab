"""Complexity: counts against naive ones by hooks, the table, the CSV file, the plot."""

import csv
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ops.benchmark.complexity import count, kept_for_backward, measure
from ops.models import NETWORKS, Recognizer, build_model
from tests.commands import run_script, succeeded

SEGMENTS, SIZE = 2, 32


def naive_multiply_adds(model: Recognizer) -> float:
    """Each output value of a convolution or linear layer takes as many as its kernel has weights."""
    total = 0.0

    def add(module: nn.Module, _: object, output: Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d | nn.Linear)
        total += output.numel() * module.weight[0].numel()

    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(add)
    clip = torch.zeros(1, model.num_segments, model.frames_per_segment, 3, SIZE, SIZE)
    with torch.no_grad():
        model.eval()(clip)
    return total / 1e9


class TestCount:
    @pytest.mark.parametrize("network", [name for name in NETWORKS if name != "msn"])
    def test_agrees_with_a_naive_count(self, network: str) -> None:
        model = build_model("resnet10", 5, SEGMENTS, model=network)
        counts = count(model, SIZE)
        assert counts.gmac == pytest.approx(naive_multiply_adds(model), rel=1e-9)
        assert counts.parameters == sum(p.numel() for p in model.parameters())

    def test_msn_adds_deformable_convolutions_and_the_summary(self) -> None:
        """What no layer's hook sees: products of deformable convolutions, and the mean of the 3D convolution."""
        model = build_model("resnet10", 5, SEGMENTS)
        counts = count(model, SIZE)
        more = sampling = 0
        for channels, side in ((128, 4), (256, 2), (512, 1)):  # of layer2 to layer4, behind conv1
            reduced = channels // 4
            values = (SEGMENTS - 1) * side * side * reduced
            for points in (9, 25):
                more += values * points * reduced
                sampling += 4 * values * points
            more += 27 * reduced * reduced
            sampling += 3 * SEGMENTS * side * side * channels  # the learnable shift
        assert counts.gmac == pytest.approx(naive_multiply_adds(model) + more / 1e9, rel=1e-9)
        assert counts.other_gmac == pytest.approx(sampling / 1e9, rel=1e-9)

    @pytest.mark.parametrize(("network", "published"), [("tsn", 32.7), ("tsm", 32.7), ("tdn", 35.6), ("msn", 51.4)])
    def test_the_published_figures(self, network: str, published: float) -> None:
        with torch.device("meta"):
            model = build_model("resnet50", 174, 8, model=network)
        assert round(count(model, 224).gmac, 1) == published

    def test_leaves_the_network_as_it_was(self) -> None:
        model = build_model("resnet10", 5, SEGMENTS).train()
        count(model, SIZE)
        assert model.training and next(model.parameters()).device.type == "cpu"
        assert not any(module._forward_hooks for module in model.modules())


class TestActivations:
    def test_of_a_small_network(self) -> None:
        """A linear layer keeps its input, which is not counted, and ReLU its output, which the next layer shares."""
        network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        assert kept_for_backward(network, torch.zeros(3, 4)) == 3 * 8 * 4
        assert kept_for_backward(network.to("meta"), torch.zeros(3, 4, device="meta")) == 3 * 8 * 4

    @pytest.mark.parametrize("network", NETWORKS)
    def test_without_values_as_with_them(self, network: str) -> None:
        model = build_model("resnet10", 5, SEGMENTS, model=network)
        clip = torch.zeros(1, SEGMENTS, model.frames_per_segment, 3, SIZE, SIZE)
        computed = kept_for_backward(model, clip) / 2**20
        assert count(model, SIZE).activation_mb == pytest.approx(computed, rel=0.05)


def test_measures_with_the_clock_it_is_given() -> None:
    """One warm-up and three rounds of one clip, the same of a batch; each pass takes a second of this clock."""
    ticks = iter(range(100))
    model = build_model("resnet10", 5, SEGMENTS, model="tsn")
    speed = measure(model, SIZE, 4, 3, "cpu", lambda: next(ticks))
    assert speed == (1000, 4)
    assert next(ticks) == 16


class TestScript:
    def test_table_csv_and_plot(self, tmp_path: Path) -> None:
        done = run_script(
            "scripts/benchmarks/complexity.py", "--model", "tsn", "msn", "--arch", "resnet10", "--segments", "2",
            "--input_size", "32", "48", "--rounds", "1", "--threads", "1", "--csv", "costs.csv",
            "--plot", "costs.png", cwd=tmp_path,
        )  # fmt: skip
        printed = succeeded(done).splitlines()
        with (tmp_path / "costs.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [(row["model"], row["input_size"]) for row in rows] == [
            ("tsn", "32"), ("tsn", "48"), ("msn", "32"), ("msn", "48"),
        ]  # fmt: skip
        for line, row in zip(printed[1:], rows, strict=False):
            assert line.split()[:4] == [row["model"], "resnet10", "2", row["input_size"]]
            assert all(float(row[name]) > 0 for name in ("gmac", "activation_mb", "latency_ms", "clips_per_second"))
        expected = count(build_model("resnet10", 174, 2, model="tsn"), 48)
        assert math.isclose(float(rows[1]["gmac"]), expected.gmac) and int(rows[1]["parameters"]) == expected.parameters
        assert (tmp_path / "costs.png").read_bytes().startswith(b"\x89PNG")

    def test_bad_input_is_one_line(self, tmp_path: Path) -> None:
        done = run_script(
            "scripts/benchmarks/complexity.py", "--rounds", "0", "--csv", "missing/costs.csv", cwd=tmp_path
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == "error: expected --csv FILE in an existing folder, got missing/costs.csv\n"
