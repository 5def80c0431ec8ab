"""One epoch of training: its steps, each one update of the weights.

N videos a batch, T segments, K classes. A step takes ``accumulate`` batches a process. Everything random follows from
(seed, epoch, step, rank) or (seed, epoch, video), so a run that stops anywhere and resumes draws what it would have
drawn.
"""

from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn

from ops.data import Batch
from ops.evaluation import score_means, score_sums
from ops.runtime import Clock, StopRequest, autocast, distributed, exchange
from ops.settings import TrainConfig
from ops.training.clips import TrainingClips
from ops.training.losses import clip_loss
from ops.training.lr_scheduler import LRSchedule
from ops.training.mixing import Mixed, draw_mixture, mix
from ops.training.nonfinite import FiniteUpdates
from ops.training.optim import hold_batch_statistics, set_learning_rate
from ops.training.reporting.report import Report
from ops.training.saving.checkpoint_contents import Position


def train_one_epoch(
    network: nn.Module,
    updates: FiniteUpdates,
    clips: TrainingClips,
    schedule: LRSchedule,
    position: Position,
    config: TrainConfig,
    save: Callable[[], object],
    report: Report,
    stop: StopRequest,
) -> dict[str, float]:
    """Train from the position to the end of its epoch, and move the position with each step.

    Args:
        network: the model, wrapped where there are several processes.
        updates: of the model's weights.
        save: writes the run's state; every process calls it.

    Returns:
        Loss and accuracies of the clips that were seen (of mixed clips: of the class with the larger
        share); nothing where all steps had been done before.

    Raises:
        Stopped: before a step, with everything as the steps before have left it.
    """
    steps = clips.sampler.steps_per_epoch
    network.train()
    if config.partialbn:
        hold_batch_statistics(updates.model)
    clock, device = Clock(), updates.device
    sums, epoch_sums = torch.zeros(4, dtype=torch.float64, device=device), np.zeros(4)
    with report.progress_bar(position) as bar, clips.guard():
        batches = clips.batches(position)
        while position.step < steps:
            done = position.epoch * steps + position.step
            lr = schedule.lr(done)
            set_learning_rate(updates.optimizer, lr)
            _seed_step(config.seed, position)
            clock.start()
            stop.check()
            sums += train_step(network, updates, batches, done, config, clock)
            position.step += 1
            reports = position.step % config.print_freq == 0 or position.step == steps
            if reports:  # waits for the device, which may be steps behind: the time is the clock's to count
                window = np.array(exchange.sum_over_processes(sums.tolist(), device))
            clock.stop()
            report.timed(clock)
            bar.update()
            if config.save_every is not None and position.step % config.save_every == 0:
                save()
            if reports:
                clips.bad.gather()
                position.left_out_steps = updates.check(steps, position.left_out_steps)
                report.steps(position, {**score_means(window, config.dataset.num_classes), "lr": lr}, clock, bar)
                epoch_sums += window
                sums.zero_()
                clock = Clock()
    return score_means(epoch_sums, config.dataset.num_classes) if epoch_sums[3] else {}


def train_step(
    network: nn.Module, updates: FiniteUpdates, batches: Iterator[Batch], done: int, config: TrainConfig, clock: Clock
) -> Tensor:
    """One update of the weights.

    Args:
        done: steps of the run before it.

    Returns:
        This process's sums of loss, top-1, top-5 and videos, shape (4,).
    """
    sums = torch.zeros(4, dtype=torch.float64, device=updates.device)
    updates.begin()
    for number, batch in enumerate(islice(batches, config.accumulate), 1):
        clips, labels = batch.to(updates.device)
        clock.data_ready()
        targets = labels
        if config.mixes:
            clips, targets, labels = _mixed(clips, labels, config, done, number)
        with exchange.gradients_synced(network, when=number == config.accumulate):
            with autocast(updates.device, config.amp):
                logits = network(clips)  # (N, K) or (N, T, K)
                loss = clip_loss(logits, targets, config.loss_type, config.label_smoothing)
            updates.backward(loss, batch.videos, config.accumulate)
        sums += torch.where(loss.isfinite(), score_sums(logits.detach(), labels, loss.detach()), 0.0)
        clock.work_done()
    updates.update(done, config.clip_gradient)
    return sums


def _mixed(clips: Tensor, labels: Tensor, config: TrainConfig, done: int, number: int) -> Mixed:
    """This process's share of the ``number``-th batch of a step, mixed in pairs."""
    pairs = config.batch_size // 2
    first = ((number - 1) * distributed.world_size() + distributed.rank()) * pairs
    mixtures = [
        draw_mixture(config.mixup, config.cutmix, config.seed, done, pair) for pair in range(first, first + pairs)
    ]
    return mix(clips, labels, config.dataset.num_classes, mixtures)


def _seed_step(seed: int, position: Position) -> None:
    """Seed this process's dropout for one step, so that a resumed run needs no random states."""
    words = np.random.SeedSequence((seed, position.epoch, position.step, distributed.rank()))
    torch.manual_seed(int(words.generate_state(1, np.uint64)[0]))
