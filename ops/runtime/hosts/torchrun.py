"""torchrun with its own failures in one line; scripts/shared/launch.sh starts runs of several processes with it.

    python ops/runtime/hosts/torchrun.py [options of torchrun] main.py ...

torchrun answers an error of a script, which the script has explained, and a machine that never comes with pages of
traceback, and waits without end where another program listens at the first machine's port and never answers. Here the
exit status is the script's, and a rendezvous that fails is one line and status 2.
"""

import argparse
import logging
import os
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # ops/, from any working directory

EXIT_BAD_INPUT = 2
EXIT_SIGNAL = 128  # plus its number
SECONDS = {"static": ("timeout", 600.0), "c10d": ("read_timeout", 60.0)}  # for the first machine, in --rdzv-conf


def main() -> int:
    """Run torchrun on this process's command line; returns the exit status."""
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")  # sockets show each try, with pages of C++
    from torch.distributed import DistError, DistNetworkError, run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous.api import RendezvousConnectionError, RendezvousError

    logging.disable(logging.ERROR)  # of torchrun alone: the scripts are processes of their own
    place = _first_machine(run.parse_args(sys.argv[1:]))
    if place is not None:
        threading.Thread(target=_require_answer, args=place, daemon=True).start()
    try:
        run.main()
    except ChildFailedError as error:
        code = error.get_first_failure()[1].exitcode
        return code if code >= 0 else EXIT_SIGNAL - code
    except SignalException as signal:
        return EXIT_SIGNAL + signal.sigval
    except (DistError, RendezvousError) as error:
        if place is not None and isinstance(error, (DistNetworkError, RendezvousConnectionError)):
            return _unmet(error, *place[:2])
        return _report(" ".join(str(error).strip().partition("\n")[0].split()) or type(error).__name__)
    return 0


def _first_machine(options: argparse.Namespace) -> tuple[str, int, float] | None:
    """Host and port at which torchrun meets that of other machines, and for how many seconds it tries."""
    from torch.distributed.elastic.rendezvous.utils import parse_rendezvous_endpoint
    from torch.distributed.run import config_from_args

    options.master_port = options.master_port or 29500
    config = config_from_args(options)[0]
    conf = config.rdzv_configs
    if config.max_nodes == 1 or config.rdzv_backend not in SECONDS or conf.get("store_type") == "file":
        return None
    name, default = SECONDS[config.rdzv_backend]
    return *parse_rendezvous_endpoint(config.rdzv_endpoint, 29400), float(conf.get(name, default))


def _require_answer(host: str, port: int, seconds: float) -> None:
    """Meanwhile, see whether torchrun of the first machine answers."""
    from ops.runtime.hosts.store import NoAnswerError, connect

    try:
        connect(host, port, seconds)
    except NoAnswerError as error:
        os._exit(_unmet(error, host, port))
    except RuntimeError:
        return  # torchrun gets the same error and says it


def _unmet(error: Exception, host: str, port: int) -> int:
    from ops.runtime.hosts.store import why_not

    return _report(f"{host}:{port}: {why_not(error, host, port)}")


def _report(words: str) -> int:
    message = f"error: expected torchrun to meet torchrun on the other machines, got {words}"
    print(message, file=sys.stderr, flush=True)
    return EXIT_BAD_INPUT


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # a thread that waits for another program's answer would not let Python end
