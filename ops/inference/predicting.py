"""The body of predict.py: videos in, answers printed, written and drawn."""

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ops.data import read_class_names
from ops.inference.answer_files import AnswerFile, csv_file, json_file
from ops.inference.answers import Answer, Caption
from ops.inference.over_time.sliding import Sliding
from ops.inference.over_time.timeline import Timeline
from ops.inference.predictor import Predictor
from ops.inference.sources import Source, find_sources
from ops.runtime import (
    Failure,
    InputError,
    check_writable,
    distributed,
    get_logger,
    print_any_name,
    progress_bar,
    report,
    require,
    setup_logger,
    use_fast_products,
    write_atomically,
)
from ops.settings import ExplainConfig, PredictConfig
from ops.video import VideoError

# Draws a timeline as PNG; writes a video with captions on it to a file.
DrawTimeline = Callable[[Timeline], bytes]
WriteOverlay = Callable[[Source, Sequence[Caption], Path], None]


def open_predictor(config: PredictConfig | ExplainConfig, **more: Any) -> Predictor:
    """The predictor that a command line asks for, and a word where its classes have no names; ``more`` is of Predictor.

    Raises:
        InputError: the checkpoint cannot be read, or does not say what is needed.
    """
    device = distributed.pick_device(config.gpus)
    use_fast_products(device, exact=config.exact if isinstance(config, PredictConfig) else True)
    predictor = Predictor(
        config.checkpoint,
        device=device,
        class_names=() if config.class_names is None else read_class_names(config.class_names),
        decoder=config.decoder,
        **{**config.network_settings, **more},
    )
    if not predictor.has_names:
        get_logger().info("%s has no class names: classes are numbered (--class_names FILE)", config.checkpoint)
    return predictor


class Prediction:
    """One call of predict.py.

    Args:
        config: its settings.
        draw_timeline, write_overlay: as above.

    Raises:
        InputError: nothing can be answered or written.
    """

    def __init__(self, config: PredictConfig, draw_timeline: DrawTimeline, write_overlay: WriteOverlay) -> None:
        self.config = config
        self.draw_timeline = draw_timeline
        self.write_overlay = write_overlay
        self.failures = 0
        self._files: list[AnswerFile] = []
        self._drawn: set[Path] = set()

    def run(self) -> int:
        """Answer; returns the exit status: 0, or 2 where a video could not be read to its end."""
        config = self.config
        print_any_name()
        setup_logger(True)
        found = find_sources(config.sources)
        sources = [source for source in found if isinstance(source, Source)]
        self._check_outputs(sources)
        for entry in found:
            if isinstance(entry, Failure):
                self._fail(entry.reason)
        if sources:
            predictor = open_predictor(
                config,
                num_clips=config.num_clips,
                num_crops=config.num_crops,
                amp=config.amp,
                compiled=config.compile,
                deform=config.deform,
            )
            with ExitStack() as files:
                for path, opened in ((config.json, json_file), (config.csv, csv_file)):
                    if path is not None:
                        self._files.append(files.enter_context(opened(path, config.every is not None)))
                if config.every is None:
                    self._videos(predictor, sources)
                else:
                    for source in sources:
                        self._windows(predictor, source, config.every)
        return 2 if self.failures else 0

    def _check_outputs(self, sources: Sequence[Source]) -> None:
        """Before long work: whether all that is asked for can be written."""
        config, several = self.config, len(sources) > 1
        for option, path, ending in (("--overlay", config.overlay, ".mp4"), ("--timeline", config.timeline, ".png")):
            if path is None:
                continue
            wanted = f"{option} DIR with several videos" if several else f"{option} FILE{ending}"
            require((path.suffix.lower() == ending) != several, wanted, path)
            if several:
                try:
                    path.mkdir(parents=True, exist_ok=True)
                except OSError as error:
                    raise InputError(f"{path}: expected a folder to write to, got {error.strerror}") from None
            check_writable(path / f"video{ending}" if several else path)
        if config.overlay is not None:
            streams = [source.name for source in sources if source.kind not in ("file", "frames")]
            require(not streams, "--overlay with files and folders of frames", ", ".join(streams))
        for path in (config.json, config.csv):
            if path is not None:
                check_writable(path)

    def _videos(self, predictor: Predictor, sources: Sequence[Source]) -> None:
        """One answer a video."""
        config = self.config
        workers = min(config.workers, len(sources)) if len(sources) > 1 else 0
        found = predictor.each(sources, config.batch_size, workers, config.clip_timeout)
        bar_length = len(sources) if len(sources) > 1 else 0
        with closing(found) as results, progress_bar(bar_length, "video") as bar:
            for source, result in results:
                bar.update()
                if isinstance(result, Failure):
                    self._fail(result.reason)
                    continue
                self._add(result)
                self._overlay(source, [result.caption()])

    def _windows(self, predictor: Predictor, source: Source, every: float) -> None:
        """An answer a window, until the video or the stream ends."""
        config = self.config
        stop_after = math.inf if config.stop_after is None else config.stop_after
        length = config.window or every
        sliding = Sliding(predictor, source, every, length, config.batch_size, config.patience, stop_after)
        timeline, captions = Timeline(source.name), []
        try:
            for answer in sliding:
                self._add(answer)
                timeline.add(answer)
                if config.overlay is not None:
                    captions.append(answer.caption())
        except VideoError as error:
            self._fail(str(error))
        finally:
            if config.timeline is not None and timeline.columns:
                write_atomically(self._path(config.timeline, source, ".png"), self.draw_timeline(timeline))
            if sliding.summary() is not None:
                get_logger().info("%s", sliding.summary())
        self._overlay(source, captions)

    def _add(self, answer: Answer) -> None:
        for file in self._files:
            file.add(answer)
        tqdm.write(answer.text(self.config.top))

    def _fail(self, reason: str) -> None:
        self.failures += 1
        with tqdm.external_write_mode():  # no progress bar in the same line
            report(reason)

    def _overlay(self, source: Source, captions: Sequence[Caption]) -> None:
        if self.config.overlay is None or not captions:
            return
        path = self._path(self.config.overlay, source, ".mp4")
        try:
            self.write_overlay(source, captions, path)
        except VideoError as error:
            self._fail(str(error))

    def _path(self, option: Path, source: Source, ending: str) -> Path:
        """Where what is drawn of a video goes: the file of the option, or one in its folder, called like the video."""
        if option.suffix.lower() == ending:
            return option
        name, number = Path(source.name).stem, 1
        while (path := option / f"{name}{f'_{number}' if number > 1 else ''}{ending}") in self._drawn:
            number += 1
        self._drawn.add(path)
        return path
