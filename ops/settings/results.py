"""Settings of pkl_to_results.py."""

import os
from dataclasses import dataclass
from pathlib import Path

from ops.runtime import at_least, plural, require, setting
from ops.settings.shared import AVERAGES, AVERAGES_IN_WORDS, CommandLine


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
