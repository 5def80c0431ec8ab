"""The Makefile's help and the choice of a wing; nothing is installed or run."""

import os
import re
import shutil
import subprocess

import pytest

from tests.commands import REPOSITORY

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


def make(*arguments: str) -> subprocess.CompletedProcess:
    """Run make as from a terminal, even if make runs this test."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "WING"))}
    return subprocess.run(
        ["make", *arguments], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )


class TestHelp:
    def test_lists_every_target(self) -> None:
        targets = re.search(r"^\.PHONY: (.+)$", (REPOSITORY / "Makefile").read_text(), flags=re.MULTILINE)
        assert targets
        listed = [line.split()[1] for line in make("help").stdout.splitlines()]
        assert sorted(listed) == sorted(targets[1].split())

    def test_is_what_make_alone_does(self) -> None:
        assert make().stdout == make("help").stdout != ""


class TestWing:
    @pytest.mark.parametrize("target", ["test", "test-slow"])
    def test_runs_its_folder_only(self, target: str) -> None:
        assert make("-n", target, "WING=models").stdout.splitlines()[-1].endswith(" tests/models")
        assert make("-n", target, "WING=models data").stdout.splitlines()[-1].endswith(" tests/models tests/data")
        assert "tests/" not in make("-n", target).stdout.splitlines()[-1]

    def test_unknown_one_is_an_error_that_names_the_others(self) -> None:
        done = make("test", "WING=modles")
        assert done.returncode == 2 and done.stdout == ""
        assert "Expected WING to be one of: " in done.stderr and " models " in done.stderr and "modles" in done.stderr
        assert len(done.stderr.splitlines()) == 1
