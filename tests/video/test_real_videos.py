"""Training and both test scripts on real videos: whatever lies in the folder that MSN_REAL_VIDEOS names."""

import functools
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ops.data.dataset import SampleKey, TrainClips, VideoSource
from ops.data.loaders import collate_clips
from ops.data.sampling import FrameSampler
from ops.data.transforms import TrainTransform
from ops.data.video_list import VideoRecord
from tests.clip_files import make_spec
from tests.commands import run_script, succeeded

FOLDER = os.environ.get("MSN_REAL_VIDEOS")
SUFFIXES = {".mp4", ".avi", ".mkv", ".mov", ".webm"}
SMALL = ("--num_segments", "4", "--input_size", "64", "--pretrain", "none", "-b", "1", "-j", "2", "--print-freq", "1")
RUN = "MSN_real_RGB_resnet10_avg_segment4"

pytestmark = pytest.mark.skipif(FOLDER is None, reason="MSN_REAL_VIDEOS names no folder of videos")


@pytest.fixture(scope="module")
def real_folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, tuple[str, ...]]:
    """A folder with a list of the real videos, each a class of its own; their number; the data set's options."""
    videos = sorted(p.name for p in Path(str(FOLDER)).iterdir() if p.suffix in SUFFIXES)
    assert videos, f"{FOLDER} holds no videos"
    folder = tmp_path_factory.mktemp("real")
    (folder / "list.txt").write_text("".join(f"{name} {label}\n" for label, name in enumerate(videos)))
    options = (
        "--storage", "videos", "--root_path", str(FOLDER), "--train_list", "list.txt", "--val_list", "list.txt",
        "--num_class", str(max(len(videos), 2)),
    )  # fmt: skip
    return folder, len(videos), options


@pytest.fixture(scope="module")
def scored(real_folder) -> Callable[[str], tuple[Path, Path]]:
    """Trains and tests with a decoder, once: folders of the scores of one view and of thirty."""
    folder, count, options = real_folder

    @functools.cache
    def train_and_test(decoder: str) -> tuple[Path, Path]:
        run = f"{RUN}_{decoder}"
        train = ("real", "RGB", *options, *SMALL, "--arch", "resnet10", "--epochs", "1", "--suffix", decoder)
        output = succeeded(run_script("main.py", *train, "--decoder", decoder, cwd=folder))
        assert f"step {count}/{count}" in output and f"real list.txt ({count} videos)" in output

        test = (
            "real", *options, "--archs", "resnet10", "--weights", f"checkpoint/{run}/best.pth.tar", "--test_segments",
            "4", "--input_size", "64", "-j", "2", "--decoder", decoder,
        )  # fmt: skip
        centre, three = f"centre_{decoder}", f"three_{decoder}"
        succeeded(run_script("test_models_center_crop.py", *test, "--output_dir", centre, cwd=folder))
        every = ("--clip_index", "all", "--output_dir", three)
        succeeded(run_script("test_models_three_crops.py", *test, *every, cwd=folder))
        return folder / centre, folder / three

    return train_and_test


@pytest.mark.parametrize("decoder", ["decord", "pyav"])
def test_trains_and_tests_on_real_videos(real_folder, scored, decoder):
    folder, count, _ = real_folder
    for (clips, crops), output_dir in zip((("1", "1"), ("10", "3")), scored(decoder), strict=True):
        results = ("--num_clips", clips, "--test_crops", crops, "--output_dir", str(output_dir))
        assert f"({count} videos)" in succeeded(run_script("pkl_to_results.py", *results, cwd=folder))


def test_decoders_lead_to_the_same_scores(scored):
    """Every pickle of one is the other's."""
    for views, *folders in zip((1, 30), scored("decord"), scored("pyav"), strict=True):
        decord, pyav = (sorted(folder.glob("*.pkl")) for folder in folders)
        assert len(decord) == len(pyav) == views
        assert [p.read_bytes() for p in decord] == [p.read_bytes() for p in pyav]


def test_yuv_is_rgb_within_two_grey_levels(real_folder):
    folder, _, _ = real_folder
    spec = make_spec(folder)
    for path in sorted(p for p in Path(str(FOLDER)).iterdir() if p.suffix in SUFFIXES):
        records = [VideoRecord(str(path.absolute()), None, 0)]
        rgb, yuv = (VideoSource(spec, records, "pyav", None, pixels) for pixels in ("rgb", "yuv"))
        short = min(rgb.open(0).get_frames(np.array([0])).shape[1:3])
        transform = TrainTransform(short * 7 // 8, (0, 1, 2, 3))
        clips = [TrainClips(source, 8, FrameSampler(5), transform, 0) for source in (rgb, yuv)]
        for epoch in range(6):
            one, other = (collate_clips([c[SampleKey(epoch, 0)]]).to(torch.device("cpu"))[0] for c in clips)
            assert (one.int() - other.int()).abs().max() <= 2, path.name
