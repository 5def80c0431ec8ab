"""Readers against files whose frames carry their number: what is asked for must be what comes, or an error.

Files are made with PyAV; real ones are used where MSN_REAL_VIDEOS names a folder of them.
"""

import contextlib
import gc
import logging
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest
from PIL import Image

from ops.runtime.errors import InputError
from ops.video.errors import VideoError
from ops.video.frame_folder import FrameFolder
from ops.video.reader import choose_decoder, open_video, read_frames
from tests import media
from tests.clip_files import with_options, write_broken, write_folder

DECODERS, OTHERS = media.ALL_DECODERS, media.OTHER_DECODERS
UNEVEN = np.cumsum(np.random.default_rng(0).integers(5, 120, 61)).tolist()  # milliseconds
X264_GOP = {"bf": "3", "g": "12", "b-pyramid": "normal", "sc_threshold": "0"}
# Pictures that refer across a key frame, to one shown before it.
OPEN_GOP = {"x264-params": "open-gop=1:keyint=10:bframes=3:scenecut=0"}


def h264(path: Path, frames: int, **options: str) -> Path:
    return media.make_video(path, frames, options=options)


MAKERS = {
    "B-frames and one long GOP": lambda p: h264(p / "long.mp4", 61, bf="3", g="250"),
    "B-frames and short GOPs": lambda p: h264(p / "short.mp4", 75, **X264_GOP),
    "no B-frames": lambda p: h264(p / "p.mp4", 33, bf="0", g="12"),
    "one frame": lambda p: h264(p / "one.mp4", 1),
    "two frames": lambda p: h264(p / "two.mp4", 2),
    "MPEG-4 in AVI": lambda p: media.make_video(p / "old.avi", 41, codec="mpeg4"),
    "frames of uneven length": lambda p: media.make_video(
        p / "vfr.mp4", 61, times=UNEVEN, time_base=Fraction(1, 1000), options=X264_GOP
    ),
    "beginning late": lambda p: media.make_video(p / "late.mp4", 30, times=range(50, 80), options=X264_GOP),
    "Matroska": lambda p: h264(p / "h264.mkv", 40, **X264_GOP),
    "VP9 in WebM": lambda p: media.make_video(
        p / "v.webm", 40, codec="libvpx-vp9", options={"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "16"}
    ),
    "with sound": lambda p: media.make_video(p / "sound.mp4", 30, sound=True, options=X264_GOP),
    "odd size": lambda p: media.make_video(p / "odd.mp4", 9, size=(66, 50)),
    "width that decord cannot do": lambda p: media.make_video(p / "w72.mp4", 9, size=(72, 40)),
}
HARD_MAKERS = {
    "open GOP": lambda p: media.make_video(p / "open.mp4", 45, options=OPEN_GOP),
    "MPEG-4 with B-frames in MP4": lambda p: media.make_video(p / "b.mp4", 41, codec="mpeg4", options={"bf": "2"}),
    "MPEG-4 with B-frames in AVI": lambda p: media.make_video(p / "b.avi", 41, codec="mpeg4", options={"bf": "2"}),
    "fragments": lambda p: with_options(
        h264(p / "whole.mp4", 40, **X264_GOP), p / "f.mp4", movflags="frag_keyframe+empty_moov"
    ),
}
# Display matrices, and what they do to a picture (H, W, 3).
TURNS = {
    "half a turn": (media.HALF_TURN, lambda picture: np.rot90(picture, 2)),
    "a quarter turn": (media.QUARTER_TURN, lambda picture: np.rot90(picture, -1)),
    "three quarters": (media.THREE_QUARTERS, np.rot90),
    "mirrored": (media.MIRRORED, np.fliplr),
}


def assert_frames_by_content(path: Path, decoder: str) -> None:
    """All at once, each alone from a fresh reader and from a used one, in groups: always the frame of that number."""
    length = len(media.frames_of(path))
    used = open_video(path, decoder)
    assert len(used) == length
    everything = used.get_frames(np.arange(length))
    assert everything.dtype == np.uint8 and everything.shape[3] == 3
    assert media.numbers(everything) == list(range(length))
    alone = [media.number_of(used.get_frames(np.array([i]))[0]) for i in range(length)]
    assert alone == list(range(length))
    rng = np.random.default_rng(0)
    for i in rng.integers(0, length, 12):
        assert media.number_of(open_video(path, decoder).get_frames(np.array([i]))[0]) == i
    for _ in range(8):
        group = np.unique(rng.integers(0, length, 6))
        assert media.numbers(open_video(path, decoder).get_frames(group)) == group.tolist()
        assert media.numbers(used.get_frames(group)) == group.tolist()


class TestShape:
    @pytest.mark.parametrize("size", [(2550, 50), (50, 2550)])
    def test_thin_pictures_are_refused(self, tmp_path: Path, size: tuple[int, int]) -> None:
        """Scaled to a short side of 256 pixels they would take gigabytes."""
        write_folder(tmp_path, 2, "{:05d}.jpg", size=size)
        with pytest.raises(VideoError, match=r"00001\.jpg: expected an aspect ratio of at most 50 to 1, got "):
            FrameFolder(tmp_path, 2, "{:05d}.jpg").get_frames(np.arange(2))


class TestRelease:
    def test_a_file_is_closed_with_its_reader(self, tmp_path: Path) -> None:
        """At once: what waits for the garbage collector piles up over thousands of clips."""
        whole = h264(tmp_path / "a.mp4", 40, **X264_GOP)
        half = tmp_path / "half.mp4"
        half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        gc.collect()
        gc.disable()
        try:
            for path in (whole, half, whole):
                with contextlib.suppress(VideoError):
                    open_video(path, "pyav").get_frames(np.array([3, 20]))
                opened = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
                assert str(path.resolve()) not in opened
        finally:
            gc.enable()


class TestIndex:
    @pytest.mark.parametrize("decoder", DECODERS)
    @pytest.mark.parametrize("kind", MAKERS)
    def test_frames_are_those_asked_for(self, tmp_path: Path, kind: str, decoder: str) -> None:
        assert_frames_by_content(MAKERS[kind](tmp_path), decoder)

    @pytest.mark.parametrize("decoder", DECODERS)
    @pytest.mark.parametrize("kind", HARD_MAKERS)
    def test_frames_are_those_asked_for_in_awkward_files(self, tmp_path: Path, kind: str, decoder: str) -> None:
        assert_frames_by_content(HARD_MAKERS[kind](tmp_path), decoder)

    @pytest.mark.parametrize("decoder", OTHERS)
    @pytest.mark.parametrize("kind", MAKERS)
    def test_decoders_give_the_same_pixels(self, tmp_path: Path, kind: str, decoder: str) -> None:
        path = MAKERS[kind](tmp_path)
        one, other = (open_video(path, name) for name in ("pyav", decoder))
        assert len(one) == len(other)
        indices = np.arange(len(one))
        assert np.array_equal(one.get_frames(indices), other.get_frames(indices))

    @pytest.mark.parametrize("decoder", DECODERS)
    def test_pixels_of_real_videos(self, decoder: str) -> None:
        rng = np.random.default_rng(0)
        for path in media.real_videos():
            reader = open_video(path, decoder)
            indices = np.unique(rng.integers(0, len(reader), 12))
            expected = [f for i, (_, f) in enumerate(media.frames_of(path)) if i in set(indices.tolist())]
            assert np.array_equal(reader.get_frames(indices), np.stack(expected)), path.name


@pytest.mark.parametrize("decoder", DECODERS)
class TestUpright:
    @pytest.mark.parametrize("turn", TURNS)
    def test_pictures_stand_as_a_viewer_would_see_them(
        self, tmp_path: Path, turn: str, decoder: str, request: pytest.FixtureRequest
    ) -> None:
        if turn == "mirrored" and decoder != "pyav":
            request.applymarker(pytest.mark.xfail(strict=decoder == "decord", reason=f"{decoder} knows turns only"))
        matrix, expected = TURNS[turn]
        path = h264(tmp_path / "t.mp4", 9, **X264_GOP)
        stored = [picture for _, picture in media.frames_of(path)]
        frames = open_video(media.turn_by_metadata(path, matrix), decoder).get_frames(np.arange(9))
        for frame, picture in zip(frames, stored, strict=True):
            assert frame.shape == expected(picture).shape
            assert np.abs(frame.astype(int) - expected(picture)).max() <= 2


class TestReadFrames:
    @pytest.mark.parametrize("decoder", DECODERS)
    def test_any_order_and_any_repetition(self, tmp_path: Path, decoder: str) -> None:
        reader = open_video(h264(tmp_path / "a.mp4", 40, **X264_GOP), decoder)
        wanted = np.array([[30, 31, 32, 32, 32], [3, 4, 5, 6, 7], [30, 3, 39, 0, 39]])
        frames, places = read_frames(reader, wanted)
        assert places.shape == wanted.shape
        assert len(frames) == len(np.unique(wanted))  # each decoded once
        shown = np.array(media.numbers(frames))
        assert (np.diff(shown) > 0).all()
        assert shown[places].tolist() == wanted.tolist()

    def test_one_call_of_the_reader(self) -> None:
        calls = []

        class Counting:
            def __len__(self) -> int:
                return 9

            def get_frames(self, indices: np.ndarray) -> np.ndarray:
                calls.append(indices.tolist())
                return np.zeros((len(indices), 2, 2, 3), np.uint8)

        frames, places = read_frames(Counting(), [5, 1, 5, 1, 8])
        assert calls == [[1, 5, 8]]
        assert frames.shape == (3, 2, 2, 3) and places.tolist() == [1, 0, 1, 0, 2]


class TestFrameFolder:
    @pytest.mark.parametrize("first", [0, 1])
    @pytest.mark.parametrize("template", ["{:05d}.png", "img_{:d}.png"])
    def test_numbered_from_0_or_1(self, tmp_path: Path, first: int, template: str) -> None:
        reader = FrameFolder(write_folder(tmp_path / "v", 12, template, first), 12, template)
        assert len(reader) == 12
        assert media.numbers(reader.get_frames(np.arange(12))) == list(range(12))
        assert media.numbers(reader.get_frames(np.array([2, 7, 11]))) == [2, 7, 11]

    def test_jpeg(self, tmp_path: Path) -> None:
        reader = FrameFolder(write_folder(tmp_path / "v", 5, "{:05d}.jpg"), 5, "{:05d}.jpg")
        frames = reader.get_frames(np.arange(5))
        assert frames.shape == (5, 48, 64, 3) and frames.dtype == np.uint8
        assert media.numbers(frames) == list(range(5))

    def test_pixels_are_those_of_the_png(self, tmp_path: Path) -> None:
        picture = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(picture).save(tmp_path / "00001.png")
        assert np.array_equal(FrameFolder(tmp_path, 1, "{:05d}.png").get_frames(np.array([0]))[0], picture)

    @pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "CMYK"])
    def test_other_kinds_of_picture_become_rgb(self, tmp_path: Path, mode: str) -> None:
        grey = np.tile(np.arange(0, 240, 4, dtype=np.uint8), (20, 1))
        name = "00001.tif" if mode == "CMYK" else "00001.png"
        Image.fromarray(grey).convert(mode).save(tmp_path / name)
        frames = FrameFolder(tmp_path, 1, "{:05d}" + name[5:]).get_frames(np.array([0]))
        assert frames.shape == (1, 20, 60, 3)
        assert all(np.array_equal(frames[0, :, :, channel], grey) for channel in range(3))

    def test_one_folder_may_mix_grey_and_colour(self, tmp_path: Path) -> None:
        write_folder(tmp_path, 3)
        Image.fromarray(media.numbered_picture(1, 64, 48)).convert("L").save(tmp_path / "00002.png")
        assert media.numbers(FrameFolder(tmp_path, 3, "{:05d}.png").get_frames(np.arange(3))) == [0, 1, 2]

    def test_the_list_says_how_many(self, tmp_path: Path) -> None:
        """Images beyond are not read, images that are not there are named."""
        folder = write_folder(tmp_path / "v", 12, "{:05d}.png")
        short, long = (FrameFolder(folder, number, "{:05d}.png") for number in (8, 13))
        assert (len(short), len(long)) == (8, 13)
        assert media.numbers(long.get_frames(np.arange(12))) == list(range(12))
        with pytest.raises(VideoError, match=r"00013\.png: expected an image, got nothing there"):
            long.get_frames(np.array([12]))


