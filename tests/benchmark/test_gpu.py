"""What `make test-gpu` and `make bench-gpu` do on a machine with a GPU, rehearsed on a CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ops.benchmark.gpu.plan import KINDS, plan
from ops.benchmark.gpu.table import BEGIN, END, fill_page, markdown
from ops.runtime.errors import InputError
from tests.commands import REPOSITORY, run_script

TINY = ("--device", "cpu", "--segments", "2", "--input_size", "32", "--batch_sizes", "2")
MACHINE = {"accelerator": "a GPU", "packages": {"torch": "2"}}


class TestPlan:
    def test_everything_once_compiled_last(self) -> None:
        found = plan([8, 16, 32])
        assert len(set(found)) == len(found) == 3 * 2 * (len(KINDS) + len(KINDS) - 1)
        compiled = [KINDS[each.kind].compile for each in found]
        assert compiled == sorted(compiled) and sum(compiled) == 6
        assert {each.batch_size for each in found[:12]} == {16}
        assert {each.side for each in found if KINDS[each.kind].compile} == {"MSN"}


def row(side: str, kind: str, speed: float | None, **more: object) -> dict:
    found = {"task": "training", "side": side, "kind": kind, "batch_size": 8, **more}
    return found if speed is None else {**found, "clips_per_second": speed}


FIGURES = {
    "machine": MACHINE, "what": "MSN",
    "profiles": {"a step": {"kernels": [{"name": "k", "ms": 1.5, "share": 0.5}]}},
    "rows": [
        row("MSN", "float32", 30.0, peak_memory_mb=2048.0), row("MSN", "TF32", 60.0), row("oracle", "float32", 10.0),
        row("oracle", "bf16", None, failed="out of memory"),
    ],
    "loader": {"clips_per_second_a_core": 10.0, "cores": 9, "clips_per_second": 90.0, "headspace": 1.5},
}  # fmt: skip


class TestTable:
    def test_says_what_was_measured_and_what_was_not(self) -> None:
        text = markdown(FIGURES, [8])
        for line in (
            "| training | MSN | float32 | 30.0 (2,048 MB) |", "| training | MSN | bf16 | not measured |",
            "| training | oracle | bf16 | out of memory |", "| training | fastest MSN / float32 oracle | | 6.00 |",
            "| training | fastest MSN / bf16 oracle | | not measured |", "| `k` | 1.50 | 50.0 % |",
        ):  # fmt: skip
            assert line in text.splitlines()
        assert "9 cores about 90: 1.5 times" in text

    def test_fills_the_page_again_and_again(self, tmp_path: Path) -> None:
        page = tmp_path / "page.md"
        page.write_text((REPOSITORY / "docs/performance.md").read_text())
        for _ in range(2):
            fill_page(page, markdown(FIGURES, [8]))
        before, _, rest = page.read_text().partition(BEGIN)
        assert before == (REPOSITORY / "docs/performance.md").read_text().partition(BEGIN)[0]
        assert rest.partition(END)[0] == f"\n{markdown(FIGURES, [8])}"

    def test_a_page_without_room_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "page.md").write_text("no figures here\n")
        with pytest.raises(InputError, match=r"page\.md: expected the lines"):
            fill_page(tmp_path / "page.md", "text")
        assert (tmp_path / "page.md").read_text() == "no figures here\n"


class TestBench:
    def test_rehearsal_within_a_budget(self, tmp_path: Path) -> None:
        """What there is no time for is said, not invented."""
        done = run_script(
            "scripts/benchmarks/gpu.py", *TINY, "--budget", "10", "--output", "some/figures", cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        figures = json.loads((tmp_path / "some/figures.json").read_text())
        assert len(figures["rows"]) == len(plan([2]))
        assert all(r.get("clips_per_second", 0) > 0 or r["failed"] for r in figures["rows"])
        assert figures["rows"][-1]["failed"] == "no time left"  # it is compiled, which takes longer
        assert (tmp_path / "some/figures.md").read_text() in done.stdout

    @pytest.mark.slow
    def test_whole_rehearsal(self, tmp_path: Path) -> None:
        done = run_script("scripts/benchmarks/gpu.py", *TINY, "--output", "figures", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        figures = json.loads((tmp_path / "figures.json").read_text())
        for found in figures["rows"]:  # torchvision's deformable convolution is not there for bf16 on a CPU
            in_vain = found["side"] == "oracle" and found["kind"] == "bf16"
            assert "deform_conv2d" in found["failed"] if in_vain else found["clips_per_second"] > 0
        assert len(figures["profiles"]) == 2 and figures["loader"]["headspace"] > 0
        assert all(len(found["kernels"]) == 10 for found in figures["profiles"].values())

    def test_without_a_gpu(self, tmp_path: Path) -> None:
        done = run_script("scripts/benchmarks/gpu.py", cwd=tmp_path)
        assert done.returncode == 2 and done.stderr.count("\n") == 1
        assert "expected a GPU for --device cuda, got none" in done.stderr


class TestTests:
    @pytest.mark.parametrize(
        "chosen", ["golden and float32 or portable", pytest.param("", marks=pytest.mark.slow)], ids=["some", "all"]
    )
    def test_rehearsal(self, tmp_path: Path, chosen: str) -> None:
        environment = {"MSN_REHEARSE": "1", "TRITON_INTERPRET": "1", "MSN_GPU_REPORT": str(tmp_path / "report/tests")}
        command = [sys.executable, "-m", "pytest", "-m", "gpu", "-p", "no:cacheprovider", "tests/gpu", "-k", chosen]
        done = subprocess.run(
            command, cwd=REPOSITORY, env={**os.environ, **environment}, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, done.stdout
        report = json.loads((tmp_path / "report/tests.json").read_text())
        assert len(report["tests"]) >= 4 and report["device"] == "CPU (a rehearsal)"
        golden = next(t for t in report["tests"] if "golden_logits[msn-float32]" in t["test"])
        assert golden["outcome"] == "passed" and float(golden["noted"]["error"]) < 1e-4
        assert (tmp_path / "report/tests.md").read_text().count("\n| `") == len(report["tests"])
