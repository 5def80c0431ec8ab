"""Every decoder gives the frames of plain decoding, whatever the codec, the container and the way it was cut."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from ops.video.container import open_container
from ops.video.errors import VideoError
from ops.video.index import known
from ops.video.index.packet_index import PacketIndex
from ops.video.pyav import PyAVReader
from ops.video.reader import open_video
from tests import media
from tests.video import grid

Plain = tuple[Path, np.ndarray]
NOT_FROM_BYTES = ("mkv", "edit list", "VP8", "VP9", "AV1", "Motion", "ProRes")


def plain_decoding(path: Path) -> np.ndarray:
    """All frames (F, H, W, 3) of the first stream that is no cover art, one after the other."""
    with open_container(path) as container:
        streams = (s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic)
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(next(streams))])


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Iterator[None]:
    level = av.logging.get_level()
    av.logging.set_level(None)
    yield
    av.logging.set_level(level)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Plain]:
    """Files of the grid and their frames, made when they are first asked for."""
    made: dict[str, Plain] = {}

    def file(kind: str) -> Plain:
        if kind not in made:
            path = grid.FILES[kind](tmp_path_factory.mktemp("grid"))
            made[kind] = path, plain_decoding(path)
        return made[kind]

    return file


def assert_same(path: Path, decoder: str, expected: np.ndarray, rng: np.random.Generator, times: int) -> None:
    """All at once; then single frames and groups in random order, from new readers and from one that was used."""
    used = open_video(path, decoder)
    assert len(used) == len(expected)
    assert np.array_equal(used.get_frames(np.arange(len(expected))), expected)
    for number in range(times):
        for size in (1, 4):
            indices = np.unique(rng.integers(0, len(expected), size))
            reader = used if number % 2 else open_video(path, decoder)
            assert np.array_equal(reader.get_frames(indices), expected[indices]), indices


@pytest.mark.parametrize("decoder", media.ALL_DECODERS)
@pytest.mark.parametrize("kind", grid.FILES)
def test_frames_are_those_of_plain_decoding(files: Callable[[str], Plain], kind: str, decoder: str) -> None:
    path, expected = files(kind)
    assert_same(path, decoder, expected, np.random.default_rng(0), times=8)


@pytest.mark.slow
@pytest.mark.parametrize("decoder", media.ALL_DECODERS)
@pytest.mark.parametrize("kind", grid.FILES)
def test_many_more_reads(files: Callable[[str], Plain], kind: str, decoder: str) -> None:
    path, expected = files(kind)
    assert_same(path, decoder, expected, np.random.default_rng(1), times=150)


@pytest.mark.parametrize("kind", grid.FILES)
def test_jumps_are_used_where_they_are_safe(files: Callable[[str], Plain], kind: str) -> None:
    """And there alone: that frames are right would not show that they come quickly."""
    assert (PyAVReader(files(kind)[0]).places is not None) == (kind in grid.JUMPS)


@pytest.mark.parametrize("kind", grid.FILES)
def test_frames_without_the_container(files: Callable[[str], Plain], kind: str, tmp_path: Path) -> None:
    """What a pass over the packets has shown, from an index; then without the places of bytes that it holds."""
    path, expected = files(kind)
    index = PacketIndex(tmp_path / "index", path.parent)
    index.create()
    known._known.clear()
    PyAVReader(path, index)
    index.close()
    known._known.clear()
    reader = PyAVReader(path, index)
    opened = reader._container is not None
    assert opened == (kind not in grid.JUMPS or any(word in kind for word in NOT_FROM_BYTES))
    rng = np.random.default_rng(2)
    for number in range(8):
        indices = np.unique(rng.integers(0, len(expected), 5)) if number else np.arange(len(expected))
        assert np.array_equal(reader.get_frames(indices), expected[indices]), indices
        assert (reader._container is not None) == opened
    reader._packets = None
    assert np.array_equal(reader.get_frames(np.arange(len(expected))), expected)
    index.close()


def test_pictures_of_the_grid_differ(files: Callable[[str], Plain]) -> None:
    """That a wrong frame would be noticed; whole files show all numbers."""
    cut = ("cut", "copied", "dropped", "made-up", "joined")
    for kind in grid.FILES:
        _, frames = files(kind)
        begun = 2 if "between key frames" in kind else 0  # grey, as long as there is nothing to refer to
        frames = frames[begun:]
        assert (frames[1:] != frames[:-1]).any(axis=(1, 2, 3)).all(), kind
        if not any(word in kind for word in cut):
            assert media.numbers(frames) == list(range(grid.FRAMES)), kind
    assert len(grid.FILES) >= 80


def random_video(folder: Path, rng: np.random.Generator) -> Path:
    """A video of a codec with jumps, coded with random settings, cut to random packets and remuxed."""
    frames, name = (
        int(rng.integers(2, 90)),
        str(rng.choice(["libx264", "libx265", "libvpx", "libvpx-vp9", "libsvtav1"])),
    )
    gop, b_frames, keyint = int(rng.integers(1, 30)), int(rng.integers(0, 5)), int(rng.integers(7, 30))
    opened = int(rng.integers(2))
    settings = f"keyint={keyint}:bframes={b_frames}:open-gop={opened}:ref={rng.integers(1, 6)}:b-adapt=0:scenecut=0"
    options = {
        "libx264": {"x264-params": f"{settings}:b-pyramid={rng.integers(3)}", "preset": "veryfast"},
        "libx265": {"x265-params": f"{settings}:pools=none:frame-threads=1:log-level=none", "preset": "ultrafast"},
        "libvpx": {"g": str(gop), "deadline": "realtime", "cpu-used": "8", "b": "400000"},
        "libvpx-vp9": {"g": str(gop), "deadline": "good", "cpu-used": "8", "lag-in-frames": str(rng.integers(20))},
        "libsvtav1": {"g": str(gop), "preset": "12", "svtav1-params": "lp=1"},
    }[name]
    times = np.cumsum(rng.integers(1, 4, frames)).tolist()
    begin, end = sorted(rng.integers(0, frames + 1, 2).tolist()) if rng.integers(2) else (0, frames)
    suffix = str(rng.choice(["mp4", "mkv", "mov"])) if name.startswith("libx26") else "mkv"

    def cut(packets: list[av.Packet]) -> list[av.Packet]:
        first = begin
        while not name.startswith("libx26") and first > 0 and not (first < frames and packets[first].is_keyframe):
            first -= 1  # plain decoding would stop at the first picture
        for packet in packets if not name.startswith("libx26") else []:
            packet.dts = packet.pts
        left = packets[first : max(end, first + 1)]
        for packet, following in list(itertools.pairwise(left))[::-1]:  # Matroska does not store it of the first ones
            if packet.dts is None:
                packet.dts = following.dts - 1
        return left

    maker = grid.make(f"whole.{suffix}", name, options, frames=frames, times=times)
    return grid.remux(maker, f"cut.{suffix}", cut)(folder)


SEEDS = [*range(40), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(40, 600))]


@pytest.mark.parametrize("seed", SEEDS)
def test_random_settings_and_cuts(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    path = random_video(tmp_path, rng)
    try:
        expected = plain_decoding(path)
    except (av.error.FFmpegError, ValueError):  # one picture that refers to others, for example
        with pytest.raises(VideoError):
            PyAVReader(path)
    else:
        assert_same(path, "pyav", expected, rng, times=4)
