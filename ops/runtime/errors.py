"""The one exception for what a user can get wrong, and how a script ends on it."""

import os
import select
import sys
from collections.abc import Callable
from typing import NoReturn

EXIT_BAD_INPUT = 2
EXIT_STOPPED = 75  # EX_TEMPFAIL of sysexits.h: try again later
EXIT_BROKEN_PIPE = 141  # 128 + SIGPIPE


class InputError(Exception):
    """Bad input: the message is one line that says what was expected, what came, and where."""


class Stopped(Exception):  # noqa: N818 (no error)
    """A signal asked the run to stop."""


def require(condition: bool, expected: str, got: object) -> None:
    if not condition:
        raise InputError(f"expected {expected}, got {got}")


def fail(message: str) -> NoReturn:
    """Print one line to stderr and leave with status 2."""
    rank = os.environ.get("RANK", "0")
    prefix = "error" if os.environ.get("WORLD_SIZE", "1") == "1" else f"error (rank {rank})"
    print(f"{prefix}: {' '.join(message.split())}", file=sys.stderr, flush=True)
    sys.exit(EXIT_BAD_INPUT)


def run_script(main: Callable[[], None]) -> None:
    """Call a script's main; an InputError becomes one line and exit status 2, a saved and stopped run status 75.

    Where the program that reads the output has ended (``... | head``), the script ends too, without a word.
    """
    try:
        try:
            main()
        except InputError as error:
            fail(str(error))
        except Stopped:
            sys.exit(EXIT_STOPPED)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
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
