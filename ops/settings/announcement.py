"""The first lines of the log: what a script was asked to do. Needs nothing that is slow to import."""

from ops.runtime import launcher, setup_logger
from ops.settings.testing import TestConfig
from ops.settings.trained.features import FeatureConfig
from ops.settings.training import TrainConfig


def announce(config: TrainConfig | TestConfig | FeatureConfig) -> None:
    """Start the log, on the first process, with what the settings say and the files of options they come from."""
    log = setup_logger(launcher.rank() == 0)
    log.info(config.headline(launcher.world_size()))
    for file in config.read_from:
        log.info("options read from %s: %s", file.path, " ".join(file.options))
