"""Where a run starts, case by case; and the facts, from real folders."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ops.runtime.errors import InputError
from ops.settings.command_lines import parse_train
from ops.training.saving.checkpoint_contents import SampleOrder
from ops.training.saving.checkpoint_names import Found
from ops.training.saving.global_batch import with_first_batch
from ops.training.saving.resume import Facts, Start, choose_start, decide, gather_facts

HERE, THERE = Path("checkpoint/run"), Path("elsewhere")
ORDER = SampleOrder(global_batch_size=8, seed=0, num_videos=35)  # 4 steps an epoch
FRESH = Facts(
    resume=None, evaluate=False, start_epoch=None, restarted=False, folder=HERE, occupied=False, has_best=False,
    newest=None, named=None, order=ORDER, batches=4,
)  # fmt: skip


def found(epoch: int, step: int = 0, folder: Path = HERE, best: int | None = None, order: SampleOrder = ORDER) -> Found:
    return Found(epoch, step, folder / "x.pth.tar", best, order)


def here(newest: Found, **changes: object) -> Facts:
    """A run's own folder, which holds a best."""
    return replace(FRESH, occupied=True, has_best=True, newest=newest, **changes)


def named(checkpoint: Found, newest: Found | None = None, **changes: object) -> Facts:
    """--resume FILE."""
    facts = replace(FRESH, resume=str(checkpoint.path), named=checkpoint, newest=newest, occupied=newest is not None)
    return replace(facts, has_best=newest is not None, **changes)


MINE, OTHER = HERE / "x.pth.tar", THERE / "x.pth.tar"
CASES = {
    "a new run": (FRESH, Start(None)),
    "a new run at a later epoch": (replace(FRESH, start_epoch=3), Start(None, 3)),
    "auto, nothing there": (replace(FRESH, resume="auto"), Start(None)),
    "auto, after an epoch": (here(found(2), resume="auto"), Start(MINE, 2, 0, True, True, True)),
    "auto, inside an epoch": (here(found(2, 3), resume="auto"), Start(MINE, 2, 3, True, True, True)),
    "auto, its own epoch said again": (
        here(found(2), resume="auto", start_epoch=2), Start(MINE, 2, 0, True, True, True)
    ),
    "auto, on to a later epoch": (here(found(2), resume="auto", start_epoch=4), Start(MINE, 4, 0, False, True, False)),
    "auto, the best file is not there": (
        replace(here(found(2, best=1), resume="auto"), has_best=False), Start(MINE, 2, 0, False, True, True)
    ),
    "auto, a crash cost the best its name": (
        replace(here(found(2, best=2), resume="auto"), has_best=False), Start(MINE, 2, 0, True, True, True)
    ),
    "the run's own newest, by name": (named(found(2), found(2)), Start(MINE, 2, 0, True, True, True)),
    "another run's, into a new folder": (named(found(2, 1, THERE, best=2)), Start(OTHER, 2, 1)),
    "another run's, from its beginning": (named(found(2, 1, THERE), start_epoch=0), Start(OTHER, 0, 0)),
    "a restart before any checkpoint": (replace(FRESH, restarted=True), Start(None, same_run=True)),
    "a restart": (here(found(1, 2), restarted=True), Start(MINE, 1, 2, True, True, True)),
    "a restart of a run that began elsewhere": (
        named(found(5, 0, THERE), found(6), restarted=True), Start(MINE, 6, 0, True, True, True)
    ),
    "a restart before the first checkpoint of such a run": (
        named(found(5, 0, THERE), restarted=True), Start(OTHER, 5, 0)
    ),
    "a restart of a run that began at an epoch": (
        here(found(6, 1), restarted=True, start_epoch=5), Start(MINE, 6, 1, True, True, True)
    ),
    "evaluate a file": (replace(FRESH, evaluate=True, resume="elsewhere/x.pth.tar", occupied=True), Start(OTHER)),
    "evaluate the newest": (here(found(2), evaluate=True, resume="auto"), Start(MINE)),
    "evaluate after a restart": (replace(FRESH, evaluate=True, resume=str(OTHER), restarted=True), Start(OTHER)),
    "only the validation is left, another batch": (
        here(found(1, 4), resume="auto", order=SampleOrder(4, 0, 35)), Start(MINE, 1, 8, True, True, True)
    ),
    "only the validation is left, another list and seed": (
        here(found(1, 4), resume="auto", order=SampleOrder(8, 1, 50)), Start(MINE, 1, 6, True, True, True)
    ),
    "after an epoch, another batch": (
        here(found(1), resume="auto", order=SampleOrder(4, 0, 35)), Start(MINE, 1, 0, True, True, True)
    ),
    "inside an epoch, order not saved": (
        here(found(1, 3, order=SampleOrder()), resume="auto"), Start(MINE, 1, 3, True, True, True)
    ),
}  # fmt: skip
REFUSED = {
    "an earlier run": (
        replace(FRESH, occupied=True),
        "checkpoint/run: expected no checkpoints, got those of an earlier run; pass --resume auto to resume it or "
        "--suffix NAME to start a run with another name",
    ),
    "nothing to evaluate": (
        replace(FRESH, evaluate=True, resume="auto"),
        "checkpoint/run: expected a complete checkpoint to evaluate, got none",
    ),
    "an earlier checkpoint of the run": (
        named(found(1), found(2)), "got x.pth.tar (after 2 epochs); pass --resume auto"
    ),
    "another run's, into a folder that holds one": (
        named(found(9, 0, THERE), found(1, 2)), "got x.pth.tar (after 1 epoch and 2 steps); pass --resume auto"
    ),
    "back to an earlier epoch": (here(found(2), resume="auto", start_epoch=1), "got x.pth.tar (after 2 epochs)"),
    "inside an epoch, another batch": (
        here(found(1, 3), resume="auto", order=SampleOrder(4, 0, 35)),
        "expected 8 videos per step (--batch-size x processes x --accumulate) to resume after 1 epoch and 3 steps, "
        "within an epoch, got 4; pass --accumulate 2, or keep the old batch size until the epoch's end",
    ),
    "inside an epoch, a batch that does not divide": (
        here(found(1, 3), resume="auto", order=SampleOrder(3, 0, 35), batches=3),
        "got 3; keep the old batch size until the epoch's end",
    ),
    "inside an epoch, another seed": (
        here(found(0, 1), resume="auto", order=SampleOrder(8, 1, 35)),
        "expected --seed 0 to resume after 0 epochs and 1 step, within an epoch, got 1; change it after "
        "the epoch's end",
    ),
    "inside an epoch, another list": (
        here(found(0, 1), resume="auto", order=SampleOrder(8, 0, 34)), "a training list of 35 videos"
    ),
}  # fmt: skip


