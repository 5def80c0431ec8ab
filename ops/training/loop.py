"""Training: a step, an epoch, and the run around them.

N videos a batch, T segments, K classes. A step is one update of the weights, from ``accumulate`` batches a process.
Everything random follows from (seed, epoch, step, rank) or (seed, epoch, video), so a run that stops anywhere and
resumes draws what it would have drawn.
"""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from ops.data import Batch, ClipLoader, FrameSampler, TrainClips, TrainTransform, train_loader
from ops.evaluation import Checkpoint, score_means, score_sums
from ops.runtime import Clock, InputError, Stopped, StopRequest, autocast, distributed, duration, get_logger, show_bars
from ops.training.losses import clip_loss
from ops.training.lr_scheduler import build_schedule
from ops.training.optim import hold_batch_statistics, set_learning_rate
from ops.training.run import TrainingRun
from ops.training.run_folder import LAST, epoch_name
from ops.training.scalars import ScalarWriter
from ops.training.validation import open_validation, validate


def fit(run: TrainingRun) -> None:
    """Train to the last epoch; validate and save on the way."""
    config, position, log = run.config, run.position, get_logger()
    loader = train_loader(_train_clips(run), run.sampler, config.workers, run.device, config.clip_timeout)
    val_loader = open_validation(run)
    network = distributed.wrap(run.model, run.device)
    log.info(
        "training on %s %s (%d videos, %d classes): %d steps an epoch of %d videos "
        "(%d a batch x %d processes x %d accumulated); "
        "accuracies of steps are those of one random clip and crop a video, before the update",
        config.dataset.name, config.dataset.train_list.name, len(run.train_source.records), config.dataset.num_classes,
        run.sampler.steps_per_epoch, run.sampler.global_batch_size, config.batch_size, distributed.world_size(),
        config.accumulate,
    )  # fmt: skip
    if not (config.dataset.class_names or config.dataset.mirror_pairs):
        log.warning(
            "no class names (%s or --class_names): flipped clips keep their labels, also where these say left or right",
            config.dataset.root / "classes.txt",
        )
    if config.lr_batch_size is not None:
        videos = run.sampler.global_batch_size
        log.info(
            "learning rate %g for %d videos a step -> %g for %d",
            config.lr, config.lr_batch_size, config.scaled_lr(videos), videos,
        )  # fmt: skip
    writer = ScalarWriter(config.log_dir) if distributed.is_main() else None
    stop = StopRequest()
    try:
        if position.epoch >= config.epochs:
            log.info("nothing to train: %d of %d epochs are done", position.epoch, config.epochs)
            validate(run, val_loader)
        stop.listen()
        while position.epoch < config.epochs:
            trained = train_one_epoch(run, network, loader, writer, stop)
            _report_epoch(run, trained, writer)
            finish_epoch(run, val_loader, writer, stop)
            log.info("saved %s in %s", ", ".join(run.save()), config.model_dir)
    except Stopped as signal:
        run.save()
        log.warning(
            "stopped by %s: %d epochs and %d steps are saved in %s; --resume auto goes on from there",
            signal, position.epoch, position.step, config.model_dir / LAST,
        )  # fmt: skip
        raise
    finally:
        if writer is not None:
            writer.close()


def train_one_epoch(
    run: TrainingRun, network: nn.Module, loader: ClipLoader, writer: ScalarWriter | None, stop: StopRequest
) -> dict[str, float]:
    """Train from the run's position to the end of its epoch.

    Returns:
        Loss, top1 and top5 of what was seen; nothing where all steps were done before.

    Raises:
        Stopped: before a step, with the run as the steps before have left it.
    """
    config, position, steps = run.config, run.position, run.sampler.steps_per_epoch
    schedule = build_schedule(config, steps, run.sampler.global_batch_size)
    run.sampler.set_position(position.epoch, position.step)
    network.train()
    if config.partialbn:
        hold_batch_statistics(run.model)
    clock = Clock()
    sums, epoch_sums = torch.zeros(4, dtype=torch.float64, device=run.device), np.zeros(4)
    bar = tqdm(
        total=steps, initial=position.step, desc=f"epoch {position.epoch + 1}/{config.epochs}", unit="step",
        disable=not show_bars(), dynamic_ncols=True, leave=False,
    )  # fmt: skip
    with bar, loader.guard():
        batches = iter(loader)
        while position.step < steps:
            lr = schedule.lr(position.epoch * steps + position.step)
            set_learning_rate(run.optimizer, lr)
            _seed_step(config.seed, position.epoch, position.step)
            clock.start()
            stop.check()
            sums += train_step(run, network, batches, clock)
            position.step += 1
            reports = position.step % config.print_freq == 0 or position.step == steps
            if reports:  # waits for the device, which may be steps behind: the time is the clock's to count
                window = np.array(distributed.sum_over_processes(sums.tolist(), run.device))
            clock.stop()
            bar.update()
            if config.save_every is not None and position.step % config.save_every == 0:
                run.save()
            if reports:
                run.train_bad.gather()
                run.check_updates()
                results = {**score_means(window), "lr": lr}
                bar.set_postfix_str(f"loss {results['loss']:.4f}, top-1 {results['top1']:.1f} %", refresh=False)
                _report(run, results, clock, writer)
                epoch_sums += window
                sums.zero_()
                clock = Clock()
    return score_means(epoch_sums) if epoch_sums[3] else {}