def reason(path: Path, decoder: str) -> str:
    """The message with which opening a file, or else reading all of it, fails."""

    def read() -> None:
        reader = open_video(path, decoder)
        reader.get_frames(np.arange(len(reader)))

    with pytest.raises(VideoError) as caught:
        read()
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def cut_off(folder: Path, picture: int, inside: bool) -> Path:
    """An mp4 file of 60 frames, its index in front, that ends within or before the data of one of them."""
    whole = with_options(h264(folder / "whole.mp4", 60, **X264_GOP), folder / "front.mp4", movflags="faststart")
    with av.open(str(whole)) as container:
        packet = [p for p in container.demux(video=0) if p.size][picture]
    path = folder / "cut.mp4"
    path.write_bytes(whole.read_bytes()[: packet.pos + (packet.size // 2 if inside else 0)])
    return path


class TestBrokenFolders:
    def read(self, folder: Path, num_frames: int = 3, template: str = "{:05d}.png") -> str:
        with pytest.raises(VideoError) as caught:
            FrameFolder(folder, num_frames, template).get_frames(np.arange(num_frames))
        message = str(caught.value)
        assert str(folder) in message and "\n" not in message
        return message

    def test_missing_image(self, tmp_path: Path) -> None:
        (write_folder(tmp_path / "v", 3) / "00002.png").unlink()
        assert "00002.png" in self.read(tmp_path / "v")

    def test_fewer_images_than_the_list_says(self, tmp_path: Path) -> None:
        assert "00004.png" in self.read(write_folder(tmp_path / "v", 3), num_frames=4)

    def test_missing_folder(self, tmp_path: Path) -> None:
        assert "folder" in self.read(tmp_path / "nowhere")

    def test_file_instead_of_folder(self, tmp_path: Path) -> None:
        self.read(write_broken(tmp_path / "v"))

    def test_different_sizes(self, tmp_path: Path) -> None:
        folder = write_folder(tmp_path / "v", 3)
        Image.new("RGB", (20, 10)).save(folder / "00003.png")
        message = self.read(folder)
        for word in ("00003.png", "64x48", "20x10"):
            assert word in message

    @pytest.mark.parametrize("suffix", ["png", "jpg"])
    @pytest.mark.parametrize("damage", ["empty", "text", "cut", "folder"])
    def test_damaged_image(self, tmp_path: Path, suffix: str, damage: str) -> None:
        template = "{:05d}." + suffix
        victim = write_folder(tmp_path / "v", 3, template) / f"00002.{suffix}"
        content = victim.read_bytes()
        victim.unlink()
        if damage == "folder":
            victim.mkdir()
        else:
            victim.write_bytes({"empty": b"", "text": b"no picture" * 99, "cut": content[: len(content) // 2]}[damage])
        assert victim.name in self.read(tmp_path / "v", template=template)

    @pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
    def test_random_damage_is_never_another_exception(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        for suffix in ("png", "jpg", "webp"):
            template = "{:05d}." + suffix
            path = write_folder(tmp_path, 1, template) / template.format(1)
            content = path.read_bytes()
            for _ in range(60):
                damaged = bytearray(content[: rng.integers(1, len(content))] if rng.random() < 0.3 else content)
                for _ in range(rng.integers(1, 6)):
                    damaged[rng.integers(len(damaged))] = rng.integers(256)
                path.write_bytes(damaged)
                with contextlib.suppress(VideoError):
                    assert FrameFolder(tmp_path, 1, template).get_frames(np.array([0])).dtype == np.uint8


@pytest.mark.parametrize("decoder", DECODERS)
class TestBrokenVideos:
    def test_missing(self, tmp_path: Path, decoder: str) -> None:
        assert "nothing there" in reason(tmp_path / "nowhere.mp4", decoder)

    def test_folder(self, tmp_path: Path, decoder: str) -> None:
        (tmp_path / "a.mp4").mkdir()
        assert "a folder" in reason(tmp_path / "a.mp4", decoder)

    def test_text(self, tmp_path: Path, decoder: str) -> None:
        reason(write_broken(tmp_path / "text.mp4"), decoder)

    def test_empty(self, tmp_path: Path, decoder: str) -> None:
        (tmp_path / "empty.mp4").touch()
        reason(tmp_path / "empty.mp4", decoder)

    def test_sound_only(self, tmp_path: Path, decoder: str) -> None:
        reason(media.make_sound(tmp_path / "sound.mp4"), decoder)

    @pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
    def test_cut_off_before_its_index(self, tmp_path: Path, decoder: str, part: float) -> None:
        content = h264(tmp_path / "whole.mp4", 60, **X264_GOP).read_bytes()
        (tmp_path / "cut.mp4").write_bytes(content[: int(part * len(content))])
        reason(tmp_path / "cut.mp4", decoder)

    @pytest.mark.parametrize("picture", [20, 45, 59])
    def test_cut_off_inside_a_picture(self, tmp_path: Path, decoder: str, picture: int) -> None:
        reason(cut_off(tmp_path, picture, inside=True), decoder)

    @pytest.mark.parametrize("inside", [True, False])
    def test_cut_off_video_is_not_a_shorter_video(self, tmp_path: Path, decoder: str, inside: bool) -> None:
        try:
            length = len(open_video(cut_off(tmp_path, 30, inside), decoder))
        except VideoError:
            return
        assert length == 60

    def test_damaged_in_the_middle(self, tmp_path: Path, decoder: str) -> None:
        content = bytearray(h264(tmp_path / "whole.mp4", 60, **X264_GOP).read_bytes())
        middle = content.index(b"mdat") + 400
        content[middle : middle + 300] = b"\xab" * 300
        (tmp_path / "damaged.mp4").write_bytes(content)
        reason(tmp_path / "damaged.mp4", decoder)


@pytest.mark.parametrize("decoder", OTHERS)
def test_pyav_reads_what_another_decoder_fails_on(tmp_path: Path, decoder: str) -> None:
    path = media.make_video(tmp_path / "w72.mp4", 9, size=(72, 40))  # a width that decord cannot do
    reader = open_video(path, decoder)

    class Failing:
        def __getattr__(self, name: str) -> None:
            raise RuntimeError("no")

    for name in ("_reader", "_decoder"):
        if hasattr(reader, name):
            setattr(reader, name, Failing())
    assert media.numbers(reader.get_frames(np.array([3, 8]))) == [3, 8]


@pytest.mark.parametrize("decoder", DECODERS)
def test_pictures_of_two_sizes_are_an_error(tmp_path: Path, decoder: str) -> None:
    """Two streams of JPEG pictures, one behind the other; they are not scaled."""
    parts = [
        media.make_video(tmp_path / f"{width}.mjpeg", 4, (width, 48), codec="mjpeg", pix_fmt="yuvj420p")
        for width in (64, 96)
    ]
    path = tmp_path / "two.mjpeg"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    message = r"two\.mjpeg: expected frame 4 of 64x48 pixels like frame 0, got 96x48"
    with pytest.raises(VideoError, match=message):
        open_video(path, decoder).get_frames(np.arange(8))
    if decoder == "pyav":  # crops of one size do not hide it
        with pytest.raises(VideoError, match=message):
            read_frames(open_video(path, decoder), range(8), lambda height, width: (0, 0, 40, 40))


class TestChooseDecoder:
    @pytest.mark.parametrize("decoder", DECODERS)
    def test_by_name(self, decoder: str) -> None:
        assert choose_decoder(decoder) == decoder

    @pytest.mark.parametrize("how", ["absent", "unloadable"])
    def test_pyav_stands_in_for_decord_and_says_so(
        self, how: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
    ) -> None:
        hide_decord(how, monkeypatch, tmp_path)
        with caplog.at_level(logging.INFO):
            assert choose_decoder("decord") == "pyav"
        assert len({record.getMessage() for record in caplog.records}) == 1
        message = caplog.records[0].getMessage()
        assert "decord" in message and "PyAV" in message and "\n" not in message

    def test_others_by_name_must_be_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "torchcodec.decoders", None)
        with pytest.raises(InputError, match=r"--decoder torchcodec needs .* pip install torchcodec"):
            choose_decoder("torchcodec")

    def test_what_to_install_where_ffmpeg_has_no_shared_libraries(self, monkeypatch: pytest.MonkeyPatch) -> None:
        package = ModuleType("torchcodec")
        package.ffmpeg_major_version = None  # as torchcodec says it
        monkeypatch.setitem(sys.modules, "torchcodec", package)
        monkeypatch.setitem(sys.modules, "torchcodec.decoders", ModuleType("torchcodec.decoders"))
        with pytest.raises(InputError, match=r"FFmpeg's shared libraries.*apt-get install ffmpeg"):
            choose_decoder("torchcodec")

    def test_frame_folders_need_no_decoder(self) -> None:
        """No decoder is imported before a video file is opened."""
        code = "import sys, ops.video.reader; sys.exit(bool({'decord', 'av', 'torchcodec'} & set(sys.modules)))"
        assert subprocess.run([sys.executable, "-c", code], cwd=media.REPOSITORY, check=False).returncode == 0


def hide_decord(how: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """As where decord is not installed, or where its library does not load."""
    if how == "absent":
        monkeypatch.setitem(sys.modules, "decord", None)
    else:
        monkeypatch.delitem(sys.modules, "decord", raising=False)
        (folder / "decord.py").write_text("raise OSError('libdecord.so: cannot open shared object file')")
        monkeypatch.syspath_prepend(folder)
