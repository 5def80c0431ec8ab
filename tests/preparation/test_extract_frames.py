"""extract_frames.py and the machinery of all data-preparation scripts: pictures, failures, interruption."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ops.preparation import extraction
from ops.preparation.extraction import FrameSettings
from ops.preparation.frame_stream import FrameStream, UnusableVideo
from ops.preparation.jobs import batch_jobs
from ops.runtime.errors import InputError
from ops.runtime.worker_pool import Failure
from tests import media


def extract(videos: Path, out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return media.run("extract_frames.py", videos, out, "-j", "2", *arguments)


@pytest.fixture(scope="module")
def awkward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run over videos of every kind, good and bad; its folder, with the result in `result.txt`."""
    root = tmp_path_factory.mktemp("awkward")
    videos = root / "videos"
    media.make_video(videos / "plain.mp4", 12)
    media.make_video(videos / "jump, [high] & weiß 跳" / "portrait.mp4", 9, (48, 64), sound=True)
    media.make_video(videos / "odd.avi", 7, (65, 47), codec="mpeg4")
    media.make_video(
        videos / "uneven.mp4", 6, times=[0, 10, 11, 40, 90, 91], time_base=Fraction(1, 100), options={"bf": "0"}
    )
    for name, matrix in (
        ("quarter", media.QUARTER_TURN),
        ("half", media.HALF_TURN),
        ("three_quarters", media.THREE_QUARTERS),
        ("mirrored", media.MIRRORED),
    ):
        media.turn_by_metadata(media.make_video(videos / "turned" / f"{name}.mp4", 3), matrix)
    media.make_sound(videos / "sound.mp4")
    (videos / "text.mp4").write_text("no video")
    (videos / "empty.webm").touch()
    whole = media.make_video(
        root / "whole.webm", 60, codec="libvpx-vp9", options={"cpu-used": "8", "deadline": "realtime"}
    )
    (videos / "cut.webm").write_bytes(whole.read_bytes()[: whole.stat().st_size // 3])
    media.make_video(videos / "same.mp4", 2)
    shutil.copy(videos / "same.mp4", videos / "same.mov")
    (videos / "notes.txt").touch()
    (videos / ".hidden.mp4").touch()
    result = extract(videos, root / "out")
    (root / "result.txt").write_text(f"{result.returncode}\n{result.stdout}\n{result.stderr}", encoding="utf-8")
    return root


class TestPictures:
    @pytest.mark.parametrize(
        ("name", "count", "size"),
        [
            ("plain", 12, (64, 48)),
            ("jump, [high] & weiß 跳/portrait", 9, (48, 64)),
            ("odd", 7, (65, 47)),
            ("uneven", 6, (64, 48)),
        ],
    )
    def test_every_frame_once_in_order_and_in_its_size(
        self, awkward: Path, name: str, count: int, size: tuple[int, int]
    ) -> None:
        folder = awkward / "out" / name
        assert sorted(p.name for p in folder.iterdir()) == [f"{i:05d}.jpg" for i in range(1, count + 1)]
        pictures = media.pictures_in(folder)
        assert media.numbers(pictures) == list(range(count))
        assert {picture.shape for picture in pictures} == {(size[1], size[0], 3)}

    @pytest.mark.parametrize(
        ("name", "turns", "mirror"),
        [("quarter", -1, False), ("half", 2, False), ("three_quarters", 1, False), ("mirrored", 0, True)],
    )
    def test_turned_as_the_metadata_says(self, awkward: Path, name: str, turns: int, mirror: bool) -> None:
        expected = np.rot90(media.numbered_picture(2, 64, 48), turns)
        expected = expected[:, ::-1] if mirror else expected
        picture = media.pictures_in(awkward / "out" / "turned" / name)[2]
        assert picture.shape == expected.shape
        assert np.abs(picture.astype(int) - expected).mean() < 8

    def test_pixels_are_those_of_the_decoder(self, awkward: Path) -> None:
        stored = media.frames_of(awkward / "videos" / "plain.mp4")
        for (_, expected), picture in zip(stored, media.pictures_in(awkward / "out" / "plain"), strict=True):
            assert np.abs(picture.astype(int) - expected).mean() < 3

    @pytest.mark.parametrize("matrix", [1, 5], ids=["bt709", "bt601"])
    def test_colours_do_not_depend_on_the_video_s_colour_matrix(self, tmp_path: Path, matrix: int) -> None:
        colours = np.array([[200, 30, 40], [20, 180, 60], [50, 40, 220], [240, 200, 10]], dtype=np.uint8)
        picture = np.repeat(np.repeat(colours[None], 16, axis=1), 32, axis=0)  # (32, 64, 3)
        with av.open(str(tmp_path / "v.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=25, options={"crf": "5"})
            stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
            stream.codec_context.colorspace = 1 if matrix == 1 else 6
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace=matrix)))
            container.mux(stream.encode())
        assert extract(tmp_path / "v.mp4", tmp_path / "out").returncode == 0
        extracted = media.pictures_in(tmp_path / "out" / "v")[0]
        assert np.abs(extracted[16, 8::16].astype(int) - colours).max() <= 8

    def test_files_do_not_depend_on_the_threads(self, tmp_path: Path) -> None:
        media.make_video(tmp_path / "v.mp4", 5, (160, 120))
        settings = FrameSettings("{:05d}.jpg", 2, None, None)
        for threads in (1, 3):
            extraction.extract(settings, False, tmp_path / "v.mp4", tmp_path / str(threads), threads)
        one, three = ([p.read_bytes() for p in sorted((tmp_path / name).iterdir())] for name in "13")
        assert len(one) == 5 and one == three

    def test_options(self, tmp_path: Path) -> None:
        media.make_video(tmp_path / "v.mp4", 10, (96, 64))
        options = ("--template", "img_{:03d}.jpg", "--quality", "31", "--short_side", "32", "--fps", "12.5")
        result = extract(tmp_path / "v.mp4", tmp_path / "coarse", *options)
        assert result.returncode == 0, result.stderr
        folder = tmp_path / "coarse" / "v"
        assert sorted(p.name for p in folder.iterdir()) == [f"img_{i:03d}.jpg" for i in range(1, 6)]
        assert {p.shape for p in media.pictures_in(folder)} == {(32, 48, 3)}
        for name, short_side in (("fine", 32), ("large", 500)):
            settings = FrameSettings("{:05d}.jpg", 2, short_side, None)
            assert extraction.extract(settings, False, tmp_path / "v.mp4", tmp_path / name, 1) == (10, "")
        assert (tmp_path / "fine" / "00001.jpg").stat().st_size > (folder / "img_001.jpg").stat().st_size
        assert media.pictures_in(tmp_path / "large")[0].shape == (64, 96, 3)  # never enlarged


class TestRate:
    @pytest.mark.parametrize("fps", ["1", "7", "12.5", "25", "60", "30000/1001"])
    @pytest.mark.parametrize("seed", range(3))
    def test_each_tick_shows_the_latest_frame_up_to_it(self, fps: str, seed: int) -> None:
        rng = np.random.default_rng(seed)
        times = np.cumsum(rng.integers(1, 30, 20)).tolist()
        frames = []
        for time_ in times:
            frame = av.VideoFrame(16, 16, "gray")
            frame.pts, frame.time_base = time_, Fraction(1, 100)
            frames.append(frame)
        rate = Fraction(fps)
        chosen = [frames.index(frame) for frame in extraction.at_rate(iter(frames), rate)]

        def tick(time_: int) -> int:
            return int(Fraction(time_ - times[0], 100) * rate + Fraction(1, 2))

        end = max(tick(times[-1] + times[-1] - times[-2]), 1)
        expected = [max(i for i, time_ in enumerate(times) if tick(time_) <= k) for k in range(end)]
        assert chosen == expected

    def test_a_single_frame_stays(self) -> None:
        frame = av.VideoFrame(16, 16, "gray")
        frame.pts, frame.time_base = 5, Fraction(1, 25)
        assert list(extraction.at_rate(iter([frame]), Fraction(1))) == [frame]


class TestFailures:
    def test_each_broken_video_costs_itself_and_is_named_with_its_reason(self, awkward: Path) -> None:
        text = (awkward / "result.txt").read_text(encoding="utf-8")
        assert text.startswith("1\n")
        for line in (
            "sound.mp4: expected a video, got only audio",
            "text.mp4: Invalid data found when processing input",
            "cut.webm: cut off: 2.4 s announced",
            "same.mp4: its output would have the same path as that of same.mov",
        ):
            assert line in text
        assert "empty.webm: " in text
        assert "extracted 9 videos" in text and "failed: 5" in text and "skipped 1 file without a video ending" in text

    def test_nothing_of_them_is_left(self, awkward: Path) -> None:
        out = awkward / "out"
        assert {p.name for p in out.iterdir()} == {
            ".extract_frames.json", "extract_frames_failed.txt", "plain", "odd", "uneven", "turned", "same",
            "jump, [high] & weiß 跳",
        }  # fmt: skip
        assert len((out / "extract_frames_failed.txt").read_text(encoding="utf-8").splitlines()) == 5

    def test_run_again_only_for_what_is_missing(self, awkward: Path, tmp_path: Path) -> None:
        out = shutil.copytree(awkward / "out", tmp_path / "out")
        before = media.tree(out)
        before.pop("extract_frames_failed.txt")
        result = extract(awkward / "videos", out, "--keep_damaged")
        after = media.tree(out)
        assert before.items() <= after.items()
        assert result.returncode == 1 and "already done: 9" in result.stdout and "extracted 1 video " in result.stdout
        assert "damaged, but kept:\n  cut.webm: cut off" in result.stderr

    def test_a_video_that_takes_too_long(self, tmp_path: Path) -> None:
        media.make_video(tmp_path / "videos" / "long.mp4", 200, (640, 480))
        result = extract(tmp_path / "videos", tmp_path / "out", "--timeout", "0.01")
        assert result.returncode == 1
        assert "long.mp4: took longer than 0.01 s" in result.stderr
        assert not [p for p in (tmp_path / "out").iterdir() if p.is_dir()]

    def test_a_worker_that_dies_or_hangs(self, tmp_path: Path) -> None:
        script = tmp_path / "pool.py"
        script.write_text(
            f"""
import os, signal, sys, time
sys.path.insert(0, {str(media.REPOSITORY)!r})
from pathlib import Path
from ops.preparation.jobs.output_items import FinishItem, Item
from ops.runtime import run_tasks

def work(source, target, threads):
    target.write_text("begun")
    if source.name == "dies":
        os.kill(os.getpid(), signal.SIGSEGV)
    if source.name == "hangs":
        time.sleep(100)
    if source.name == "raises":
        raise ValueError("two\\nlines")
    return 1, ""

if __name__ == "__main__":
    names = ["dies", "a", "hangs", "b", "raises", "c", "d"]
    items = [Item(name, Path(name), Path(sys.argv[1], name)) for name in names]
    for result in run_tasks(items, FinishItem(work), 2, 5.0):
        print(result)
"""
        )
        command = [sys.executable, str(script), str(tmp_path / "out")]
        result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert result.returncode == 0, result.stderr
        assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a", "b", "c", "d"]
        for line in (
            "Failure(name='dies', reason='its process died (signal SIGSEGV)')",
            "Failure(name='hangs', reason='took longer than 5 s (--timeout)')",
            "Failure(name='raises', reason='two lines')",
            "Done(name='d', result=Written(frames=1, remark=''))",
        ):
            assert line in result.stdout

    @pytest.mark.parametrize("kind", ["mp4", "avi"])
    def test_damage_in_the_middle_is_noticed_or_harmless(self, tmp_path: Path, kind: str) -> None:
        codec = "mpeg4" if kind == "avi" else "libx264"
        data = bytearray(media.make_video(tmp_path / f"whole.{kind}", 100, (320, 240), codec=codec).read_bytes())
        (tmp_path / f"cut.{kind}").write_bytes(data[: 2 * len(data) // 3])
        with pytest.raises(UnusableVideo):
            list(FrameStream(tmp_path / f"cut.{kind}", 1, keep_damaged=False).frames())


class TestInterruption:
    @pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
    def test_only_complete_folders_and_the_same_command_goes_on(self, tmp_path: Path, sent: signal.Signals) -> None:
        whole = media.make_video(tmp_path / "whole.mp4", 100, (320, 240))
        videos, out = tmp_path / "videos", tmp_path / "out"
        videos.mkdir()
        for number in range(8):
            os.link(whole, videos / f"{number:02d}.mp4")
        command = [sys.executable, str(media.SCRIPTS / "extract_frames.py"), str(videos), str(out), "-j", "2"]
        at_an_answer = [str(media.AT_CALL), "worker_pool.receive:4", f"group:{sent.name}"]  # both ready, a video done
        first = [sys.executable, *at_an_answer, *command[1:]]
        process = subprocess.Popen(
            first, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        _, errors = process.communicate(timeout=300)
        if sent is signal.SIGINT:  # the terminal sends it to every process of the group
            assert process.returncode == 130, errors
            assert "run the same command to continue" in errors
            assert not list(out.glob(".*.tmp"))
        assert "Traceback" not in errors
        done = [p for p in out.iterdir() if p.is_dir() and not p.name.startswith(".")]
        assert 1 <= len(done) < 8
        assert {len(list(folder.iterdir())) for folder in done} == {100}
        again = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert again.returncode == 0, again.stderr
        assert f"already done: {len(done)}" in again.stdout
        assert [len(list(p.iterdir())) for p in sorted(out.glob("[0-9]*"))] == [100] * 8

    def test_leftovers_of_a_killed_run_are_redone(self, tmp_path: Path) -> None:
        media.make_video(tmp_path / "videos" / "v.mp4", 4)
        leftover = tmp_path / "out" / ".v.tmp"
        leftover.mkdir(parents=True)
        (leftover / "00009.jpg").touch()
        assert extract(tmp_path / "videos", tmp_path / "out").returncode == 0
        assert len(media.pictures_in(tmp_path / "out" / "v")) == 4
        assert not leftover.exists()


class TestFullDisk:
    def test_at_the_start_is_one_line(self, tmp_path: Path) -> None:
        media.make_video(tmp_path / "videos" / "v.mp4", 2)
        script = [sys.executable, str(media.SCRIPTS / "extract_frames.py"), "videos", "out"]
        limited = ["bash", "-c", 'ulimit -f 0 && exec "$@"', "bash", *script]
        result = subprocess.run(limited, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert result.returncode == 2 and result.stderr.count("\n") == 1, result.stderr
        assert "expected to write settings, got File too large" in result.stderr
        assert extract(tmp_path / "videos", tmp_path / "out").returncode == 0

    def test_half_of_the_settings_is_none(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write, room = os.write, [5]

        def nearly_full(file: int, content: bytes) -> int:
            if not room:
                raise OSError(28, "No space left on device")
            return write(file, content[: room.pop()])

        with monkeypatch.context() as patched:
            patched.setattr(os, "write", nearly_full)
            with (
                pytest.raises(InputError, match=r"expected to write settings, got No space left"),
                batch_jobs.claimed_folder(tmp_path, "tool", {"a": 1}),
            ):
                pass
        with batch_jobs.claimed_folder(tmp_path, "tool", {"a": 1}):
            assert (tmp_path / ".tool.json").read_text() == '{"a": 1}\n'

    def test_in_the_middle_stops_and_the_same_command_goes_on(self, tmp_path: Path) -> None:
        """A file system with room for one video of three; nothing is the fault of the others."""
        for name in "abc":
            media.make_video(tmp_path / "videos" / f"{name}.mp4", 12)
        out = tmp_path / "out"
        assert extract(tmp_path / "videos" / "a.mp4", out).returncode == 0
        room = sum(4096 * -(-p.stat().st_size // 4096) for p in out.glob("a/*"))
        shutil.rmtree(out)
        out.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room + 20000}", "tmpfs", out], check=False)
        if mounted.returncode != 0:
            pytest.skip("no file system can be mounted here")
        try:
            result = extract(tmp_path / "videos", out, "-j", "1")
            assert result.returncode == 2 and "Traceback" not in result.stderr, result.stderr
            message = f"error: {out}: expected room for more, got No space left on device with 2 videos left; make room"
            assert message in result.stderr and "failed: 0" in result.stdout
            assert sorted(p.name for p in out.iterdir()) == [".extract_frames.json", "a"]
            subprocess.run(["mount", "-o", "remount,size=10m", out], check=True)
            again = extract(tmp_path / "videos", out)
            assert again.returncode == 0 and "already done: 1" in again.stdout, again.stderr
        finally:
            subprocess.run(["umount", out], check=True)

    def test_at_the_end_keeps_the_summary(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_text", full)
        batch = batch_jobs.Batch("tool", "did", "", "", {}, lambda *_: (0, ""))
        batch.report([Failure("v.mp4", "a reason")], tmp_path)
        errors = capsys.readouterr().err
        assert "v.mp4: a reason" in errors and "expected to write the failures, got No space left on device" in errors


class TestCommandLine:
    def test_an_output_inside_another_is_refused_before_the_start(self, tmp_path: Path) -> None:
        for name in ("a.mp4", "a/b.mp4", "c.mp4"):
            media.make_video(tmp_path / "videos" / name, 2)
        for options in (("--dry-run",), (), ()):
            result = extract(tmp_path / "videos", tmp_path / "out", *options)
            assert result.returncode == 1
            assert "a/b.mp4: its output would lie inside the output folder of a.mp4" in result.stderr
        assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.is_dir()) == ["a", "c"]

    def test_a_time_limit_beyond_the_systems(self, tmp_path: Path) -> None:
        media.make_video(tmp_path / "videos" / "v.mp4", 2)
        assert extract(tmp_path / "videos", tmp_path / "out", "--timeout", "99999999").returncode == 0

    def test_dry_run_writes_nothing(self, tmp_path: Path) -> None:
        media.make_video(tmp_path / "videos" / "v.mp4", 2)
        result = extract(tmp_path / "videos", tmp_path / "out", "--dry-run")
        assert result.returncode == 0
        assert f"{tmp_path / 'videos/v.mp4'} -> {tmp_path / 'out/v'}" in result.stdout
        assert "to do: 1 video" in result.stdout
        assert not (tmp_path / "out").exists()

    def test_a_foreign_folder_is_left_alone(self, tmp_path: Path) -> None:
        media.make_video(tmp_path / "videos" / "v.mp4", 2)
        (tmp_path / "out" / "v").mkdir(parents=True)
        (tmp_path / "out" / "v" / "diary.txt").write_text("mine")
        result = extract(tmp_path / "videos", tmp_path / "out")
        assert result.returncode == 1
        assert "v.mp4: expected no file or a complete output at" in result.stderr
        assert [p.name for p in (tmp_path / "out" / "v").iterdir()] == ["diary.txt"]

    def test_other_settings_in_the_same_folder(self, tmp_path: Path) -> None:
        media.make_video(tmp_path / "videos" / "v.mp4", 2)
        assert extract(tmp_path / "videos", tmp_path / "out").returncode == 0
        for arguments in (("--short_side", "24"), ("--short_side", "24", "--dry-run")):
            result = extract(tmp_path / "videos", tmp_path / "out", *arguments)
            assert result.returncode == 2
            assert "expected short_side None as in earlier runs, got short_side 24" in result.stderr

    def test_videos_within_the_output_are_not_read(self, tmp_path: Path) -> None:
        media.make_video(tmp_path / "v.mp4", 2)
        media.make_video(tmp_path / "out" / "w.mp4", 2)
        result = extract(tmp_path, tmp_path / "out", "--dry-run")
        assert "to do: 1 video" in result.stdout

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("nowhere", "out"), "nowhere: expected a folder of videos or a video"),
            ((".", "out"), "expected videos, like .mp4 or .webm, got none: no file"),
            (("v", "v"), "expected OUT to be another folder than VIDEOS"),
            (("v",), "the following arguments are required: OUT"),
            (("v", "out", "--quality", "0"), "expected a number from 1 to 31, got 0"),
            (("v", "out", "--fps", "1/0"), "expected a number from 0.001 to 1000, got '1/0'"),
            (("v", "out", "-j", "none"), "expected a number from 1, got 'none'"),
            (("v", "out", "--template", "frame.jpg"), "no number in it"),
            (("v", "out", "--template", "a/{:05d}.jpg"), "without folders"),
            (("v", "out", "--template", "{:05d}.png"), "without folders"),
        ],
    )
    def test_bad_input_is_one_line_and_status_2(self, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
        (tmp_path / "v").mkdir()
        result = media.run("extract_frames.py", *arguments, cwd=tmp_path)
        assert result.returncode == 2
        assert message in result.stderr and len(result.stderr.splitlines()) == 1
        assert [p.name for p in tmp_path.iterdir()] == ["v"]


def test_real_videos(tmp_path: Path) -> None:
    videos = media.real_videos()
    result = extract(videos[0].parent, tmp_path / "out")
    assert result.returncode == 0, result.stderr
    for video in videos:
        stored = media.frames_of(video)
        pictures = media.pictures_in(tmp_path / "out" / video.stem)
        assert len(pictures) == len(stored)
        for place in (0, len(stored) // 2, len(stored) - 1):
            assert np.abs(pictures[place].astype(int) - stored[place][1]).mean() < 4
