"""resize_videos.py: sizes, key frames, times, verification, failures."""

from __future__ import annotations

import json
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ops.preparation import resizing
from ops.preparation.frame_stream import UnusableVideo
from ops.preparation.presets import PRESETS, VideoSettings
from ops.preparation.resizing import verify
from ops.preparation.scaling import scaled_size
from tests import media

SETTINGS = VideoSettings(short_side=48, gop=4, crf=18, preset="ultrafast")
UNEVEN = [0, 10, 11, 40, 90, 91]


def resize(videos: Path, out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return media.run(
        "resize_videos.py", videos, out, "-j", "2", "--preset", "archive", "--x264_preset", "ultrafast", *arguments
    )


@pytest.fixture(scope="module")
def resized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run over videos of every kind to a short side of 48; its folder, with the result in `result.txt`."""
    root = tmp_path_factory.mktemp("resize")
    videos = root / "videos"
    media.make_video(videos / "wide.mp4", 20, (128, 96), sound=True)
    media.make_video(videos / "some class" / "portrait.mkv", 9, (96, 160))
    media.make_video(videos / "odd.avi", 7, (99, 75), codec="mpeg4")
    media.make_video(videos / "small.avi", 5, (41, 33), codec="mpeg4")
    media.make_video(videos / "uneven.mp4", 6, times=UNEVEN, time_base=Fraction(1, 100), options={"bf": "0"})
    media.make_video(videos / "full_range.mp4", 3, pix_fmt="yuvj420p")
    media.turn_by_metadata(media.make_video(videos / "turned.mp4", 3, (96, 64)), media.QUARTER_TURN)
    media.make_sound(videos / "sound.m4v")
    (videos / "text.mp4").write_text("no video")
    result = resize(videos, root / "out", "--short_side", "48", "--gop", "4", "--crf", "18")
    (root / "result.txt").write_text(f"{result.returncode}\n{result.stdout}\n{result.stderr}", encoding="utf-8")
    return root


class TestOutput:
    @pytest.mark.parametrize(
        ("name", "count", "size"),
        [
            ("wide", 20, (64, 48)),
            ("some class/portrait", 9, (48, 80)),
            ("odd", 7, (64, 48)),
            ("small", 5, (40, 32)),  # never enlarged, even sizes
            ("uneven", 6, (64, 48)),
            ("full_range", 3, (64, 48)),
        ],
    )
    def test_every_frame_once_in_order_at_the_size(
        self, resized: Path, name: str, count: int, size: tuple[int, int]
    ) -> None:
        pictures = [picture for _, picture in media.frames_of(resized / "out" / f"{name}.mp4")]
        assert media.numbers(pictures) == list(range(count))
        assert {picture.shape for picture in pictures} == {(size[1], size[0], 3)}

    def test_h264_without_sound(self, resized: Path) -> None:
        with av.open(str(resized / "out" / "wide.mp4")) as container:
            assert [stream.type for stream in container.streams] == ["video"]
            assert container.streams.video[0].codec_context.name == "h264"
            assert container.streams.video[0].pix_fmt == "yuv420p"

    def test_key_frames_are_at_most_a_gop_apart(self, resized: Path) -> None:
        with av.open(str(resized / "out" / "wide.mp4")) as container:
            keys = [place for place, frame in enumerate(container.decode(video=0)) if frame.key_frame]
        assert keys[0] == 0
        assert np.diff([*keys, 20]).max() <= 4

    def test_uneven_times_are_kept(self, resized: Path) -> None:
        times = [time for time, _ in media.frames_of(resized / "out" / "uneven.mp4")]
        assert times == [Fraction(time, 100) for time in UNEVEN]

    def test_upright_without_a_note(self, resized: Path) -> None:
        pictures = [picture for _, picture in media.frames_of(resized / "out" / "turned.mp4")]
        expected = np.rot90(media.numbered_picture(2, 72, 48), -1)
        assert pictures[2].shape == expected.shape
        assert np.abs(pictures[2].astype(int) - expected).mean() < 12
        with av.open(str(resized / "out" / "turned.mp4")) as container:
            assert next(container.decode(video=0)).rotation == 0

    def test_grey_levels_stay(self, resized: Path) -> None:
        for name in ("full_range", "uneven"):
            source = media.frames_of(resized / "videos" / f"{name}.mp4")[1][1]
            result = media.frames_of(resized / "out" / f"{name}.mp4")[1][1]
            assert abs(source[40, 10].mean() - result[40, 10].mean()) < 4
            assert abs(source[40, 50].mean() - result[40, 50].mean()) < 4

    def test_pixel_aspect_is_passed_on(self, tmp_path: Path) -> None:
        with av.open(str(tmp_path / "v.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(media.numbered_picture(1, 64, 48), format="rgb24")))
            container.mux(stream.encode())
        resizing.resize_video(SETTINGS, False, tmp_path / "v.mp4", tmp_path / "w.mp4", 1)
        with av.open(str(tmp_path / "w.mp4")) as container:
            assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


@pytest.mark.parametrize("short_side", [None, 1, 32, 100, 240, 256, 320, 500])
@pytest.mark.parametrize("size", [(340, 256), (256, 340), (1920, 1080), (99, 75), (3, 2), (1000, 7)])
def test_size_keeps_the_aspect_and_never_grows(size: tuple[int, int], short_side: int | None) -> None:
    for multiple in (1, 2):
        new = scaled_size(*size, short_side, multiple)
        scale = min(1, short_side / min(size)) if short_side else 1
        for before, after in zip(size, new, strict=True):
            assert after % multiple == 0 and after <= max(before, multiple)
            assert abs(after - before * scale) < multiple or after == multiple


class TestVerification:
    def test_a_missing_frame_is_noticed(self, tmp_path: Path) -> None:
        video = media.make_video(tmp_path / "v.mp4", 10)
        times = [Fraction(i, 25) for i in range(11)]
        with pytest.raises(UnusableVideo, match="expected 11 frames, the file written has 10"):
            verify(video, times)

    def test_a_wrong_duration_is_noticed(self, tmp_path: Path) -> None:
        video = media.make_video(tmp_path / "v.mp4", 10)
        with pytest.raises(UnusableVideo, match=r"expected frame 2 at 0\.042 s, it is at 0\.040 s"):
            verify(video, [Fraction(i, 24) for i in range(10)])

    def test_the_right_video_passes(self, tmp_path: Path) -> None:
        verify(media.make_video(tmp_path / "v.mp4", 10), [Fraction(i, 25) for i in range(10)])


class TestRuns:
    def test_broken_videos_are_named_and_leave_nothing(self, resized: Path) -> None:
        text = (resized / "result.txt").read_text(encoding="utf-8")
        assert text.startswith("1\n") and "resized 7 videos (53 frames)" in text and "failed: 2" in text
        assert "sound.m4v: expected a video, got only audio" in text
        assert "text.mp4: Invalid data found when processing input" in text
        names = sorted(p.name for p in (resized / "out").rglob("*.mp4"))
        assert names == sorted(
            ["wide.mp4", "portrait.mp4", "odd.mp4", "small.mp4", "uneven.mp4", "full_range.mp4", "turned.mp4"]
        )
        assert not list((resized / "out").rglob("*.tmp"))

    def test_run_again_touches_nothing(self, resized: Path) -> None:
        before = media.tree(resized / "out")
        result = resize(resized / "videos", resized / "out", "--short_side", "48", "--gop", "4", "--crf", "18")
        assert "resized 0 videos" in result.stdout and "already done: 7" in result.stdout
        after = media.tree(resized / "out")
        before.pop("resize_videos_failed.txt")
        assert before.items() <= after.items()

    def test_other_settings_and_dry_run(self, resized: Path) -> None:
        result = resize(resized / "videos", resized / "out")
        assert (
            result.returncode == 2 and "expected short_side 48 as in earlier runs, got short_side 320" in result.stderr
        )
        result = resize(resized / "videos", resized / "elsewhere", "--dry-run")
        assert result.returncode == 0 and "to do: 9 videos" in result.stdout
        assert not (resized / "elsewhere").exists()

    def test_what_was_written_before_is_recognised(self, resized: Path, tmp_path: Path) -> None:
        """A folder of the version before, whose settings had no ``fast_decode``; and one that is to be resized."""
        saved = resized / "out" / ".resize_videos.json"
        text = saved.read_text()
        older = {key: value for key, value in json.loads(text).items() if key != "fast_decode"}
        saved.write_text(json.dumps(older))
        result = resize(resized / "videos", resized / "out", "--short_side", "48", "--gop", "4", "--crf", "18")
        assert "already done: 7" in result.stdout
        result = media.run("resize_videos.py", resized / "videos", resized / "out")
        how = "--preset archive --short_side 48 --gop 4 --crf 18 --x264_preset ultrafast"
        assert result.returncode == 2 and result.stderr.endswith(f"or continue it with {how}\n"), result.stderr
        result = media.run("resize_videos.py", resized / "out", tmp_path / "again", "--dry-run")
        assert f"out: resize_videos.py wrote these videos with {how}; the originals" in result.stderr
        result = resize(resized / "out", tmp_path / "again", "--short_side", "48", "--gop", "4", "--crf", "18")
        assert result.returncode == 2 and "got videos that resize_videos.py wrote with these settings" in result.stderr
        saved.write_text(text)

    def test_bad_options(self, tmp_path: Path) -> None:
        result = resize(tmp_path, tmp_path / "out", "--gop", "0")
        assert result.returncode == 2 and "expected a number from 1, got 0" in result.stderr
        assert len(result.stderr.splitlines()) == 1
        result = media.run("resize_videos.py", tmp_path, tmp_path / "out", "--preset", "fast")
        assert result.returncode == 2 and "got fast, which is now --x264_preset fast" in result.stderr


class TestPresets:
    def test_training_needs_little_work_to_decode(self, tmp_path: Path) -> None:
        """No B-frames (every frame comes with its packet), no CABAC, no deblocking, a key frame at least every 16."""
        video = media.make_video(tmp_path / "v.mp4", 40, (640, 512))
        resizing.resize_video(PRESETS["training"], False, video, tmp_path / "w.mp4", 1)
        with av.open(str(tmp_path / "w.mp4")) as container:
            stream = container.streams.video[0]
            assert (stream.width, stream.height, stream.pix_fmt) == (320, 256, "yuv420p")
            packets = [packet for packet in container.demux(stream) if packet.size]
        assert all(packet.pts == packet.dts for packet in packets)
        assert np.diff([place for place, packet in enumerate(packets) if packet.is_keyframe]).max() <= 16
        said = (tmp_path / "w.mp4").read_bytes()  # x264 writes its options into the first picture
        for option in (b"cabac=0", b"deblock=0", b"bframes=0", b"weightp=0", b"keyint=16", b"threads=1"):
            assert option in said, option

    def test_archive_is_what_the_defaults_were(self) -> None:
        assert PRESETS["archive"] == VideoSettings(320, 16, 23, "medium", fast_decode=False)


def test_real_videos(tmp_path: Path) -> None:
    for video in media.real_videos():
        target = tmp_path / f"{video.stem}.mp4"
        settings = VideoSettings(128, 16, 23, "ultrafast")
        count, damage = resizing.resize_video(settings, False, video, target, 2)
        with av.open(str(video)) as container:
            assert count == sum(1 for _ in container.decode(video=0))
        assert damage == ""
