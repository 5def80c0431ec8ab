"""The same samples, counts and files whatever the number of workers and processes, and after an interruption."""

import signal
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ops.data.dataset import TrainClips, VideoSource
from ops.data.loaders import train_loader
from ops.data.samplers import TrainBatchSampler
from ops.data.sampling import FrameSampler
from ops.data.transforms import TrainTransform
from ops.data.video_list import read_list
from ops.settings.command_lines import parse_train
from tests.commands import REPOSITORY, SMALL_TRAINING, run_ranks, run_script, succeeded

RUN = "MSN_motion_RGB_resnet10_avg_segment2"
CPU = torch.device("cpu")
Samples = list[tuple[Tensor, Tensor, tuple[int, ...]]]


def samples(
    dataset: TrainClips, workers: int, batch: int, rank: int = 0, world: int = 1, accumulate: int = 1
) -> Samples:
    """Pixels, labels and places of every batch of one process in two epochs, the second from its second step on."""
    sampler = TrainBatchSampler(len(dataset), batch, accumulate, rank, world, seed=7)
    loader = train_loader(dataset, sampler, workers, CPU, 600)
    found = []
    for epoch, step in ((0, 0), (3, 1)):
        sampler.set_position(epoch, step)
        found += [(batch.pixels, batch.labels, batch.videos) for batch in loader]
    return found


def same(one: Samples, other: Samples) -> bool:
    return len(one) == len(other) and all(
        torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) and a[2] == b[2] for a, b in zip(one, other, strict=True)
    )


@pytest.fixture(scope="module")
def dataset(motion_folder: Path) -> TrainClips:
    """The 16 training videos of the motion set, with flips that swap labels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(motion_folder)
        spec = parse_train(["motion", "RGB", "--root_path", str(motion_folder / "data/motion")]).dataset
        records = read_list(spec.train_list, spec)
    transform = TrainTransform(32, spec.mirror_labels())
    return TrainClips(VideoSource(spec, records, "pyav"), 2, FrameSampler(5), transform, seed=7)


@pytest.fixture(scope="module")
def alone(dataset: TrainClips) -> Samples:
    """Without workers, in one process."""
    found = samples(dataset, 0, 4)
    assert len(found) == 7 and found[0][0].shape == (4, 2, 5, 3, 32, 32)
    drawn = {video: [p for pixels, _, videos in found for p, v in zip(pixels, videos, strict=True) if v == video]
             for video in found[4][2]}  # fmt: skip
    assert any(len(p) == 2 and not torch.equal(*p) for p in drawn.values())  # another draw in another epoch
    return found


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
class TestTrainingSamples:
    @pytest.mark.parametrize("workers", [1, 4])
    def test_any_number_of_workers(self, dataset: TrainClips, alone: Samples, workers: int) -> None:
        assert same(samples(dataset, workers, 4), alone)

    @pytest.mark.parametrize("workers", [0, 1])
    def test_two_processes_of_half_the_batch(self, dataset: TrainClips, alone: Samples, workers: int) -> None:
        """Step by step, the two processes' samples together are those of one process."""
        halves = [samples(dataset, workers, 2, rank, 2) for rank in range(2)]
        together = [
            (torch.cat([a[0], b[0]]), torch.cat([a[1], b[1]]), a[2] + b[2]) for a, b in zip(*halves, strict=True)
        ]
        assert same(together, alone)

    def test_half_a_batch_accumulated(self, dataset: TrainClips, alone: Samples) -> None:
        parts = iter(samples(dataset, 0, 2, accumulate=2))
        together = [
            (torch.cat([a[0], b[0]]), torch.cat([a[1], b[1]]), a[2] + b[2])
            for a, b in iter(lambda: tuple(islice(parts, 2)), ())
        ]
        assert same(together, alone)


class TestValidation:
    @pytest.mark.parametrize("processes", [2, 3])
    def test_any_number_of_processes(self, trained_folder: Path, processes: int) -> None:
        """7 videos, 2 a batch: no number of processes divides them; one gets no batch more than another or just one."""
        arguments = (
            "motion",
            "RGB",
            *SMALL_TRAINING,
            "-b",
            "2",
            "-j",
            "0",
            "-e",
            "--resume",
            f"checkpoint/{RUN}/last.pth.tar",
        )
        alone = succeeded(run_script("main.py", *arguments, cwd=trained_folder))
        several = succeeded(run_ranks(processes, "main.py", *arguments, cwd=trained_folder))
        reported = [output.split("validation: ")[1].strip() for output in (alone, several)]
        assert reported[0] == reported[1] and "(7 videos)" in reported[0]


class TestInterruptedTest:
    def test_goes_on_where_it_was_killed(self, trained_folder: Path) -> None:
        """Killed while the fourth of seven videos is written down; the files are those of an uninterrupted run."""
        script = "test_models_center_crop.py"
        options = (
            "motion", "--archs", "resnet10", "--weights", f"checkpoint/{RUN}/best.pth.tar", "--test_segments=2",
            "--input_size", "32", "--batch_size=2", "-j", "1", "--output_dir",
        )  # fmt: skip
        succeeded(run_script(script, *options, "whole", cwd=trained_folder))
        killing = ("tests/processes/at_call.py", "score_journal.append:4", "SIGKILL", str(REPOSITORY / script))
        killed = run_script(*killing, *options, "interrupted", cwd=trained_folder)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        folder = trained_folder / "interrupted"
        assert list(folder.glob("*.pkl")) == []
        refused = run_script(script, *options, "interrupted", cwd=trained_folder)
        assert refused.returncode == 2 and "--resume_scores" in refused.stderr
        output = succeeded(run_script(script, *options, "interrupted", "--resume_scores", cwd=trained_folder))
        assert "3 of 7 videos are already scored" in output
        assert {p.name for p in folder.iterdir()} == {"0_crop0.pkl", "0_crop0.json"}
        for path in folder.iterdir():
            assert path.read_bytes() == (trained_folder / "whole" / path.name).read_bytes()
