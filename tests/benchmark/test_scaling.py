"""The cost model of training on many GPUs, by hand where a part vanishes, and its command."""

from dataclasses import replace

import pytest

from ops.benchmark.scaling.cost_model import Assumptions, OneHost, run_of, step_of
from ops.benchmark.scaling.report import changed
from ops.runtime.errors import InputError
from tests.commands import REPOSITORY, run_script

FREE = Assumptions(
    gflop_per_clip=10, gflops=1_000, gradient_bytes=0, latency=0, cpu_seconds_per_clip=0, batch=4, train_videos=800,
    val_videos=0, epochs=2, checkpoint_bytes=0, epoch_start=0,
)  # fmt: skip


class TestStep:
    def test_computing_alone(self) -> None:
        step = step_of(FREE, 64)
        assert (step.seconds, step.exposed) == (pytest.approx(0.04), 0)

    def test_a_ring_on_the_slowest_link(self) -> None:
        given = replace(FREE, gflops=1e9, gradient_bytes=1e9, bandwidth_inside=100e9, bandwidth_between=10e9, overlap=0)
        assert step_of(given, 8).exchange == pytest.approx(2 * 7 / 8 * 0.01)
        assert step_of(given, 16).exchange == pytest.approx(2 * 15 / 16 * 0.1)

    def test_computation_hides_a_part_of_the_exchange(self) -> None:
        given = replace(FREE, gradient_bytes=1e9, bandwidth_inside=50e9, overlap=0.5)
        assert step_of(given, 2).exposed == 0  # 20 ms within half of 40 ms
        assert step_of(replace(given, bandwidth_inside=25e9), 2).exposed == pytest.approx(0.02)

    def test_loading_that_is_slower(self) -> None:
        given = replace(FREE, cpu_seconds_per_clip=0.1, cores_per_gpu=4)
        assert step_of(given, 2).seconds == pytest.approx(0.1) and run_of(given, 2).limit == "loading"


class TestRun:
    def test_twice_the_gpus_take_half_the_time_where_nothing_is_exchanged(self) -> None:
        one, two = run_of(FREE, 1), run_of(FREE, 2)
        assert (one.steps, two.steps) == (200, 100)
        assert (one.epoch, two.epoch) == (pytest.approx(8), pytest.approx(4))
        assert one.efficiency == two.efficiency == pytest.approx(1)
        assert one.hours == pytest.approx(16 / 3_600)

    def test_what_does_not_shrink_is_left(self) -> None:
        given = replace(FREE, checkpoint_bytes=1e9, disk=1e9, epoch_start=3)
        assert run_of(given, 200).epoch == pytest.approx(0.04 + 1 + 3)


def test_processes_that_share_cores() -> None:
    host = OneHost(cores=2, compute=1.0, rate=100.0, gradient_bytes=50)
    assert [host.seconds(count) for count in (1, 2, 4)] == pytest.approx([1, 1.5, 2 * 1.75])


def test_other_assumptions() -> None:
    assert changed(Assumptions(), ("gflops=5",)).gflops == 5
    with pytest.raises(InputError, match="--set: expected NAME=NUMBER"):
        changed(Assumptions(), ("speed=5",))


def test_the_page_has_what_the_command_prints() -> None:
    result = run_script("scripts/benchmarks/scaling.py", cwd=REPOSITORY)
    assert result.returncode == 0, result.stderr
    page = (REPOSITORY / "docs/scaling.md").read_text(encoding="utf-8")
    assert [line for line in result.stdout.splitlines() if line and line not in page] == []
