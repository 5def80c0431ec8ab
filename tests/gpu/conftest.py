"""For tests that need a GPU: where they run, and a page of what they found.

`make test-gpu` runs them; MSN_REHEARSE=1 tries them on a CPU, with tiny sizes. MSN_GPU_REPORT=FILE writes FILE.json and
FILE.md: each test, how it ended, how long it took, and the figures that it noted.
"""

import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

REHEARSING = os.environ.get("MSN_REHEARSE") == "1"
REPORT = os.environ.get("MSN_GPU_REPORT")
BUDGET = 450  # seconds; tests that are not begun until then are skipped
_begun = time.monotonic()
_rows: list[dict[str, Any]] = []


@pytest.fixture(scope="session")
def device() -> torch.device:
    if REHEARSING:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU here")
    assert os.environ.get("TRITON_INTERPRET") != "1", "expected TRITON_INTERPRET=0: start with `make test-gpu`"
    return torch.device("cuda")


@pytest.fixture
def note(record_property: Callable[[str, object], None]) -> Callable[[str, object], None]:
    """Notes a figure for the page: name, value."""
    return record_property


def pytest_runtest_setup() -> None:
    if time.monotonic() - _begun > BUDGET and not REHEARSING:
        pytest.skip(f"no time left: {BUDGET} seconds are over")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or report.outcome != "passed":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        _rows.append({"test": report.nodeid.removeprefix("tests/"), "outcome": report.outcome, "reason": reason,
                      "seconds": report.duration, "noted": dict(report.user_properties)})  # fmt: skip


def pytest_sessionfinish() -> None:
    if not REPORT:
        return
    where = torch.cuda.get_device_name() if torch.cuda.is_available() and not REHEARSING else "CPU (a rehearsal)"
    versions = {"torch": torch.__version__, "python": platform.python_version()}
    path = Path(REPORT)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"device": where, **versions, "seconds": sum(row["seconds"] for row in _rows), "tests": _rows}
    path.with_suffix(".json").write_text(json.dumps(content, indent=1, default=str) + "\n", encoding="utf-8")
    title = f"{where}, torch {versions['torch']}, Python {versions['python']}: {len(_rows)} tests"
    lines = [f"{title}, {content['seconds']:.0f} s", ""]
    lines += ["| test | outcome | seconds | found |", "| --- | --- | --- | --- |"]
    for row in _rows:
        found = ", ".join(f"{name} {_text(value)}" for name, value in row["noted"].items()) or row["reason"]
        lines.append(f"| `{row['test']}` | {row['outcome']} | {row['seconds']:.1f} | {found.replace('|', ' ')} |")
    path.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _text(value: object) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)
