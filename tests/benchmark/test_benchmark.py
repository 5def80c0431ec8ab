"""The benchmarks run and say what they measured; their yardstick of loading reads what this project reads."""

import json
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ops.benchmark.loading import ClipShape
from ops.benchmark.presets import PREPARED, preset_sides, quality
from ops.benchmark.scores import score_views
from ops.data.dataset import BrokenVideo, Clip, SampleKey, TestVideos, TrainClips, VideoSource
from ops.data.dataset_config import DatasetOptions, DatasetSpec, resolve_dataset
from ops.data.sampling import FrameSampler
from ops.data.transforms import TestTransform, TrainTransform
from ops.data.video_list import VideoRecord
from ops.preparation.presets import VideoSettings
from ops.preparation.resizing import resize_video
from tests import media
from tests.clip_files import natural_picture
from tests.commands import run_script
from tests.oracle import naive_loader

SIDE = 64
GREY_LEVEL = 1.001 / 255 / min(naive_loader.STD)
needs_decord = pytest.mark.skipif(not media.decoder_loads("decord"), reason="decord is not installed here")


def _spec(root: Path, storage: str) -> DatasetSpec:
    (root / "list.txt").write_text("a 0\n")
    return resolve_dataset(
        DatasetOptions(
            name="some", root_path=str(root), train_list="list.txt", val_list="list.txt", num_class=2,
            class_names=None, image_tmpl="{:05d}.jpg", storage=storage, split=None, dataset_config=None,
        )
    )  # fmt: skip


