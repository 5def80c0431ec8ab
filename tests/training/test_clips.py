"""Batches of the training list with broken videos among them."""

from pathlib import Path

import pytest
import torch

from ops.data.dataset import BrokenVideo, Clip, VideoSource
from ops.data.loaders import collate_clips
from ops.runtime.errors import InputError
from ops.settings.command_lines import parse_train
from ops.training.clips import TrainingClips, batch_sampler, open_list
from ops.training.saving.checkpoint_contents import Position

CPU = torch.device("cpu")


def clips_of(folder: Path, broken: int, *options: str) -> TrainingClips:
    """A list of eight videos whose last ``broken`` cannot be read; two a batch."""
    for number in range(8 - broken, 8):
        (folder / f"b{number}.mp4").write_bytes(b"no video")
    names = [f"{'b' if number >= 8 - broken else 'v'}{number}.mp4 {number}" for number in range(8)]
    (folder / "list.txt").write_text("\n".join(names))
    command = (
        "mine", "RGB", "--storage", "videos", "--root_path", str(folder), "--num_class", "8", "--num_segments", "2",
        "--input_size", "32", "-j", "0", "-b", "2", "--train_list", str(folder / "list.txt"),
        "--val_list", str(folder / "list.txt"), "--on_bad_video", "skip", *options,
    )  # fmt: skip
    config = parse_train(command)
    records = open_list(config, config.dataset.train_list)
    source = VideoSource(config.dataset, records, "pyav")
    return TrainingClips(config, source, batch_sampler(config, 8), 5, CPU)


@pytest.fixture
def videos(motion_folder: Path, tmp_path: Path) -> Path:
    for number in range(8):
        (tmp_path / f"v{number}.mp4").symlink_to(motion_folder / f"data/motion/videos/train/{number:05d}.mp4")
    return tmp_path


class TestTrainingClips:
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
