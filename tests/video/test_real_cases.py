"""Files that users of video readers reported: each was read wrongly, or refused, before."""

import logging
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from ops.video import pyav_fallback
from ops.video.reader import open_video
from tests import media
from tests.commands import REPOSITORY, run, run_script, succeeded
from tests.video import grid

NAMES = ("12:30.mp4", "http:a.mp4", "file:a.mp4", "concat:a.mp4", "a%03d.mp4", "-.mp4", "ä 跳?#.mp4")


def whole(name: str, folder: Path) -> Path:
    return grid.FILES[name](folder)


def numbers_read(path: Path, decoder: str = "pyav") -> list[int]:
    """The numbers of the frames, each read alone, from the last to the first."""
    reader = open_video(path, decoder)
    return [media.number_of(reader.get_frames(np.array([i]))[0]) for i in range(len(reader))[::-1]][::-1]


ALL = list(range(grid.FRAMES))


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_made_up_times_are_not_believed(tmp_path: Path, container: str) -> None:
    """A raw stream with B-frames that was given times in the order of decoding."""
    path = whole(f"H.264 {container}, made-up times", tmp_path)
    with av.open(str(path)) as opened:
        times = [packet.pts for packet in opened.demux(video=0) if packet.size]
    assert times == sorted(times)
    assert numbers_read(path) == ALL


@pytest.mark.parametrize("name", ["MPEG-1 mpg", "MPEG-2 mpg", "MPEG-2 vob"])
def test_single_frames_of_program_streams(tmp_path: Path, name: str) -> None:
    assert numbers_read(whole(name, tmp_path)) == ALL


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    pyav_fallback.forget_what_was_said()
    with caplog.at_level(logging.WARNING):
        yield caplog
    pyav_fallback.forget_what_was_said()


@pytest.mark.parametrize("decoder", media.OTHER_DECODERS)
def test_other_decoders_do_not_read_what_they_were_not_verified_on(
    tmp_path: Path, decoder: str, warnings: pytest.LogCaptureFixture
) -> None:
    """decord reads frame 16 of this transport stream in place of its first."""
    path = whole("H.264 ts", tmp_path)
    assert numbers_read(path, decoder) == ALL
    assert numbers_read(whole("MPEG-2 ts", tmp_path), decoder) == ALL
    assert len(warnings.records) == 1  # said once
    message = warnings.records[0].getMessage()
    assert str(path) in message and "PyAV" in message and decoder in message


@pytest.mark.parametrize(
    ("name", "length"),
    [
        ("VP8 webm, frames not shown", 40),
        ("VP9 webm, packets of frames not shown", 40),
        ("H.264 mkv, open GOP copied from a key frame", 30),
    ],
)
def test_length_is_that_of_decoding(tmp_path: Path, name: str, length: int) -> None:
    path = whole(name, tmp_path)
    with av.open(str(path)) as container:
        packets = sum(packet.size > 0 for packet in container.demux(video=0))
    assert packets >= length
    assert len(open_video(path, "pyav")) == len(media.frames_of(path)) == length
    assert numbers_read(path) == list(range(40))[-length:]


def test_dropped_frames_of_avi_are_absent(tmp_path: Path) -> None:
    path = whole("MPEG-4 avi, dropped frames", tmp_path)
    assert len(open_video(path, "pyav")) == grid.FRAMES - 4
    assert numbers_read(path) == media.numbers([picture for _, picture in media.frames_of(path)])


@pytest.mark.parametrize("name", ["MPEG-4 avi, title in Latin-1", "H.264 mp4, title in Latin-1"])
def test_titles_in_latin_1(tmp_path: Path, name: str) -> None:
    """By every command that opens videos."""
    path = whole(name, tmp_path)
    assert b"caf\xe9s" in path.read_bytes()
    assert numbers_read(path) == ALL
    source = tmp_path / "in"
    source.mkdir()
    shutil.copy(path, source)
    (tmp_path / "list.txt").write_text(f"{path.name} 0\n")
    options = ("--storage", "videos", "--root_path", "in", "--num_class", "1")
    assert "nothing wrong" in succeeded(
        run_script("scripts/preparation/check_dataset.py", "list.txt", *options, cwd=tmp_path)
    )
    succeeded(run_script("scripts/preparation/resize_videos.py", "in", "small", "-j", "1", cwd=tmp_path))
    succeeded(run_script("scripts/preparation/extract_frames.py", "in", "frames", "-j", "1", cwd=tmp_path))


@pytest.mark.parametrize("decoder", media.ALL_DECODERS)
def test_cover_art_is_no_video(tmp_path: Path, decoder: str) -> None:
    path = whole("H.264 mp4, cover art first", tmp_path)
    with av.open(str(path)) as container:
        assert [stream.codec_context.name for stream in container.streams.video] == ["mjpeg", "h264"]
    assert numbers_read(path, decoder) == ALL


