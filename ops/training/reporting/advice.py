"""What a run says before it begins: how long an epoch is, and what its settings may have overlooked."""

from collections.abc import Iterator

from ops.data import workers_enough, workers_warning
from ops.runtime import Clock, distributed, get_logger, plural, processors
from ops.settings import TrainConfig

FIRST_STEPS = 10  # in which workers start and the network warms up: not counted
COUNTED_STEPS = 50
NOTICED = 0.1  # part of the time that is waited for data from which it is said


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


class Headspace:
    """Says once, after the first steps of a run, if the network waits for data.

    Args:
        config: settings of main.py.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self._seen = -FIRST_STEPS
        self._clock = Clock()

    def step(self, clock: Clock) -> None:
        """Count the last step of a clock."""
        self._seen += 1
        if self._seen > COUNTED_STEPS or self._seen < 1:
            return
        self._clock.add(clock.last_step)
        if self._seen == COUNTED_STEPS and self._clock.waiting > NOTICED * self._clock.total:
            get_logger().warning(waiting_advice(self.config, self._clock))


def waiting_advice(config: TrainConfig, clock: Clock) -> str:
    """How much of the time is waited for data, and what would change that."""
    share = round(100 * clock.waiting / clock.total)
    busy = clock.total - clock.waiting  # of the network
    reading = clock.total * config.workers if config.workers else clock.waiting  # while it waits, all workers read
    enough = workers_enough(reading, busy)
    cores = processors() // distributed.processes_here()
    said = f"waiting for data {share} % of the time in {plural(clock.steps, 'step')}"
    if config.workers < enough <= cores:
        return f"{said}: try -j {enough} (now {config.workers})"
    more = f"{plural(enough, 'worker')} would keep up, there {'is' if cores == 1 else 'are'} {plural(cores, 'core')}"
    if config.dataset.storage == "frames":
        return f"{said}: {more} per process; smaller images are read faster (extract_frames.py --short_side 256)"
    faster = "" if config.pixels == "yuv" else ", and --pixels yuv halves what is sent"
    return f"{said}: {more} per process; prepare the videos with scripts/preparation/resize_videos.py{faster}"
