"""The body of the test scripts."""

from ops.settings import TestScript, announce, parse_test


def run_test_script(script: TestScript) -> None:
    """Score what the command line asks for.

    Raises:
        InputError: what a user can get wrong.
    """
    config = parse_test(script)
    announce(config)
    # PyTorch takes seconds to import: a wrong command line, --help and the first line need not wait for it.
    from ops.evaluation.testing import score_views
    from ops.runtime import distributed

    device = distributed.pick_device(config.gpus)
    with distributed.process_group(device, config.dist_timeout):
        score_views(config, device)
