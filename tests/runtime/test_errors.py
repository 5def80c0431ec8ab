"""How scripts end, in processes of their own."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ops.runtime.errors import EXIT_BAD_INPUT, EXIT_BROKEN_PIPE, run_script
from tests.commands import REPOSITORY

SCRIPT = """
import os, select, sys
from ops.runtime import InputError, run_script

def until_nobody_reads():
    output = select.poll()
    output.register(1, 0)  # an error is told all the same
    output.poll()

def main():
    {body}

run_script(main)
"""


def through_head(body: str) -> tuple[int, str, str]:
    """Status of a script whose output ``head -n 1`` reads, what head printed, and what the script said on stderr."""
    command, environment = [sys.executable, "-c", SCRIPT.format(body=body)], {**os.environ, "PYTHONUNBUFFERED": ""}
    with subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as script:
        head = subprocess.run(["head", "-n", "1"], stdin=script.stdout, capture_output=True, check=True)
        assert script.stdout is not None and script.stderr is not None
        script.stdout.close()
        return script.wait(), head.stdout.decode(), script.stderr.read().decode()


class TestMissingPackage:
    """Every package that a script cannot do without is imported inside its main."""

    def test_is_one_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            run_script(lambda: importlib.import_module("no_such_package.part"))
        said = capsys.readouterr().err
        assert ended.value.code == EXIT_BAD_INPUT and said.count("\n") == 1
        assert said.startswith("error: expected the package no_such_package, got none; python -m pip install")

    def test_a_module_of_this_project_is_a_bug(self) -> None:
        with pytest.raises(ModuleNotFoundError):
            run_script(lambda: importlib.import_module("ops.no_such_module"))


class TestOutputThatNobodyReads:
    @pytest.mark.parametrize(
        "body",
        [
            "[print(number) for number in range(10**6)]",  # fails while it prints
            "print(0); sys.stdout.flush(); [print(number) for number in range(100)]; until_nobody_reads()",
            "print(0); sys.stdout.flush(); until_nobody_reads(); print('help'); sys.exit(0)",
        ],
        ids=["while printing", "at the end", "when it exits"],
    )
    def test_ends_the_script_without_a_word(self, body: str) -> None:
        assert through_head(body) == (EXIT_BROKEN_PIPE, "0\n", "")

    def test_an_error_is_still_said(self) -> None:
        body = "print(0); sys.stdout.flush(); until_nobody_reads(); print(1); raise InputError('no such file')"
        assert through_head(body) == (EXIT_BROKEN_PIPE, "0\n", "error: no such file\n")

    def test_another_broken_pipe_is_an_error(self) -> None:
        body = "read, write = os.pipe(); os.close(read); os.write(write, b'x')"
        status, _, said = through_head(body)
        assert status == 1 and "BrokenPipeError" in said

    @pytest.mark.parametrize(
        "script", ["pkl_to_results.py", "main.py", "scripts/preparation/make_lists.py", "scripts/show_clips.py"]
    )
    def test_help_of_each_script(self, script: str, tmp_path: Path) -> None:
        command = f"{sys.executable} {REPOSITORY / script} --help | head -n 0; exit ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path)
        assert (done.stdout, done.stderr) == ("", "")
        assert done.returncode in (0, EXIT_BROKEN_PIPE)  # argparse takes no notice of its own prints that fail
