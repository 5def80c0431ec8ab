"""A run of main.py set up: data, where it starts, network, optimiser, folder; then its training or one validation.

Continue reading in loop.py (epochs), epoch.py (steps), validation.py.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from ops.checkpoints import load_weights, read_shared_checkpoint, tune_from, with_weights
from ops.data import VideoList, VideoRecord, VideoSource, least_train_side, test_scale
from ops.evaluation import Checkpoint
from ops.models import Recognizer, build_model, use_channels_last, use_deform_backend
from ops.runtime import distributed, exchange, get_logger, grad_scaler, plural, use_fast_products
from ops.settings import TrainConfig, UsedList, require_same_run
from ops.training.checkpoint_defaults import warn, with_checkpoint, with_named
from ops.training.clips import TrainingClips, batch_sampler, open_list
from ops.training.ema import WeightAverage
from ops.training.loop import fit
from ops.training.lr_scheduler import build_schedule
from ops.training.nonfinite import FiniteUpdates
from ops.training.optim import build_optimizer, freeze_batch_norms
from ops.training.reporting.advice import advise
from ops.training.reporting.report import Report
from ops.training.saving.checkpoint_contents import RunState, SampleOrder, order_of
from ops.training.saving.global_batch import with_first_batch
from ops.training.saving.resume import Start, choose_start
from ops.training.saving.run_folder import claim
from ops.training.saving.saver import Saver
from ops.training.validation import Validator
from ops.video import choose_decoder


def train(config: TrainConfig, device: torch.device) -> None:
    """Train to the last epoch, starting from what ``--resume`` and the run's folder say."""
    use_fast_products(device, config.exact, same_shapes=True)
    train_records = open_list(config, config.dataset.train_list)
    decoder = choose_decoder(config.decoder)
    val_records = open_list(config, config.dataset.val_list)
    agree_on(config, train_records, val_records)

    config, remarks = with_named(config)  # what the run is called depends on it
    config = with_first_batch(config)
    sampler = batch_sampler(config, len(train_records))
    start = choose_start(config, order_of(sampler))
    saved = {} if start.checkpoint is None else read_shared_checkpoint(start.checkpoint)
    if start.checkpoint is not None:
        config, _ = with_checkpoint(config, start.checkpoint, saved)
    else:
        warn(config.tune_from, remarks)
    model, checkpoint = load_network(config, start.checkpoint, saved, device)
    state = open_state(config, model, order_of(sampler), start, saved, device)
    del saved

    def name_of(video: int) -> str:
        return train_records[video].path

    updates = FiniteUpdates(
        model, state.optimizer, state.scaler, name_of, config.skip_nonfinite, state.average
    )  # fmt: skip
    save = Saver(state, updates, sampler.steps_per_epoch)
    with exchange.on_main_only(lambda: claim(config, start.same_run)) or nullcontext():
        if start.whole and start.checkpoint is not None:
            save.complete(start.checkpoint.name)
        advise(config, len(train_records), sampler.global_batch_size)
        dataset = config.dataset
        train_least = least_train_side(config.input_size) if config.reduced_jpeg else None
        train_source = VideoSource.of_list(
            dataset, dataset.train_list, train_records, decoder, config.pixels, train_least
        )
        val_source = validation_source(config, val_records, decoder)
        clips = TrainingClips(config, train_source, sampler, model.frames_per_segment, device)
        validator = Validator(config, val_source, model, device)
        schedule = build_schedule(config, sampler.steps_per_epoch, sampler.global_batch_size)
        network = exchange.wrap(model, device)
        if state.position.epoch >= config.epochs:
            done = plural(state.position.epoch, "epoch")
            get_logger().info("already trained for %s; --epochs is %d", done, config.epochs)
            validator.run(checkpoint)
        with Report(config, sampler.steps_per_epoch, sampler.global_batch_size) as report:
            fit(network, updates, clips, validator, schedule, state.position, config, save, report)