def _normalised(pixels: Tensor) -> Tensor:
    """uint8 (T, F, 3, s, s) as the published code's (T*15, s, s)."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (naive_loader.MEAN, naive_loader.STD))
    return ((pixels / 255 - mean) / std).flatten(0, 2)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return media.make_video(tmp_path_factory.mktemp("video") / "v.mp4", 40, (112, 84))


class TestNaiveLoader:
    @needs_decord
    @pytest.mark.parametrize("epoch", range(6))
    def test_training_clips_of_a_video(self, video: Path, epoch: int) -> None:
        source = VideoSource(_spec(video.parent, "videos"), [VideoRecord("v.mp4", None, 0)], "pyav")
        clip = TrainClips(source, 3, FrameSampler(5), TrainTransform(SIDE, (0, 1)), 7)[SampleKey(epoch, 0)]
        assert isinstance(clip, Clip)
        rng = np.random.default_rng((7, epoch, 0))
        frames = naive_loader.video_frames(video, lambda n: naive_loader.train_offsets(n, 3, rng))
        expected = naive_loader.train_clip(frames, SIDE, rng)
        assert (_normalised(clip.pixels) - expected).abs().max() < GREY_LEVEL

    @pytest.mark.parametrize("epoch", range(3))
    def test_training_clips_of_a_folder(self, video: Path, tmp_path: Path, epoch: int) -> None:
        (tmp_path / "f").mkdir()
        for number, (_, picture) in enumerate(media.frames_of(video), 1):
            Image.fromarray(picture).save(tmp_path / "f" / f"{number:05d}.jpg")
        source = VideoSource(_spec(tmp_path, "frames"), [VideoRecord("f", 40, 0)], "pyav")
        per_segment = (5, 1, 5)[epoch]
        clip = TrainClips(source, 4, FrameSampler(per_segment), TrainTransform(SIDE, (0, 1)), 1)[SampleKey(epoch, 0)]
        assert isinstance(clip, Clip)
        rng = np.random.default_rng((1, epoch, 0))

        def choose(length: int) -> list[int]:
            return naive_loader.train_offsets(length, 4, rng, per_segment)

        frames = naive_loader.folder_frames(tmp_path / "f", 40, choose, per_segment)
        expected = naive_loader.train_clip(frames, SIDE, rng)
        assert (_normalised(clip.pixels) - expected).abs().max() < GREY_LEVEL

    @needs_decord
    @pytest.mark.parametrize("clip", [0, 2])
    def test_three_crops(self, video: Path, clip: int) -> None:
        source = VideoSource(_spec(video.parent, "videos"), [VideoRecord("v.mp4", None, 0)], "pyav")
        ours = TestVideos(source, [(3, FrameSampler(5))], TestTransform(SIDE, SIDE, 3), (clip,), 3)[0]
        assert not isinstance(ours, BrokenVideo)
        frames = naive_loader.video_frames(video, lambda n: naive_loader.test_offsets(n, 3, clip, 3, 5))
        for crop, expected in enumerate(naive_loader.three_crops(frames, SIDE, SIDE)):
            assert (_normalised(ours.view(0, 0, crop)) - expected).abs().max() < GREY_LEVEL


class TestBenchmark:
    @pytest.mark.parametrize(
        "command",
        [
            ("model", "--model", "tsm", "--segments", "2", "--input_size", "32", "--batch_size", "1"),
            pytest.param(("loader", "--model", "tsm", "--input_size", "64", "--videos", "v.mp4"), marks=needs_decord),
            ("augment", "--model", "tsm", "--input_size", "64", "--videos", "v.mp4"),
            ("test", "--input_size", "64", "--videos", "v.mp4"),
        ],
        ids=lambda command: command[0],
    )
    def test_compares_sides(self, tmp_path: Path, video: Path, command: tuple[str, ...]) -> None:
        (tmp_path / "v.mp4").symlink_to(video)
        done = run_script(
            "scripts/benchmarks/benchmark.py", *command, "--rounds", "2", "--json", "figures.json", cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        figures = json.loads((tmp_path / "figures.json").read_text())
        assert figures["machine"]["packages"]["torch"] == torch.__version__
        assert figures["machine"]["python"] == sys.version.split()[0]
        for comparison in figures["comparisons"]:
            assert len(comparison["sides"]) >= 2
            assert comparison["sides"][comparison["yardstick"]]["of_yardstick"] == 1
            for side, times in comparison["sides"].items():
                assert len(times["rounds"]) == 2
                assert 0 < times["least"] <= times["median"] <= times["most"]
                assert f"{side} " in done.stdout

    def test_scores_files(self, tmp_path: Path) -> None:
        done = run_script("scripts/benchmarks/benchmark.py", "scores", "--num_videos", "40", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "seconds of pkl_to_results.py" in done.stdout
        assert 10 < int(done.stdout.split("its most memory in MB: ")[1]) < 1500

    def test_lists(self, tmp_path: Path) -> None:
        done = run_script("scripts/benchmarks/benchmark.py", "lists", "--num_videos", "5000", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "videos in the list: 5000\nseconds to read it: " in done.stdout
        assert 10 < int(done.stdout.split("most memory of the process in MB: ")[1]) < 500

    def test_memory_is_that_of_the_script(self) -> None:
        """Not that of the process that starts it, which has more."""
        held = bytearray(b"x") * (600 << 20)
        found = score_views(2)["its most memory in MB"]
        assert 10 < found < 500 and len(held) >> 20 > found

    @pytest.mark.slow
    def test_a_training_step_has_two_times_and_two_peaks(self, tmp_path: Path) -> None:
        command = ("train", "--model", "tsm", "--segments", "2", "--input_size", "32", "--batch_size", "2")
        done = run_script(
            "scripts/benchmarks/benchmark.py", *command, "--rounds", "1", "--json", "f.json", cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        figures = json.loads((tmp_path / "f.json").read_text())
        (times,) = (comparison["sides"] for comparison in figures["comparisons"])
        for side in ("oracle", "network"):
            assert times[side]["median"] > 0 and figures["peak_memory_mb"][side] > 100

    @pytest.mark.parametrize(
        ("command", "said"),
        [
            (("model", "--rounds", "0"), "--rounds"),
            (("loader", "--videos", "nowhere.mp4"), "nowhere.mp4: expected a video file, got nothing there"),
            (("test", "--videos", "text.mp4"), "text.mp4: expected a video"),
            (("loader", "--json", "nowhere/figures.json"), "expected --json FILE in an existing folder"),
            (("model", "--device", "cuda"), "expected a GPU for --device cuda, got none"),  # runs see no GPU
        ],
    )
    def test_bad_input(self, tmp_path: Path, command: tuple[str, ...], said: str) -> None:
        (tmp_path / "text.mp4").write_text("no video\n")
        done = run_script("scripts/benchmarks/benchmark.py", *command, cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1 and said in done.stderr


class TestPresets:
    def test_quality_is_that_of_the_pixels(self, tmp_path: Path) -> None:
        """Against NumPy: PSNR of the mean squared error of brightness and colours; what is the same is the same."""
        source = tmp_path / "v.mp4"
        with av.open(str(source), "w") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
            for seed in range(3):
                picture = natural_picture(64, 96, seed)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
        resize_video(VideoSettings(64, 4, 30, "ultrafast"), False, source, tmp_path / "w.mp4", 1)
        psnr, ssim = quality(source, tmp_path / "w.mp4")
        errors = []
        with av.open(str(source)) as one, av.open(str(tmp_path / "w.mp4")) as other:
            for a, b in zip(one.decode(video=0), other.decode(video=0), strict=True):
                errors.append(((a.to_ndarray().astype(float) - b.to_ndarray()) ** 2).mean())
        assert abs(psnr - 10 * np.log10(255**2 / np.mean(errors))) < 0.2
        assert 0.8 < ssim < 1
        assert quality(source, source)[1] == 1.0

    def test_every_preset_is_read(self, tmp_path: Path, video: Path) -> None:
        found: dict[str, str] = {}
        ((_, yardstick, sides),) = [
            (title, first, {name: work() for name, work in sides.items()})
            for title, first, sides in preset_sides([video], ClipShape(2, 1, 64), found)
        ]
        assert yardstick == "as it came, rgb" and len(sides) == 8
        assert set(found) == {f"v.mp4, {name}" for name in ("as it came", *PREPARED)}
        assert "PSNR" in found["v.mp4, training"]
