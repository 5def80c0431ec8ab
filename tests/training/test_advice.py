"""What a run says before it begins."""

import logging
from pathlib import Path

import pytest

from ops.runtime.logger import NAME
from ops.runtime.progress import Clock, StepTime
from ops.settings.command_lines import parse_train
from ops.settings.training import TrainConfig
from ops.training.reporting import advice
from ops.training.reporting.advice import advise, oversights


def config_of(folder: Path, *options: str, name: str = "motion") -> TrainConfig:
    lists = [f"--{part}_list={folder}/data/motion/{part}_videos.txt" for part in ("train", "val")]
    command = [name, "RGB", "--root_path", str(folder / "data/motion"), "--storage", "videos", *lists]
    command += ["--arch", "resnet10", "--num_segments", "4"]
    return parse_train([*command, *options])


def lines(config: TrainConfig, videos: int = 24, step: int = 4) -> list[str]:
    return list(oversights(config, videos, step))


class TestFlips:
    """One line where clips are not flipped and nobody asked for that."""

    @pytest.mark.parametrize(
        ("name", "options", "said"),
        [
            ("something", ("--model", "tsm"), "TSM"),
            ("somethingv2", ("--model", "tsn"), "TSN"),
            ("something", ("--model", "tsm", "--flip", "on"), None),
            ("something", ("--model", "tsm", "--flip", "off"), None),
            ("something", ("--model", "tdn"), None),
            ("motion", ("--model", "tsm"), None),
        ],
    )
    def test_line(
        self, motion_folder: Path, caplog: pytest.LogCaptureFixture,
        name: str, options: tuple[str, ...], said: str | None,
    ) -> None:  # fmt: skip
        config = config_of(motion_folder, *options, name=name)
        with caplog.at_level(logging.INFO, NAME):
            advise(config, 24, 4)
        found = [record.getMessage() for record in caplog.records if "flip" in record.getMessage()]
        expected = f"clips of {name} are not flipped, as published for {said}; --flip on flips them and swaps the "
        assert found == ([] if said is None else [f"{expected}labels that say left and right"])


class TestOversights:
    def test_none(self, motion_folder: Path) -> None:
        assert lines(config_of(motion_folder)) == []

    def test_a_rate_that_never_decays(self, motion_folder: Path) -> None:
        said = "the learning rate never decays: none of --lr_steps 30 45 55 is below --epochs 10"
        assert lines(config_of(motion_folder, "--epochs", "10")) == [said]
        assert lines(config_of(motion_folder, "--epochs", "30")) == [said.replace("10", "30")]
        assert lines(config_of(motion_folder, "--epochs", "31")) == []
        assert lines(config_of(motion_folder, "--epochs", "10", "--lr_scheduler", "cosine")) == []

    @pytest.mark.parametrize(
        ("videos", "said"),
        [
            (26, "2 of 26 training videos are skipped in every epoch, different ones each time: 26 is not a multiple "
                 "of the 4 videos of a step"),
            (25, "1 of 25 training videos is skipped in every epoch, a different one each time: 25 is not a multiple "
                 "of the 4 videos of a step"),
        ],
    )  # fmt: skip
    def test_videos_that_an_epoch_does_not_see(self, motion_folder: Path, videos: int, said: str) -> None:
        assert lines(config_of(motion_folder), videos=videos) == [said]

    def test_no_class_names(self, motion_folder: Path, tmp_path: Path) -> None:
        root = motion_folder / "data/motion"
        (tmp_path / "videos").mkdir()
        options = ("--root_path", str(tmp_path), "--num_class", "8", "--train_list", str(root / "train_videos.txt"))
        config = config_of(motion_folder, *options, "--val_list", str(root / "val_videos.txt"))
        assert lines(config) == [
            f"no class names ({config.dataset.root / 'classes.txt'} or --class_names): flipped clips keep their "
            "labels, even those that say left or right"
        ]


class TestHeadspace:
    """What is said of waiting for data: after 50 steps, once."""

    @pytest.mark.parametrize(
        ("options", "cores", "said"),
        [
            # A step of 1 s, 0.5 of it waiting: 2 workers need 2 s for what the network does in 0.5 s.
            ("-j 2", 8, "waiting for data 50 % of the time in 50 steps: try -j 5 (now 2)"),
            ("-j 0", 8, "waiting for data 50 % of the time in 50 steps: try -j 2 (now 0)"),
            ("-j 2", 4, "5 workers would keep up, there are 4 cores per process; prepare the videos with "
                        "scripts/preparation/resize_videos.py, and --pixels yuv halves what is sent"),
            ("-j 2 --pixels yuv", 1, "5 workers would keep up, there is 1 core per process; prepare the videos"),
        ],
    )  # fmt: skip
    def test_said_once(
        self, motion_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
        options: str, cores: int, said: str,
    ) -> None:  # fmt: skip
        monkeypatch.setattr(advice, "processors", lambda: cores)
        headspace, clock = advice.Headspace(config_of(motion_folder, *options.split())), Clock()
        for number in range(200):
            clock.last_step = StepTime(1.0, 0.5) if number >= advice.FIRST_STEPS else StepTime(100.0, 99.0)
            headspace.step(clock)
            if number < advice.FIRST_STEPS + advice.COUNTED_STEPS - 1:
                assert not caplog.records
        (record,) = caplog.records
        assert said in record.getMessage()

    def test_nothing_is_said_where_the_network_is_busy(
        self, motion_folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        headspace, clock = advice.Headspace(config_of(motion_folder)), Clock()
        clock.last_step = StepTime(1.0, 0.09)
        for _ in range(200):
            headspace.step(clock)
        assert not caplog.records