def evaluate(config: TrainConfig, device: torch.device) -> dict[str, float]:
    """Validate the checkpoint of ``--resume``; returns loss and accuracies."""
    use_fast_products(device, config.exact)
    decoder = choose_decoder(config.decoder)
    records = open_list(config, config.dataset.val_list)
    agree_on(config, None, records)
    start = choose_start(config, SampleOrder())
    assert start.checkpoint is not None
    content = with_weights(read_shared_checkpoint(start.checkpoint), config.weights_kind, start.checkpoint)
    config, remarks = with_checkpoint(config, start.checkpoint, content)
    warn(start.checkpoint, remarks)
    model, checkpoint = load_network(config, start.checkpoint, content, device)
    source = validation_source(config, records, decoder)
    return Validator(config, source, model, device, remarks).run(checkpoint)


def agree_on(config: TrainConfig, train_records: VideoList | None, val_records: VideoList) -> None:
    """Make sure that all processes have the same settings, lists and videos, wherever these lie.

    Raises:
        InputError: one differs.
    """
    data = config.dataset
    lists = [UsedList("training list", data.train_list, train_records)] if train_records is not None else []
    lists.append(UsedList("validation list", data.val_list, val_records))
    require_same_run(config, data, lists)


def validation_source(config: TrainConfig, records: Sequence[VideoRecord], decoder: str) -> VideoSource:
    """The videos of the validation list."""
    least = test_scale(config.input_size) if config.reduced_jpeg else None
    return VideoSource.of_list(config.dataset, config.dataset.val_list, records, decoder, config.pixels, least)


def load_network(
    config: TrainConfig, path: Path | None, content: Mapping[str, Any], device: torch.device
) -> tuple[Recognizer, Checkpoint]:
    """The network with the weights of a checkpoint of this content, or with those to start from; and their name."""
    model = build_network(config, path).to(device)
    use_deform_backend(model, config.deform)
    if config.channels_last or (config.channels_last is None and device.type == "cpu"):
        use_channels_last(model)
    if config.compile:
        model.compile()
    if path is None:
        exchange.sync_weights(model)
        return model, Checkpoint("untrained weights", None)
    load_weights(model, content, str(path))
    epoch = content.get("epoch")
    kind = config.weights_kind if config.evaluate else "raw"
    return model, Checkpoint(path.name, epoch if isinstance(epoch, int) else None, weights=kind)


def build_network(config: TrainConfig, checkpoint: Path | None) -> Recognizer:
    """The network, from pretrained weights unless a checkpoint will fill it."""
    torch.manual_seed(config.seed)
    settings = config.model
    resuming = checkpoint is not None
    # The other processes receive the first one's weights (load_network).
    wants_pretrained = not resuming and config.tune_from is None and distributed.is_main()
    network = build_model(
        settings.arch,
        config.dataset.num_classes,
        settings.num_segments,
        config.pretrain if wants_pretrained else "none",
        model=settings.network,
        dropout=settings.dropout,
        consensus=settings.consensus,
        motion=settings.motion,
        motion_window=settings.motion_window,
        motion_weight=settings.motion_weight,
    )
    network.backbone.recompute = config.recompute
    if config.tune_from is not None and not resuming:
        content = with_weights(read_shared_checkpoint(config.tune_from), config.weights_kind, Path(config.tune_from))
        new = tune_from(network, content, config.tune_from)
        get_logger().info("fine-tuning from %s; new parameters: %s", config.tune_from, ", ".join(new) or "none")
    return network


def open_state(
    config: TrainConfig,
    model: Recognizer,
    order: SampleOrder,
    start: Start,
    saved: Mapping[str, Any],
    device: torch.device,
) -> RunState:
    """The optimiser and the position of a run: new, or as the checkpoint that it starts from has saved them."""
    if config.partialbn:
        freeze_batch_norms(model)
    optimizer = build_optimizer(model, config.param_groups, config.lr, config.momentum, config.weight_decay)
    average = None if config.ema is None else WeightAverage(model, config.ema)
    state = RunState(config, model, optimizer, grad_scaler(device, config.amp), start.position(), order, average)
    if start.checkpoint is not None:
        state.restore(saved, start.checkpoint, start.keeps_best)
    return state
