"""What a run says before it begins: how long an epoch is, and what its settings may have overlooked."""

from collections.abc import Iterator

from ops.data import workers_warning
from ops.runtime import get_logger, plural
from ops.settings import TrainConfig


def advise(config: TrainConfig, num_videos: int, global_batch_size: int) -> None:
    """Say how long an epoch is, and warn of what the settings may have overlooked."""
    log = get_logger()
    log.info(
        "%s, %s of %s each; training accuracies are those of one random clip and crop of each video, before the "
        "weights are updated",
        plural(num_videos, "training video"),
        plural(num_videos // global_batch_size, "step") + " an epoch",
        plural(global_batch_size, "video"),
    )
    if config.mixes:
        log.info(
            "training clips are mixed in pairs: training accuracies count the class with the larger share, and cannot "
            "be compared with those of validation"
        )
    if config.lr_batch_size is not None:
        lr, scaled = config.lr, config.scaled_lr(global_batch_size)
        per_step, now = plural(config.lr_batch_size, "video"), plural(global_batch_size, "video")
        log.info("the learning rate %g for %s per step becomes %g for %s per step", lr, per_step, scaled, now)
    if config.flip == "auto" and not config.flips:
        network, name = config.model.network.upper(), config.dataset.name
        log.info(
            "clips of %s are not flipped, as published for %s; --flip on flips them and swaps the labels that say left "
            "and right", name, network,
        )  # fmt: skip
    crowding = workers_warning(config.workers)
    for line in (*oversights(config, num_videos, global_batch_size), *([crowding] if crowding else [])):
        log.warning(line)


def oversights(config: TrainConfig, num_videos: int, global_batch_size: int) -> Iterator[str]:
    """What a user may not have meant, a line each.

    Args:
        num_videos: length of the training list.
        global_batch_size: videos a step, over all processes.
    """
    unseen = num_videos % global_batch_size
    if unseen:
        are, others = ("is", "a different one") if unseen == 1 else ("are", "different ones")
        yield (
            f"{unseen} of {plural(num_videos, 'training video')} {are} skipped in every epoch, {others} each time: "
            f"{num_videos} is not a multiple of the {plural(global_batch_size, 'video')} of a step"
        )
    if config.lr_scheduler == "step" and all(step >= config.epochs for step in config.lr_steps):
        steps = " ".join(f"{step:g}" for step in config.lr_steps)
        yield f"the learning rate never decays: none of --lr_steps {steps} is below --epochs {config.epochs}"
    if config.flips and not (config.dataset.class_names or config.dataset.mirror_pairs):
        yield (
            f"no class names ({config.dataset.root / 'classes.txt'} or --class_names): flipped clips keep their "
            f"labels, even those that say left or right"
        )
