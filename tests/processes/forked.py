"""Runs scripts in processes forked from one that has already imported what they import, which takes seconds.

python forked.py    for each line of JSON on stdin, the runs that it lists, side by side (see Server)
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

REPOSITORY = Path(__file__).resolve().parents[2]
LIBRARIES = ("torch.utils.tensorboard", "torchvision", "matplotlib.figure", "av")  # those that are imported late


class Server:
    """Starts runs of scripts, each in a process of its own with a folder and an environment of its own.

    Args:
        environment: of the server; OMP_NUM_THREADS counts from here on.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], env=environment, text=True, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def run(
        self, command: Sequence[str], cwd: Path, environments: Sequence[Mapping[str, str]], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """A script with its arguments, once for each environment; outputs one behind the other, the worst status.

        Raises:
            AssertionError: it took longer than ``timeout`` seconds, or the server has ended.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        with tempfile.TemporaryDirectory() as name:
            runs = [
                {"command": list(command), "cwd": str(cwd), "environment": dict(environment),
                 "outputs": [f"{name}/{number}.out", f"{name}/{number}.err"]}
                for number, environment in enumerate(environments)
            ]  # fmt: skip
            alarm = threading.Timer(timeout, os.killpg, (self._process.pid, signal.SIGKILL))
            alarm.start()
            try:
                print(json.dumps(runs), file=self._process.stdin, flush=True)
                answer = self._process.stdout.readline()
            finally:
                alarm.cancel()
            assert answer, f"{command}: no answer within {timeout} s"
            said = ["".join(Path(run["outputs"][which]).read_text() for run in runs) for which in range(2)]
        return subprocess.CompletedProcess(list(command), max(json.loads(answer), key=abs), *said)

    def close(self) -> None:
        self._process.communicate()


def import_everything() -> None:
    sys.path[0] = str(REPOSITORY)
    import ops

    for module in pkgutil.walk_packages(ops.__path__, "ops."):
        importlib.import_module(module.name)
    for library in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(library)


def serve() -> None:
    import_everything()
    gc.freeze()
    for line in sys.stdin:
        processes = []
        for run in json.loads(line):
            processes.append(os.fork())
            if processes[-1] == 0:
                end_with(partial(become, run))
        print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in processes]), flush=True)


def become(run: dict[str, Any]) -> None:
    """Run a script as Python does."""
    for number, path in enumerate([os.devnull, *run["outputs"]]):
        file = os.open(path, os.O_RDWR | os.O_CREAT)
        os.dup2(file, number)
        os.close(file)
    os.chdir(run["cwd"])
    os.environ.clear()
    os.environ.update(run["environment"])
    sys.argv = run["command"]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    runpy.run_path(sys.argv[0], run_name="__main__")


def end_with(script: Callable[[], None]) -> NoReturn:
    """Call a function and end as Python does, but that modules are not torn down: that would copy all their memory."""
    status: Any = 0
    try:
        script()
    except SystemExit as stop:
        status = stop.code or 0
        if not isinstance(status, int):
            print(status, file=sys.stderr)
            status = 1
    except BaseException:
        traceback.print_exc()
        status = 1
    threading._shutdown()  # waits for threads
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    serve()
