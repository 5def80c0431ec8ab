"""PyTorch's torchrun, with failures of its own in one line.

torchrun answers an error of a script, which the script has explained, and a machine that never comes with pages of
traceback. It waits without end where another program listens at the first machine's port and never answers, and longer
than its timeout where the first machine has lost power. Here the exit status is the script's, and what torchrun cannot
do is one line and status 2.
"""

import argparse
import logging
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from torch.distributed import DistError, DistNetworkError, run
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.elastic.rendezvous.api import RendezvousConnectionError, RendezvousError, RendezvousTimeoutError
from torch.distributed.elastic.rendezvous.utils import parse_rendezvous_endpoint

from ops.runtime.errors import EXIT_BAD_INPUT, InputError, report
from ops.runtime.hosts.store import NoAnswerError, connect, why_not

EXIT_SIGNAL = 128  # plus its number
LOOK_SECONDS = 1.0
LEAST_SECONDS = 5.0  # of silence
SECONDS = {"static": ("timeout", 900.0), "c10d": ("read_timeout", 60.0)}  # for the first machine, in --rdzv-conf


def run_torchrun(arguments: Sequence[str]) -> NoReturn:
    """Run torchrun on a command line, and end this process with the script's exit status.

    Raises:
        InputError: torchrun does not understand the command line.
    """
    logging.disable(logging.ERROR)  # of torchrun alone: the scripts are processes of their own
    place = _first_machine(_options(arguments))
    # PyTorch's C++ would wait on for other machines; when scripts have started, torchrun has handlers of its own
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if place is not None:
        signals, end = os.pipe()
        os.set_blocking(end, False)
        signal.set_wakeup_fd(end)
        threading.Thread(target=_require_answer, args=(*place, signals), daemon=True).start()
    status = _run(arguments, place)
    sys.stdout.flush()
    os._exit(status)  # a thread that waits for another program's answer would not let Python end


def _run(arguments: Sequence[str], place: tuple[str, int, float] | None) -> int:
    """torchrun from beginning to end; returns the exit status."""
    try:
        run.main(list(arguments))
    except ChildFailedError as error:
        code = error.get_first_failure()[1].exitcode
        return code if code >= 0 else EXIT_SIGNAL - code
    except SignalException as ended:
        return EXIT_SIGNAL + ended.sigval
    except (DistError, RendezvousError) as error:
        if place is not None and isinstance(error, (DistNetworkError, RendezvousConnectionError)):
            return _unmet(error, *place[:2])
        words = str(error).strip().partition("\n")[0]
        if isinstance(error, RendezvousTimeoutError):  # without words
            words = "too few in time"
        elif "wait timeout" in words:  # for keys of a store
            words = "too few in time, or two with one --node-rank"
        return _not_met(words or type(error).__name__)
    except OSError as error:  # no script that can be started, no folder for its logs
        report(f"torchrun: {error.filename or 'expected to start a script'}: {error.strerror or error}")
        return EXIT_BAD_INPUT
    except ValueError as error:
        if "not registered" not in str(error):  # a rendezvous backend
            raise
        report(_refusal(error))
        return EXIT_BAD_INPUT
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = run.get_args_parser()

    def refuse(words: str) -> NoReturn:
        raise InputError(f"torchrun: {words} (see --help)")

    parser.error = refuse  # type: ignore[assignment,method-assign]  # not with a page of usage
    return parser.parse_args(arguments)


def _first_machine(options: argparse.Namespace) -> tuple[str, int, float] | None:
    """Host and port at which torchrun meets that of other machines, and for how many seconds it tries."""
    options.master_port = options.master_port or 29500
    try:
        config = run.config_from_args(options)[0]
        assert config.nproc_per_node > 0 and config.max_restarts >= 0
        conf = config.rdzv_configs
        if config.max_nodes == 1 or config.rdzv_backend not in SECONDS or conf.get("store_type") == "file":
            return None
        name, default = SECONDS[config.rdzv_backend]
        return *parse_rendezvous_endpoint(config.rdzv_endpoint, 29400), float(conf.get(name, default))
    except (AssertionError, ValueError, RuntimeError) as error:
        raise InputError(_refusal(error)) from None


def _refusal(error: Exception) -> str:
    """What torchrun does not accept, in words; it has none for numbers out of range."""
    numbers = "expected --nnodes as N or MIN:MAX from 1, --nproc_per_node from 1 and --max-restarts from 0"
    return f"torchrun: {str(error).strip() or numbers} (see --help)"


def _require_answer(host: str, port: int, seconds: float, signals: int) -> None:
    """Meanwhile, see whether torchrun of the first machine answers: now, and whenever no script runs here.

    While scripts run, they have a patience of their own. A connection that is closed ends this: torchrun sees it, too.
    A signal, read from ``signals``, ends all where no script runs: torchrun's handler waits for PyTorch's C++.
    """
    try:
        store = connect(host, port, seconds)
    except NoAnswerError as error:
        os._exit(_unmet(error, host, port))
    except RuntimeError:
        return  # torchrun gets the same error and says it
    heard = [time.monotonic()]
    listener = threading.Thread(target=_listen, args=(store, heard), daemon=True)
    listener.start()
    while time.monotonic() < heard[0] + max(seconds, LEAST_SECONDS) or _runs_scripts():
        if select.select([signals], [], [], LOOK_SECONDS)[0]:
            number = os.read(signals, 1)[0]
            if not _runs_scripts():
                os._exit(EXIT_SIGNAL + number)
        if not listener.is_alive():
            return
    os._exit(_not_met(f"{host}:{port}: no answer any more for {seconds:g} seconds"))


def _listen(store: Any, heard: list[float]) -> None:
    """Keep when the store answered last, until its connection is closed."""
    with suppress(RuntimeError):
        while True:
            store.check(["anything"])
            heard[0] = time.monotonic()
            time.sleep(LOOK_SECONDS)


def _runs_scripts() -> bool:
    """Whether this process has children, or Linux does not say."""
    try:
        children = [path.read_text() for path in Path("/proc/self/task").glob("*/children")]
    except OSError:  # a thread has ended meanwhile
        return True
    return not children or any(children)


def _unmet(error: Exception, host: str, port: int) -> int:
    return _not_met(f"{host}:{port}: {why_not(error, host, port)}")


def _not_met(words: str) -> int:
    report(f"expected torchrun to meet torchrun on the other machines, got {words}")
    return EXIT_BAD_INPUT
