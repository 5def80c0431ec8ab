"""Validation: every video of a list once, one centre crop of one clip."""

import math

import torch
from tqdm import tqdm

from ops.data import Batch, FrameSampler, TestTransform, TestVideos, VideoSource, test_scale, validation_loader
from ops.evaluation import Checkpoint, Measurement, accuracies, motion_name, score_means, score_sums
from ops.models import Recognizer
from ops.runtime import InputError, StopRequest, autocast, distributed, exchange, get_logger, show_bars
from ops.settings import TrainConfig
from ops.training.clips import bad_videos
from ops.training.losses import clip_loss


class Validator:
    """Measures a network on this process's share of the validation videos, together with all other processes.

    Args:
        config: settings of main.py.
        source: the validation videos.
        model: the network, as it is whenever it is measured.
        device: where it is.
        remarks: what is not as it was in training, for the line beside the accuracy.
    """

    def __init__(
        self,
        config: TrainConfig,
        source: VideoSource,
        model: Recognizer,
        device: torch.device,
        remarks: tuple[str, ...] = (),
    ) -> None:
        self.config = config
        self.source = source
        self.model = model
        self.device = device
        self.remarks = (*remarks, "JPEG at reduced size") if config.reduced_jpeg else remarks
        self.measurement: Measurement | None = None  # of the last run
        self.bad = bad_videos(config, config.dataset.val_list, source)
        videos = TestVideos(
            source,
            [(config.model.num_segments, FrameSampler(model.frames_per_segment, config.dense_sample))],
            TestTransform(test_scale(config.input_size), config.input_size, 1),
        )
        rank, processes = distributed.rank(), distributed.world_size()
        self._loader = validation_loader(
            videos, config.batch_size, config.workers, device, rank, processes, config.clip_timeout
        )
        self._most_batches = math.ceil(len(source.records) / (config.batch_size * processes))  # of one process

    @torch.inference_mode()
    def run(
        self, checkpoint: Checkpoint, stop: StopRequest | None = None, model: Recognizer | None = None
    ) -> dict[str, float]:
        """Loss, top1 and, of more than five classes, top5.

        Broken videos that are skipped do not count; the accuracy is logged with the number of videos that do.

        Args:
            checkpoint: what the network's weights are called.
            model: the same network with other weights, to measure instead.

        Raises:
            Stopped: ``stop`` was asked for.
            InputError: no video can be read, too many cannot, or the loss is not finite.
        """
        config, total, hidden = self.config, len(self._loader), not show_bars()
        model = self.model if model is None else model
        model.eval()
        sums = torch.zeros(4, dtype=torch.float64, device=self.device)
        bar = tqdm(total=total, desc="validation", unit="batch", disable=hidden, dynamic_ncols=True, leave=False)
        with bar, self._loader.guard():
            for batch in self._loader if stop is None else stop.checking(self._loader, self._most_batches):
                self.bad.add(batch.broken)
                if batch.videos:
                    sums += self._score(model, batch)
                bar.update()
        self.bad.gather()
        totals = exchange.sum_over_processes(sums.tolist(), self.device)
        if totals[3] == 0:
            raise InputError(f"{config.dataset.val_list}: expected a video that can be read, got none")
        results = score_means(totals, config.dataset.num_classes)
        if not math.isfinite(results["loss"]):
            raise InputError(
                f"{config.dataset.val_list}: expected a finite loss of {checkpoint.file}, got {results['loss']}"
            )
        self.measurement = self._measurement(checkpoint, int(totals[3]))
        get_logger().info(
            "validation: loss %.4f, %s   [%s]",
            results["loss"], accuracies(results["top1"], results.get("top5")),
            self.measurement.line(),
        )  # fmt: skip
        return results

    def _score(self, model: Recognizer, batch: Batch) -> torch.Tensor:
        """Sums of loss, top-1, top-5 and videos of a batch, shape (4,)."""
        clips, labels = batch.to(self.device)
        with autocast(self.device, self.config.amp):
            logits = model(clips)
        return score_sums(logits, labels, clip_loss(logits, labels, self.config.loss_type))

    def _measurement(self, checkpoint: Checkpoint, scored_videos: int) -> Measurement:
        config = self.config
        return Measurement(
            dataset=config.dataset.name,
            video_list=config.dataset.val_list.name,
            num_videos=len(self.source.records),
            scored_videos=scored_videos,
            segments=(config.model.num_segments,),
            networks=(self.model.design.network,),
            motion=(motion_name(self.model.design.motion),),
            motion_windows=(self.model.design.motion_window,),
            crops=1,
            clips=1,
            sampling="dense even" if config.dense_sample else "even",
            scale=test_scale(config.input_size),
            size=config.input_size,
            checkpoints=(checkpoint,),
            amp=config.amp,
            pixels=config.pixels,
            remarks=self.remarks,
        )
