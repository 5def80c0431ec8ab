"""torchrun with its own failures in one line; scripts/shared/launch.sh starts runs of several processes with it.

    python ops/runtime/hosts/torchrun.py [options of torchrun] main.py ...

torchrun answers an error of a script, which the script has explained, and a machine that never comes with pages of
traceback. Here the exit status is the script's, and a rendezvous that fails is one line and status 2.
"""

import logging
import sys

EXIT_BAD_INPUT = 2
EXIT_SIGNAL = 128  # plus its number


def main() -> int:
    """Run torchrun on this process's command line; returns the exit status."""
    from torch.distributed import DistError, run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous.api import RendezvousError

    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)
    try:
        run.main()
    except ChildFailedError as error:
        code = error.get_first_failure()[1].exitcode
        return code if code >= 0 else EXIT_SIGNAL - code
    except SignalException as signal:
        return EXIT_SIGNAL + signal.sigval
    except (DistError, RendezvousError) as error:
        words = " ".join(str(error).strip().partition("\n")[0].split()) or type(error).__name__
        print(f"error: expected torchrun to meet torchrun on the other machines, got {words}", file=sys.stderr)
        return EXIT_BAD_INPUT
    return 0


if __name__ == "__main__":
    sys.exit(main())
