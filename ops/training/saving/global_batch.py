"""A run that torchrun restarts with fewer or more processes keeps its videos per step: accumulated batches change."""

from dataclasses import replace

from ops.runtime import InputError, distributed, exchange, get_logger, plural
from ops.settings import TrainConfig
from ops.training.saving.checkpoint_names import newest_checkpoint


def with_first_batch(config: TrainConfig) -> TrainConfig:
    """The settings with as many batches per step as give the videos per step of the run's first start.

    So the order of samples and the learning rate stay what they were.

    Raises:
        InputError: no number of batches does.
    """
    videos = config.batch_size * distributed.world_size()
    wanted = exchange.on_main(lambda: _first_batch(config, videos * config.accumulate))
    if wanted == videos * config.accumulate:
        return config
    accumulate, rest = divmod(wanted, videos)
    here = f"{plural(distributed.world_size(), 'process')} with batches of {plural(config.batch_size, 'video')}"
    if rest:
        raise InputError(
            f"expected processes that make steps of {wanted} videos, as when this run started, got {here}: wait for "
            f"the others, or start again with another --batch-size or --accumulate and --resume auto"
        )
    get_logger().warning(
        "restarted on %s: --accumulate %d instead of %d keeps steps of %d videos, their order and the learning rate",
        here, accumulate, config.accumulate, wanted,
    )  # fmt: skip
    return replace(config, accumulate=accumulate)


def _first_batch(config: TrainConfig, now: int) -> int:
    """Videos per step of the run's first start, or of its newest checkpoint where torchrun does not remember."""
    first = distributed.of_first_start("videos_per_step", str(now))
    if first is not None:
        return int(first)
    newest = newest_checkpoint(config.model_dir)
    return now if newest is None else newest.order.global_batch_size or now
