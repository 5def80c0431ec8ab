"""The one exception for what a user can get wrong, and how a script ends on it."""

import os
import platform
import select
import sys
import time
from collections.abc import Callable
from typing import NoReturn

from ops.runtime.hosts.variables import variable

EXIT_BAD_INPUT = 2
EXIT_STOPPED = 75  # EX_TEMPFAIL of sysexits.h: try again later
EXIT_BROKEN_PIPE = 141  # 128 + SIGPIPE
HOLD_BACK_SECONDS = 3.0


class InputError(Exception):
    """Bad input: the message is one line that says what was expected, what came, and where."""


class Stopped(Exception):  # noqa: N818 (no error)
    """A signal asked the run to stop."""


def require(condition: bool, expected: str, got: object) -> None:
    if not condition:
        raise InputError(f"expected {expected}, got {got}")


def report(message: str) -> None:
    """Print one line to stderr; of several processes it names this one."""
    several = (variable("WORLD_SIZE") or "1") != "1"
    prefix = f"error ({this_process()})" if several else "error"
    print(f"{prefix}: {' '.join(message.split())}", file=sys.stderr, flush=True)


def this_process() -> str:
    """``rank 3 on gpu08``: how messages name this process to people who look at several machines."""
    return f"rank {variable('RANK') or '?'} on {platform.node()}"


def fail(message: str) -> NoReturn:
    """Report and leave with status 2.

    Of processes that have not met, the others of a machine give its first the time to say the same: torchrun then ends
    them.
    """
    if (variable("LOCAL_RANK") or "0") != "0":
        time.sleep(HOLD_BACK_SECONDS)
    report(message)
    sys.exit(EXIT_BAD_INPUT)


def run_script(main: Callable[[], None]) -> None:
    """Call a script's main; an InputError, or a package that is missing, becomes one line and exit status 2.

    A saved and stopped run is status 75.
    Where the program that reads the output has ended (``... | head``), the script ends too, silently.
    """
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")  # sockets show each try, with pages of C++
    try:
        try:
            main()
        except InputError as error:
            fail(str(error))
        except ModuleNotFoundError as error:
            package = str(error.name).partition(".")[0]
            if package == "ops":
                raise
            fail(f"expected the package {package}, got none; python -m pip install -r requirements.txt installs it")
        except Stopped:
            sys.exit(EXIT_STOPPED)
        except KeyboardInterrupt as interruption:
            print("; ".join(["interrupted", *map(str, interruption.args)]), file=sys.stderr)
            sys.exit(130)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        if not _reader_has_left():  # another pipe
            raise
        # Python would complain at its end that something is still unwritten.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_BROKEN_PIPE)


def _reader_has_left() -> bool:
    """Whether what is printed goes into a pipe that nobody reads."""
    state = select.poll()
    state.register(sys.stdout, 0)
    return any(event & select.POLLERR for _, event in state.poll(0))
