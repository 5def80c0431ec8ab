"""Runs a script and lets a signal come at a chosen call.

    python at_call.py WHEN WHAT SCRIPT ARGUMENT...     one run
    python at_call.py                                  runs, one for each line of JSON on stdin (see Runs)

WHEN is ``file.function:n``, the n-th call of a function of the project or of a built-in one (``posix.fsync:2``), or
``any:n``, the n-th call of anything from the first step on. WHAT is the signals that the process sends itself, like
SIGKILL or SIGTERM,SIGTERM; group:SIGINT goes to every process of its group; SIGKILL+0.01 comes that many seconds
later. Among the processes of torchrun it comes to rank 1, before any restart. What is counted is calls, not seconds,
so a slow machine sees the same.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

FIRST_STEP = "interruption.check"


class AtCall:
    """A profile function that counts calls."""

    def __init__(self, when: str, what: str) -> None:
        self.name, number = when.split(":")
        self.left = int(number)
        self.what = what
        self.process = os.getpid()
        self.begun = self.name != "any"

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            name = f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}"
        elif event == "c_call":
            name = f"{argument.__module__}.{argument.__name__}"
        else:
            return
        self.begun = self.begun or name == FIRST_STEP
        if self.begun and self.name in ("any", name):
            self.left -= 1
            if self.left == 0 and os.getpid() == self.process:  # workers are forked with what their parent counts by
                self._happen(frame)

    def _happen(self, frame: FrameType | None) -> None:
        calls = []
        while frame is not None:
            calls.append(f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}")
            frame = frame.f_back
        print("at", " ".join(calls), flush=True)
        what, _, delay = self.what.partition("+")
        if delay:
            threading.Thread(target=self._send, args=(what, float(delay)), daemon=True).start()
        else:
            self._send(what, 0)

    def _send(self, what: str, delay: float) -> None:
        time.sleep(delay)
        target, _, names = what.rpartition(":")
        for name in names.split(","):
            if target == "group":  # from a terminal or a scheduler, not from the process that workers obey
                subprocess.run(
                    ["kill", f"-{name.removeprefix('SIG')}", "--", f"-{os.getpgrp()}"], start_new_session=True
                )
            else:
                os.kill(os.getpid(), signal.Signals[name])


def run_once(when: str, what: str, script: str, *arguments: str) -> None:
    sys.argv = [script, *arguments]
    sys.path[0] = str(Path(script).parent)
    if Path(script).name == "main.py":
        import ops.training.run  # noqa: F401  before calls are counted, which takes time

    if os.environ.get("RANK", "1") == "1" and os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0":
        count = AtCall(when, what)
        sys.setprofile(count)
        try:
            runpy.run_path(script, run_name="__main__")
        finally:
            sys.setprofile(None)
            print("calls:", -count.left)
    else:
        runpy.run_path(script, run_name="__main__")


def serve() -> None:
    """Fork a process for each request, which saves it the import of torch; answer with its exit status."""
    script = str(Path(__file__).resolve().parents[2] / "main.py")
    sys.path[0] = str(Path(script).parent)
    import ops.training.run  # noqa: F401
    from tests.processes.forked import end_with

    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)
            with open(request["output"], "w") as output:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
            os.chdir(request["cwd"])
            end_with(partial(run_once, request["when"], request["what"], script, *request["arguments"]))
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(status, flush=True)


class Runs:
    """Starts runs of main.py, one after the other, each in a process of its own."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self._server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
        )

    def run(self, when: str, what: str, *arguments: str) -> tuple[int, str]:
        """Exit status, negative for a signal, and output of one run."""
        assert self._server.stdin is not None and self._server.stdout is not None
        output = self.folder / "output.txt"
        request = {"when": when, "what": what, "arguments": arguments, "cwd": str(self.folder), "output": str(output)}
        print(json.dumps(request), file=self._server.stdin, flush=True)
        return int(self._server.stdout.readline()), output.read_text()

    def close(self) -> None:
        self._server.communicate()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        run_once(*sys.argv[1:])
    else:
        serve()
