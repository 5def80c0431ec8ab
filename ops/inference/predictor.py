"""From a checkpoint to the probabilities of its classes.

    from ops.inference import Predictor
    print(Predictor("best.pth.tar")("clip.mp4"))

N videos, V views of each, T segments of F frames, K classes. Frames, crops and the mean over views are those of the
test scripts.
"""

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ops.data import (
    BrokenVideo,
    DatasetSpec,
    FrameSampler,
    TestTransform,
    TestVideo,
    TestVideos,
    test_loader,
    test_scale,
)
from ops.evaluation import open_network, softmax
from ops.inference.answers import Answer
from ops.inference.onnx_network import OnnxNetwork
from ops.inference.sources import NamedVideos, Source, find_source, record_of
from ops.models import Recognizer
from ops.runtime import Failure, InputError, autocast, require
from ops.video import choose_decoder


class Predictor:
    """A trained network that is asked about videos.

    Args:
        checkpoint: a file of this project or a published one; a folder or an ONNX file that export.py wrote; a model
            on the Hugging Face hub, ``owner/name``.
        device: where the network runs; None for a GPU if there is one.
        class_names: K names; none for those that the checkpoint has, else numbers.
        decoder: library that decodes video files.
        num_clips, num_crops: views of a video.
        amp: ``bf16`` or ``fp16`` for mixed precision.
        compiled: whether torch.compile compiles the network.
        deform: what computes deformable convolutions (``--deform`` of the scripts).
        weights_kind: ``raw`` for the weights that were trained, ``ema`` for their moving average.
        settings: what the checkpoint does not say or what is to come before it: ``network``, ``arch``, ``motion``,
            ``num_segments``, ``motion_window``, ``motion_weight``, ``input_size``, ``dense_sample``.

    Raises:
        InputError: the checkpoint cannot be read, or does not say what is needed.
    """

    def __init__(
        self,
        checkpoint: str | Path,
        *,
        device: torch.device | str | None = None,
        class_names: Sequence[str] = (),
        decoder: str = "pyav",
        num_clips: int = 1,
        num_crops: int = 1,
        amp: str | None = None,
        compiled: bool = False,
        deform: str = "auto",
        weights_kind: str = "raw",
        **settings: Any,
    ) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.network: Recognizer | OnnxNetwork
        if Path(checkpoint).suffix == ".onnx":
            require(weights_kind == "raw", f"--weights_kind raw with {checkpoint}, which has one kind", weights_kind)
            require(amp is None and not compiled, f"neither --amp nor --compile with {checkpoint}", "one of them")
            self.network = OnnxNetwork(Path(checkpoint), self.device)
            self.found, self.settings = self.network.found, self.network.settings(settings, Path(checkpoint))
        else:
            opened = open_network(
                Path(checkpoint),
                settings,
                self.device,
                compiled=compiled,
                deform=deform,
                weights_kind=weights_kind,
            )
            self.network, self.found, self.settings = opened.network, opened.found, opened.settings
        self.num_classes = self.network.num_classes
        self.has_names = bool(class_names or self.found.class_names)
        self.class_names = tuple(class_names) or self.found.class_names or tuple(map(str, range(self.num_classes)))
        if len(self.class_names) != self.num_classes:
            raise InputError(f"{checkpoint}: expected {self.num_classes} class names, got {len(self.class_names)}")
        self.decoder = choose_decoder(decoder)
        self.num_clips = num_clips
        self.amp = amp
        size = self.settings.input_size
        self.sampler = FrameSampler(self.network.frames_per_segment, self.settings.dense_sample)
        self.transform = TestTransform(test_scale(size), size, num_crops)

    def __call__(self, video: str | Path) -> Answer:
        """The answer to one video: a file, a folder of frames, or the URL of a file.

        Raises:
            InputError: it cannot be read.
        """
        ((_, result),) = self.each([find_source(str(video))])
        if isinstance(result, Failure):
            raise InputError(result.reason)
        return result

    def each(
        self, sources: Sequence[Source], batch_size: int = 16, workers: int = 0, clip_timeout: float = 300
    ) -> Generator[tuple[Source, Answer | Failure], None, None]:
        """The answers to many videos, in order; a video that cannot be read costs no other.

        Closing the generator ends the workers.

        Args:
            batch_size: views in one forward pass.
            workers: processes that decode.
            clip_timeout: seconds that one video may take in a worker; 0 for ever.
        """
        dataset = self._dataset(sources)
        size = max(1, batch_size // (self.num_clips * self.transform.num_crops))
        left = [list(range(start, min(start + size, len(sources)))) for start in range(0, len(sources), size)]
        while left:
            loader = test_loader(dataset, left, workers, self.device, clip_timeout)
            answered = 0
            try:
                with loader.guard():
                    for batch in loader:
                        results = self._answers(batch, sources, batch_size)
                        answered += 1
                        yield from results
                return
            except InputError as error:
                # A worker died or hung: what it was reading cannot be read, and the others start again with the rest.
                left = left[answered:]
                lost = [i for indices in left for i in indices if f" {sources[i].name}:" in f" {error}"]
                if not lost:
                    raise
                yield from ((sources[i], Failure(sources[i].name, str(error))) for i in lost)
                left = [rest for indices in left if (rest := [i for i in indices if i not in lost])]

    def clip(self, source: Source) -> Tensor:
        """Pixels (T, F, 3, s, s) uint8 of a video's first view.

        Raises:
            InputError: it cannot be read.
        """
        sample = self._dataset([source])[0]
        if isinstance(sample, BrokenVideo):
            raise InputError(sample.reason)
        return sample.view(0, 0, 0)

    def _dataset(self, sources: Sequence[Source]) -> TestVideos:
        spec = DatasetSpec("videos", "frames", self.num_classes, Path(), Path(), Path())
        videos = NamedVideos(spec, [record_of(source) for source in sources], self.decoder, sources=tuple(sources))
        network = (self.network.num_segments, self.sampler)
        return TestVideos(videos, (network,), self.transform, tuple(range(self.num_clips)), self.num_clips)

    def _answers(
        self, batch: Sequence[TestVideo | BrokenVideo], sources: Sequence[Source], batch_size: int
    ) -> list[tuple[Source, Answer | Failure]]:
        videos = [sample.on(self.device) for sample in batch if isinstance(sample, TestVideo)]
        boxes = range(self.transform.num_crops)
        views = [video.view(0, clip, box) for video in videos for clip in range(self.num_clips) for box in boxes]
        starts = range(0, len(views), batch_size)
        found = [self.probabilities(torch.stack(views[start : start + batch_size])) for start in starts]
        count = self.num_clips * len(boxes)
        means = iter(
            np.concatenate(found).reshape(len(videos), count, -1).sum(axis=1) / count if found else ()
        )  # (N, K)
        results: list[tuple[Source, Answer | Failure]] = []
        for sample in batch:
            source = sources[sample.video]
            if isinstance(sample, BrokenVideo):
                results.append((source, Failure(source.name, sample.reason)))
            else:
                results.append((source, self.answer(source.name, next(means))))
        return results

    def answer(
        self, name: str, probabilities: np.ndarray, start: float | None = None, end: float | None = None
    ) -> Answer:
        """Probabilities (K,) as an answer."""
        if not np.isfinite(probabilities).all():
            raise InputError(f"{name}: expected finite scores, got NaN or infinity")
        return Answer(name, probabilities, self.class_names, start, end)

    @torch.inference_mode()
    def probabilities(self, clips: Tensor) -> np.ndarray:
        """Pixels (N, T, F, 3, s, s) uint8 -> (N, K) in double precision."""
        with autocast(self.device, self.amp):
            logits = self.network(clips.to(self.device, non_blocking=True)).float()
        return softmax(logits.cpu().numpy())