def train_step(run: TrainingRun, network: nn.Module, batches: Iterator[Batch], clock: Clock) -> Tensor:
    """One update of the weights; returns this process's sums of loss, top-1, top-5 and videos, shape (4,)."""
    config, position = run.config, run.position
    sums = torch.zeros(4, dtype=torch.float64, device=run.device)
    run.updates.begin()
    run.optimizer.zero_grad(set_to_none=True)
    for number, batch in enumerate(islice(batches, config.accumulate), 1):
        run.train_bad.add(batch.broken)
        if len(batch.videos) < config.batch_size:
            raise InputError(batch.broken[-1].reason)
        clips, labels = batch.to(run.device)
        clock.data_ready()
        with distributed.gradients_synced(network, when=number == config.accumulate):
            with autocast(run.device, config.amp):
                logits = network(clips)  # (N, K) or (N, T, K)
                loss = clip_loss(logits, labels, config.loss_type)
            run.scaler.scale(run.updates.admit(loss, batch.videos) / config.accumulate).backward()
        sums += torch.where(loss.isfinite(), score_sums(logits.detach(), labels, loss.detach()), 0.0)
        clock.work_done()
    run.updates.update(position.epoch * run.sampler.steps_per_epoch + position.step, config.clip_gradient)
    return sums


def finish_epoch(run: TrainingRun, loader: ClipLoader, writer: ScalarWriter | None, stop: StopRequest) -> None:
    """Validate what an epoch's steps have trained, where that is due, and count the epoch as done.

    Raises:
        Stopped: before the epoch counts as done.
    """
    config, position = run.config, run.position
    epoch = position.epoch + 1
    distributed.sync_buffers(run.model)
    if epoch % config.eval_freq == 0 or epoch == config.epochs:
        run.measured = Checkpoint(epoch_name(epoch), epoch)
        results = validate(run, loader, stop)
        _write_scalars(writer, "val", results, epoch)
        if position.best_top1 is None or results["top1"] > position.best_top1:
            position.best_top1, position.best_epoch = results["top1"], epoch
    position.epoch, position.step = epoch, 0


def _train_clips(run: TrainingRun) -> TrainClips:
    config = run.config
    transform = TrainTransform(config.input_size, config.dataset.mirror_labels())
    sampler = FrameSampler(run.model.frames_per_segment, config.dense_sample)
    substitute = config.on_bad_video == "skip"
    return TrainClips(run.train_source, config.model.num_segments, sampler, transform, config.seed, substitute)


def _seed_step(seed: int, epoch: int, step: int) -> None:
    """Seed this process's dropout for one step, so that a resumed run needs no random states."""
    words = np.random.SeedSequence((seed, epoch, step, distributed.rank())).generate_state(1, np.uint64)
    torch.manual_seed(int(words[0]))


def _report(run: TrainingRun, results: dict[str, float], clock: Clock, writer: ScalarWriter | None) -> None:
    config, position, steps = run.config, run.position, run.sampler.steps_per_epoch
    step_time, data_time = clock.total / clock.steps, clock.waiting / clock.steps
    left = (config.epochs - position.epoch) * steps - position.step
    get_logger().info(
        "epoch %d/%d step %d/%d: loss %.4f, top-1 %.2f %%, top-5 %.2f %% [training clips, %d frames, %d px], lr %.3g, "
        "%.3f s a step (%.3f for data), %.1f videos/s, %s left",
        position.epoch + 1, config.epochs, position.step, steps, results["loss"], results["top1"], results["top5"],
        config.model.num_segments, config.input_size, results["lr"],
        step_time, data_time, run.sampler.global_batch_size / step_time, duration(left * step_time),
    )  # fmt: skip
    scalars = {**results, "step_time": step_time, "data_time": data_time}
    _write_scalars(writer, "train", scalars, position.epoch * steps + position.step)


def _report_epoch(run: TrainingRun, results: dict[str, float], writer: ScalarWriter | None) -> None:
    if results:
        epoch = run.position.epoch + 1
        get_logger().info(
            "epoch %d/%d trained: loss %.4f, top-1 %.2f %%, top-5 %.2f %% [training clips, %d frames, %d px]",
            epoch, run.config.epochs, results["loss"], results["top1"], results["top5"],
            run.config.model.num_segments, run.config.input_size,
        )  # fmt: skip
        _write_scalars(writer, "train_epoch", results, epoch)


def _write_scalars(writer: ScalarWriter | None, prefix: str, scalars: dict[str, float], at: int) -> None:
    if writer is not None:
        writer.add({f"{prefix}/{name}": value for name, value in scalars.items()}, at)
