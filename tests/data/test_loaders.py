"""Which samples make a batch, in which process: counted, and compared over numbers of processes."""

from collections.abc import Iterable, Iterator
from itertools import chain, product

import numpy as np
import pytest
import torch

from ops.data.dataset import BrokenVideo, Clip, SampleKey, TestVideos, VideoSource
from ops.data.dataset import TestVideo as VideoViews
from ops.data.loaders import collate_clips, collate_first_view, validation_loader
from ops.data.loaders import test_loader as loader_of_tests
from ops.data.samplers import ListBatchSampler, TrainBatchSampler
from ops.data.sampling import FrameSampler
from ops.data.transforms import Box
from ops.data.transforms import TestTransform as TransformOfTests
from ops.data.video_list import VideoRecord
from ops.runtime.errors import InputError
from tests.clip_files import make_spec, write_folder

GLOBAL = 12  # videos a step
SPLITS = [(world, accumulate, GLOBAL // world // accumulate) for world in (1, 2, 4) for accumulate in (1, 3)]


def flat(lists: Iterable[list[int]]) -> list[int]:
    return list(chain.from_iterable(lists))


def steps_of(
    num_videos: int, world: int, accumulate: int, batch: int, epoch: int = 0, first_step: int = 0, seed: int = 0
) -> list[list[int]]:
    """The videos of each optimiser step, gathered from all processes: by accumulated batch, then by rank."""
    per_rank = []
    for rank in range(world):
        sampler = TrainBatchSampler(num_videos, batch, accumulate, rank, world, seed)
        sampler.set_position(epoch, first_step)
        batches = list(sampler)
        assert len(batches) == len(sampler)
        assert all(len(b) == batch for b in batches)
        assert all(key.epoch == epoch for b in batches for key in b)
        per_rank.append([[key.video for key in b] for b in batches])
    rounds = [flat(together) for together in zip(*per_rank, strict=True)]  # one batch of each process
    return [flat(rounds[i : i + accumulate]) for i in range(0, len(rounds), accumulate)]


class TestTrainBatchSampler:
    @pytest.mark.parametrize("num_videos", [12, 35, 36, 100])
    def test_the_same_steps_for_any_number_of_processes(self, num_videos: int) -> None:
        expected = steps_of(num_videos, 1, 1, GLOBAL)
        assert len(expected) == num_videos // GLOBAL
        for world, accumulate, batch in SPLITS:
            assert steps_of(num_videos, world, accumulate, batch) == expected

    @pytest.mark.parametrize(("world", "accumulate", "batch"), SPLITS)
    def test_every_video_at_most_once_an_epoch(self, world: int, accumulate: int, batch: int) -> None:
        seen = flat(steps_of(50, world, accumulate, batch))
        assert len(seen) == len(set(seen)) == 48  # whole steps only
        assert set(seen) <= set(range(50))

    def test_left_out_videos_change_by_epoch(self) -> None:
        left_out = [set(range(50)) - set(flat(steps_of(50, 2, 1, 6, epoch))) for epoch in range(40)]
        assert len(set().union(*left_out)) > 25

    def test_order_follows_from_seed_and_epoch(self) -> None:
        orders = {(s, e): str(steps_of(100, 1, 1, 4, epoch=e, seed=s)) for s, e in product(range(3), repeat=2)}
        assert len(set(orders.values())) == 9
        for (seed, epoch), order in orders.items():
            assert str(steps_of(100, 1, 1, 4, epoch=epoch, seed=seed)) == order

    def test_order_is_a_fair_shuffle(self) -> None:
        """Every video comes first about equally often."""
        firsts = [steps_of(8, 1, 1, 8, epoch)[0][0] for epoch in range(800)]
        counts = np.bincount(firsts, minlength=8)
        assert counts.min() > 60 and counts.max() < 145  # 100 expected, standard deviation 9.4

    @pytest.mark.parametrize(("world", "accumulate", "batch"), SPLITS)
    def test_position_resumes_at_exactly_the_next_step(self, world: int, accumulate: int, batch: int) -> None:
        whole = steps_of(75, world, accumulate, batch, epoch=3)
        for done in range(len(whole) + 1):
            assert steps_of(75, world, accumulate, batch, epoch=3, first_step=done) == whole[done:]

    def test_one_sampler_over_several_epochs(self) -> None:
        sampler = TrainBatchSampler(10, 2, 1, 0, 1, seed=1)

        def epoch(number: int, step: int = 0) -> list[list[SampleKey]]:
            sampler.set_position(number, step)
            return list(sampler)

        first = epoch(0)
        assert epoch(1) != first
        assert epoch(0) == first
        assert epoch(0, 3) == first[3:]
        assert len(first) == sampler.steps_per_epoch == 5

    @pytest.mark.parametrize(
        ("num_videos", "batch", "accumulate", "world"), [(0, 1, 1, 1), (7, 8, 1, 1), (15, 2, 2, 4)]
    )
    def test_list_smaller_than_a_step(self, num_videos: int, batch: int, accumulate: int, world: int) -> None:
        with pytest.raises(InputError) as caught:
            TrainBatchSampler(num_videos, batch, accumulate, 0, world, 0)
        for word in (str(num_videos), str(batch * accumulate * world), f"{batch} videos x {world} processes"):
            assert word in str(caught.value)

    def test_list_of_exactly_one_step(self) -> None:
        assert sorted(steps_of(16, 4, 2, 2)[0]) == list(range(16))


class TestListBatchSampler:
    @pytest.mark.parametrize("num_videos", [1, 5, 16, 17, 33])
    @pytest.mark.parametrize("batch", [1, 4, 16, 50])
    @pytest.mark.parametrize("world", [1, 2, 3, 8])
    def test_every_video_once_and_batches_of_one_process(self, num_videos: int, batch: int, world: int) -> None:
        alone = list(ListBatchSampler(num_videos, batch, 0, 1))
        assert flat(alone) == list(range(num_videos))
        assert all(len(b) == batch for b in alone[:-1])
        shares = [ListBatchSampler(num_videos, batch, rank, world) for rank in range(world)]
        assert sorted(v for share in shares for b in share for v in b) == list(range(num_videos))
        for rank, share in enumerate(shares):
            assert len(share) == len(list(share))
            for number, b in enumerate(share):
                assert b == alone[number * world + rank]  # a batch holds what it holds with one process
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


def clips() -> Iterator[Clip]:
    for video, label in ((4, 1), (9, 0), (2, 3)):
        yield Clip(torch.full((2, 5, 3, 4, 4), video, dtype=torch.uint8), label, video)


class TestCollate:
    def test_clips_in_order(self) -> None:
        batch = collate_clips(list(clips()))
        assert batch.pixels is not None
        assert batch.pixels.shape == (3, 2, 5, 3, 4, 4) and batch.pixels.dtype == torch.uint8
        assert batch.pixels[:, 0, 0, 0, 0, 0].tolist() == [4, 9, 2]
        assert batch.labels.tolist() == [1, 0, 3] and batch.labels.dtype == torch.long
        assert batch.videos == (4, 9, 2)
        assert batch.broken == ()

    def test_broken_videos_are_handed_on_and_replaced_by_nothing(self) -> None:
        broken = BrokenVideo(7, "v.mp4: expected a video")
        a, b, c = clips()
        batch = collate_clips([a, broken, b, c])
        assert batch.pixels is not None and len(batch.pixels) == 3
        assert batch.videos == (4, 9, 2)
        assert batch.broken == (broken,)

    def test_nothing_but_broken_videos(self) -> None:
        batch = collate_clips([BrokenVideo(7, "x"), BrokenVideo(8, "y")])
        assert batch.pixels is None
        assert len(batch.labels) == 0 and batch.videos == ()
        assert [b.video for b in batch.broken] == [7, 8]

    def test_first_view(self) -> None:
        frames = torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1).expand(6, 3, 8, 8)
        places = np.array([[[0, 1, 2, 3, 4], [1, 2, 3, 4, 5]], [[5] * 5, [5] * 5]])  # (clips, T, F)
        video = VideoViews(frames, (places,), (Box(2, 2, 4, 4), Box(0, 0, 4, 4)), 3, 11)
        broken = BrokenVideo(12, "x")
        batch = collate_first_view([video, broken])
        assert batch.pixels is not None
        assert batch.pixels.shape == (1, 2, 5, 3, 4, 4)
        assert batch.pixels[0, :, :, 0, 0, 0].tolist() == places[0].tolist()
        assert (batch.labels.tolist(), batch.videos, batch.broken) == ([3], (11,), (broken,))


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> TestVideos:
    """Seven folders of 8 images, the fourth of which is not there."""
    root = tmp_path_factory.mktemp("folders")
    for i in (0, 1, 2, 4, 5, 6):
        write_folder(root / str(i), 8)
    records = [VideoRecord(str(i), 8, i % 4) for i in range(7)]
    source = VideoSource(make_spec(root, "frames"), records, "pyav")
    return TestVideos(source, [(2, FrameSampler(5))], TransformOfTests(36, 32, 1))


CPU = torch.device("cpu")


class TestLoaders:
    @pytest.mark.parametrize("workers", [0, 2])
    def test_validation_sees_every_video_once(self, views: TestVideos, workers: int) -> None:
        alone = list(validation_loader(views, 2, 0, CPU, 0, 1, 0))
        assert [b.videos for b in alone] == [(0, 1), (2,), (4, 5), (6,)]
        assert [[broken.video for broken in b.broken] for b in alone] == [[], [3], [], []]
        assert all(b.labels.tolist() == [v % 4 for v in b.videos] for b in alone)
        shares = [list(validation_loader(views, 2, workers, CPU, rank, 2, 0)) for rank in range(2)]
        assert [len(share) for share in shares] == [2, 2]
        for number, expected in enumerate(alone):
            batch = shares[number % 2][number // 2]
            assert batch.videos == expected.videos and batch.broken == expected.broken
            assert torch.equal(batch.pixels, expected.pixels)

    def test_testing_gets_whole_videos(self, views: TestVideos) -> None:
        batches = list(loader_of_tests(views, ListBatchSampler(7, 3, 0, 1), 0, CPU, 0))
        assert [[item.video for item in batch] for batch in batches] == [[0, 1, 2], [3, 4, 5], [6]]
        assert [type(item) for item in batches[1]] == [BrokenVideo, VideoViews, VideoViews]
