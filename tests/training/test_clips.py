"""Batches of the training list with broken videos among them."""

from pathlib import Path

import pytest
import torch

from ops.data.dataset import BrokenVideo, Clip, VideoSource
from ops.data.loaders import collate_clips
from ops.models.names import FRAMES_PER_SEGMENT
from ops.runtime.errors import InputError
from ops.settings.command_lines import parse_train
from ops.training.clips import TrainingClips, batch_sampler, open_list
from ops.training.saving.checkpoint_contents import Position

CPU = torch.device("cpu")


def clips_of(folder: Path, broken: int, *options: str, name: str = "mine") -> TrainingClips:
    """A list of eight videos whose last ``broken`` cannot be read; two a batch."""
    for number in range(8 - broken, 8):
        (folder / f"b{number}.mp4").write_bytes(b"no video")
    names = [f"{'b' if number >= 8 - broken else 'v'}{number}.mp4 {number}" for number in range(8)]
    (folder / "list.txt").write_text("\n".join(names))
    command = (
        name, "RGB", "--storage", "videos", "--root_path", str(folder), "--num_class", "8", "--num_segments", "2",
        "--input_size", "32", "-j", "0", "-b", "2", "--train_list", str(folder / "list.txt"),
        "--val_list", str(folder / "list.txt"), "--on_bad_video", "skip", *options,
    )  # fmt: skip
    config = parse_train(command)
    records = open_list(config, config.dataset.train_list)
    source = VideoSource(config.dataset, records, "pyav")
    return TrainingClips(config, source, batch_sampler(config, 8), FRAMES_PER_SEGMENT[config.model.network], CPU)


@pytest.fixture
def videos(motion_folder: Path, tmp_path: Path) -> Path:
    for number in range(8):
        (tmp_path / f"v{number}.mp4").symlink_to(motion_folder / f"data/motion/videos/train/{number:05d}.mp4")
    return tmp_path


class TestTrainingClips:
    def test_flips_of_tsm(self, videos: Path) -> None:
        """None on Something-Something unless --flip on asks for them, which draws the same clips otherwise."""
        names = ["to the left", "to the right", *map(str, range(2, 8))]
        (videos / "classes.txt").write_text("\n".join(names))
        options = ("--model", "tsm", "--class_names", str(videos / "classes.txt"))
        runs = [
            list(clips_of(videos, 0, *options, *more, name=name).batches(Position()))
            for name, more in (("something", ()), ("something", ("--flip", "on")), ("mine", ()))
        ]
        as_published, flipped, elsewhere = (
            {v: seen for b in run for v, *seen in zip(b.videos, b.pixels, b.labels.tolist(), strict=True)}
            for run in runs
        )
        assert [as_published[video][1] for video in range(8)] == list(range(8))
        swapped = 0
        for video, (pixels, label) in flipped.items():
            assert torch.equal(pixels, elsewhere[video][0]) and label == elsewhere[video][1]
            plain = as_published[video][0]
            mirrored = not torch.equal(pixels, plain)
            swapped += mirrored
            assert torch.equal(pixels, plain.flip(-1) if mirrored else plain)
            assert label == ({0: 1, 1: 0}.get(video, video) if mirrored else video)
        assert 0 < swapped < 8

    def test_from_the_position_to_the_end_of_its_epoch(self, videos: Path) -> None:
        clips = clips_of(videos, 0)
        whole = [batch.videos for batch in clips.batches(Position(1, 0))]
        assert [len(batch) for batch in whole] == [2, 2, 2, 2] and sorted(sum(whole, ())) == list(range(8))
        assert [batch.videos for batch in clips.batches(Position(1, 3))] == whole[3:]

    def test_another_video_takes_the_place_of_a_broken_one(self, videos: Path) -> None:
        clips = clips_of(videos, 2, "--max_bad", "1")
        batches = list(clips.batches(Position()))
        assert [batch.pixels.shape[0] for batch in batches] == [2, 2, 2, 2]
        assert not any(batch.missing for batch in batches) and set(clips.bad.reasons) == {6, 7}

    def test_where_none_can_take_it_training_ends(self, videos: Path) -> None:
        clips = clips_of(videos, 8, "--max_bad", "1")
        with pytest.raises(InputError, match=r"b\d\.mp4"):
            list(clips.batches(Position()))


class TestMissing:
    def test_only_what_has_no_clip_in_its_place(self) -> None:
        replaced, gone = BrokenVideo(3, "cut off"), BrokenVideo(5, "not there")
        clip = Clip(torch.zeros(2, 5, 3, 4, 4, dtype=torch.uint8), 1, 2, (replaced,))
        batch = collate_clips([clip, gone])
        assert batch.broken == (replaced, gone) and batch.missing == (gone,) and batch.videos == (2,)
        assert collate_clips([clip]).missing == ()
