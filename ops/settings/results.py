"""Settings of what reports results: pkl_to_results.py, report.py and training_curves.py."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ops.runtime import at_least, plural, require, setting
from ops.settings.shared import AVERAGES, AVERAGES_IN_WORDS, CommandLine, DecoderSettings

_AS_FOUND = "as many as RESULTS has"


@dataclass(frozen=True, kw_only=True)
class ResultsConfig(CommandLine):
    """Settings of pkl_to_results.py."""

    output_dir: Path = setting(
        "--output_dir", metavar="DIR", help="folder of the scores, CLIP_cropN.pkl; the results are written there"
    )
    num_clips: int = setting(
        "--num_clips", default=1, limit=at_least(1), metavar="K", help="number of clips of a video to average"
    )
    num_crops: int = setting(
        "--test_crops", default=1, limit=at_least(1), metavar="C", help="number of crops of each clip to average"
    )
    average: str | None = setting(
        "--average", default=None, unset="as the test script was told, or softmax", choices=AVERAGES,
        help=f"what is averaged over clips, crops and folders: {AVERAGES_IN_WORDS}",
    )  # fmt: skip
    multi_segments: bool = setting(
        "--multi_segments", default=False,
        help="also average the scores in --output_dir1, such as those of 8 and of 16 segments",
    )  # fmt: skip
    output_dir1: Path | None = setting(
        "--output_dir1", default=None, unset="none", metavar="DIR", help="second folder of scores, for --multi_segments"
    )
    class_names: Path | None = setting(
        "--class_names", default=None, unset="numbers", metavar="FILE",
        help="file of class names, one per line, in label order, for the reports",
    )  # fmt: skip
    per_class: bool = setting("--per_class", default=False, help="print the accuracy of every class")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.multi_segments == (self.output_dir1 is not None), "--multi_segments together with --output_dir1",
                "one of them")  # fmt: skip
        for folder in self.folders:
            require(os.path.isdir(folder), "a folder of score pickles", f"{folder}, which does not exist")

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders whose scores are averaged."""
        folders = (self.output_dir, self.output_dir1 if self.multi_segments else None)
        return tuple(folder for folder in folders if folder is not None)

    def headline(self) -> str:
        """What is averaged, in a line."""
        views = f"{plural(self.num_clips, 'clip')} x {plural(self.num_crops, 'crop')}"
        return f"averaging the scores of {views} in {' and '.join(map(str, self.folders))}"


@dataclass(frozen=True, kw_only=True)
class ReportConfig(DecoderSettings, CommandLine):
    """Settings of report.py."""

    group: ClassVar[str] = "options"

    results: tuple[Path, ...] = setting(
        "results", metavar="RESULTS", help="folder of scores, as the test scripts write it; two folders are compared"
    )
    out: Path | None = setting(
        "--out", default=None, unset="report.html, with two folders comparison.html, in RESULTS", metavar="FILE.html",
        help="the page",
    )  # fmt: skip
    num_clips: int | None = setting(
        "--num_clips", default=None, unset=_AS_FOUND, limit=at_least(1), metavar="K",
        help="number of clips of a video to average",
    )  # fmt: skip
    num_crops: int | None = setting(
        "--test_crops", default=None, unset=_AS_FOUND, limit=at_least(1), metavar="C",
        help="number of crops of each clip to average",
    )  # fmt: skip
    average: str | None = setting(
        "--average", default=None, unset="as the test script was told, or softmax", choices=AVERAGES,
        help=f"what is averaged over clips and crops: {AVERAGES_IN_WORDS}",
    )  # fmt: skip
    class_names: Path | None = setting(
        "--class_names", default=None, unset="as the scores say, or numbers", metavar="FILE",
        help="file of class names, one per line, in label order",
    )  # fmt: skip
    root_path: Path | None = setting(
        "--root_path", default=None, unset="data/NAME of the tested data set", metavar="DIR",
        help="folder of the tested videos, to which their names are relative; without it the page shows no frames",
    )  # fmt: skip
    shown: int = setting(
        "--shown", default=6, limit=at_least(0), metavar="N",
        help="number of worst and of best classes to show with frames of their videos",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        require(len(self.results) in (1, 2), "one or two folders of scores", len(self.results))
        for folder in self.results:
            require(folder.is_dir(), "a folder of scores", f"{folder}, which is none")

    @property
    def page(self) -> Path:
        return self.out or self.results[0] / ("report.html" if len(self.results) == 1 else "comparison.html")


@dataclass(frozen=True, kw_only=True)
class CurvesConfig(CommandLine):
    """Settings of training_curves.py."""

    runs: tuple[Path, ...] = setting(
        "runs", metavar="RUN", help="log folders of runs, like log/NAME, or a folder that has some below it, like log"
    )
    out: Path | None = setting(
        "--out", default=None, unset="training_curves.html in the first RUN", metavar="FILE.html", help="the page"
    )

    @property
    def page(self) -> Path:
        return self.out or self.runs[0] / "training_curves.html"