class TestDecide:
    @pytest.mark.parametrize("case", CASES)
    def test_starts(self, case: str) -> None:
        facts, start = CASES[case]
        assert decide(facts) == start

    @pytest.mark.parametrize("case", REFUSED)
    def test_refuses(self, case: str) -> None:
        facts, words = REFUSED[case]
        with pytest.raises(InputError) as caught:
            decide(facts)
        assert words in str(caught.value)


class InFolder:
    @pytest.fixture
    def folder(self, motion_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "data").symlink_to(motion_folder / "data")
        return tmp_path

    def write(self, path: Path, epoch: int, step: int = 0) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        position = {"epoch": epoch, "step": step, "global_batch_size": 8, "seed": 0, "num_videos": 35}
        torch.save({"state_dict": {"w": torch.ones(1)}, "optimizer": {}, "position": position}, path)
        return path

    def config(self, *options: str):
        return parse_train(["motion", "RGB", "--arch", "resnet10", "--num_segments", "2", "-b", "4", *options])


class TestFacts(InFolder):
    def test_of_an_empty_folder(self, folder: Path) -> None:
        config = self.config()
        assert gather_facts(config, ORDER) == replace(FRESH, folder=config.model_dir)

    def test_of_a_run(self, folder: Path) -> None:
        config = self.config("--resume", "auto", "--start-epoch", "2")
        last = self.write(config.model_dir / "last.pth.tar", 2, 1)
        (config.model_dir / "best.pth.tar").touch()
        expected = Facts(
            "auto", False, 2, False, config.model_dir, True, True, Found(2, 1, last, None, ORDER), None, ORDER, 4
        )
        assert gather_facts(config, ORDER) == expected
        assert choose_start(self.config("--resume", "auto"), ORDER) == Start(last, 2, 1, True, True, True)

    def test_a_named_file_of_the_run_however_it_is_written(self, folder: Path) -> None:
        last = self.write(self.config().model_dir / "last.pth.tar", 2)
        config = self.config("--resume", str(folder / "checkpoint" / "." / last.parent.name / last.name))
        facts = gather_facts(config, ORDER)
        assert facts.named == facts.newest == Found(2, 0, last, None, ORDER)

    def test_a_file_to_evaluate_is_not_looked_into(self, folder: Path) -> None:
        facts = gather_facts(self.config("--resume", "nowhere.pth", "-e"), SampleOrder())
        assert facts.named is None and facts.newest is None

    def test_a_named_file_must_hold_a_run(self, folder: Path) -> None:
        torch.save({"w": torch.ones(1)}, "weights.pth")
        with pytest.raises(
            InputError, match=r"weights\.pth: expected a checkpoint with an optimiser, got weights only"
        ):
            gather_facts(self.config("--resume", "weights.pth"), ORDER)

    def test_a_restart_needs_no_file_that_is_gone(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
        config = self.config("--resume", "gone.pth.tar")
        last = self.write(config.model_dir / "last.pth.tar", 1)
        assert choose_start(config, ORDER) == Start(last, 1, 0, False, True, True)


class TestSteps(InFolder):
    """Of a run that torchrun has restarted with fewer processes, and of which it remembers nothing itself."""

    @pytest.fixture(autouse=True)
    def restarted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")

    def test_are_those_of_the_newest_checkpoint(self, folder: Path) -> None:
        config = self.config()
        assert with_first_batch(config) == config
        self.write(config.model_dir / "last.pth.tar", 1, 2)
        assert with_first_batch(config) == replace(config, accumulate=2)

    def test_are_what_the_command_line_says_at_a_first_start(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("TORCHELASTIC_RESTART_COUNT")
        config = self.config()
        self.write(config.model_dir / "last.pth.tar", 1)
        assert with_first_batch(config) == config

    def test_cannot_be_made_of_any_number_of_batches(self, folder: Path) -> None:
        config = replace(self.config(), batch_size=3)
        self.write(config.model_dir / "last.pth.tar", 1, 2)
        with pytest.raises(InputError, match="expected processes that make steps of 8 videos"):
            with_first_batch(config)