@pytest.mark.parametrize("decoder", media.ALL_DECODERS)
@pytest.mark.parametrize("name", NAMES)
def test_names_are_never_urls(tmp_path: Path, name: str, decoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole_video = media.make_video(tmp_path / "whole.mp4", 9)
    shutil.copy(whole_video, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert numbers_read(Path(name), decoder) == list(range(9))


def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    path = Path(str(tmp_path / "caf") + "\udce9.mp4")
    shutil.copy(media.make_video(tmp_path / "whole.mp4", 9), path)
    assert numbers_read(path) == list(range(9))


GROWTH = """
import sys
from pathlib import Path
import numpy as np
from ops.video.reader import open_video
def peak():  # not ru_maxrss, which begins with that of the process that started this one
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024
small, large = map(Path, sys.argv[1:])
open_video(small, "pyav").get_frames(np.array([0, 1]))
before = peak()
reader = open_video(large, "pyav")
reader.get_frames(np.array([0, len(reader) // 2]))
print(len(reader), peak() - before)
"""


@pytest.mark.parametrize("copies", [340, pytest.param(690, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("container", "megabytes"), [("mov", 40), ("avi", 110)])
def test_memory_follows_the_wanted_frames(tmp_path: Path, container: str, megabytes: int, copies: int) -> None:
    """Of a file of 250 or 510 MB, with jumps and without; what is decoded to count frames is kept up to 64 MB."""
    noise = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), dtype=np.uint8)
    for name, count in (("small", 2), ("large", copies)):
        with av.open(str(tmp_path / f"{name}.{container}"), "w") as target:
            stream = target.add_stream("mjpeg", rate=25, options={"qmin": "2", "qmax": "3"})
            stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuvj420p"
            [packet] = [*stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")), *stream.encode()]
            data, base = bytes(packet), packet.time_base
            for number in range(count):
                packet = av.Packet(data)
                packet.stream, packet.time_base, packet.is_keyframe = stream, base, True
                packet.pts = packet.dts = number
                target.mux(packet)
    large = tmp_path / f"large.{container}"
    assert large.stat().st_size > 0.6e6 * copies
    code = (sys.executable, "-c", GROWTH, str(tmp_path / f"small.{container}"), str(large))
    length, growth = map(int, succeeded(run(*code, cwd=REPOSITORY)).split())
    print(f"{large.stat().st_size / 1e6:.0f} MB, grown by {growth} MB")
    assert length == copies
    assert growth < megabytes


BELIEVING = """
import sys
sys.path.insert(0, {!r})
from ops.video import frame_index
from ops.video.headers.header import Header

class Believed:
    depth, can_skip, count = 9, False, 0

    def read(self, packet):
        self.count += 1
        return Header((0, self.count), self.count == 1)

frame_index.CODECS["h264"] = lambda context: Believed()
"""


class TestVerifyFrames:
    def check(self, folder: Path, *more: str) -> tuple[int, str]:
        options = ("--storage", "videos", "--root_path", ".", "--num_class", "1", "--verify_frames", *more)
        done = run_script("scripts/preparation/check_dataset.py", "list.txt", *options, cwd=folder)
        return done.returncode, done.stdout

    def test_nothing_is_wrong_with_awkward_files(self, tmp_path: Path) -> None:
        names = ("H.264 mp4, made-up times", "MPEG-1 mpg", "VP9 webm", "HEVC mp4", "H.264 mp4, cut by an edit list")
        paths = [whole(name, tmp_path) for name in names]
        (tmp_path / "list.txt").write_text("".join(f"{path.name} 0\n" for path in paths))
        status, output = self.check(tmp_path)
        assert status == 0 and "5 lines, nothing wrong" in output, output

    def test_another_frame_is_found(self, tmp_path: Path) -> None:
        """With a reader that takes packet times as they are."""
        path = whole("H.264 mp4, made-up times", tmp_path)
        (tmp_path / "list.txt").write_text(f"{path.name} 0\n")
        (tmp_path / "believing").mkdir()
        (tmp_path / "believing" / "sitecustomize.py").write_text(BELIEVING.format(str(REPOSITORY)))
        options = ("list.txt", "--storage", "videos", "--root_path", ".", "--num_class", "1", "--verify_frames")
        script = str(REPOSITORY / "scripts" / "preparation" / "check_dataset.py")
        done = run(sys.executable, script, *options, cwd=tmp_path, PYTHONPATH=str(tmp_path / "believing"))
        assert done.returncode == 1, done.stdout + done.stderr
        assert "other frames" in done.stdout and "differs from plain decoding" in done.stdout
