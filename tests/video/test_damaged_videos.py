"""Hundreds of damaged files: each ends in a clip under its own label, or in a reason that names the file."""

import functools
import os
import resource
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from ops.data.dataset import BrokenVideo, SampleKey, TrainClips, VideoSource
from ops.data.dataset import TestVideos as VideosOfTests
from ops.data.sampling import FrameSampler
from ops.data.transforms import TestTransform as TransformOfTests
from ops.data.transforms import TrainTransform
from ops.data.video_list import VideoRecord
from ops.preparation.checking.video_check import inspect_video
from ops.video import container
from ops.video import errors as video_errors
from ops.video import reader as video_reader
from ops.video.container import open_container, picture_stream
from ops.video.errors import VideoError
from ops.video.frame_folder import FrameFolder
from ops.video.index import known as memory
from ops.video.index.packet_index import PacketIndex
from ops.video.pyav import PyAVReader
from ops.video.reader import open_video
from tests import damage, guarded, media
from tests.clip_files import make_spec, write_folder
from tests.damage import FRAMES, Damaged, absurd_videos, damaged_folders, flip, mutated_videos, odd_videos, whole_videos
from tests.guarded import Outcome, outcomes

DECODERS = [name for name in video_reader.DECODERS if media.decoder_loads(name)]
LABEL = 2
SIZE = 32


def read(root: Path, item: tuple[Damaged, str]) -> list[Any]:
    """A training clip and a test video of a file: for each label and shape, or the reason why there is none."""
    damaged, decoder = item
    is_folder = damaged.kind == "folder"
    spec = make_spec(root, "frames" if is_folder else "videos", image_tmpl="{:05d}.jpg")
    source = VideoSource(spec, [VideoRecord(str(damaged.path), FRAMES if is_folder else None, LABEL)], decoder)
    clips = TrainClips(source, 2, FrameSampler(5), TrainTransform(SIZE, spec.mirror_labels()), seed=0)
    views = VideosOfTests(source, [(2, FrameSampler(5))], TransformOfTests(SIZE + 4, SIZE, 3), (0, 1), 2)
    found: list[Any] = []
    for sample in (clips[SampleKey(0, 0)], views[0]):
        if isinstance(sample, BrokenVideo):
            found.append(sample.reason)
        else:
            pixels = [sample.pixels] if hasattr(sample, "pixels") else [
                sample.view(0, clip, box) for clip, box in product(range(2), range(3))
            ]  # fmt: skip
            found.append((sample.label, sample.video, {tuple(p.shape) for p in pixels}, {str(p.dtype) for p in pixels}))
    return found


READ = (LABEL, 0, {(2, 5, 3, SIZE, SIZE)}, {"torch.uint8"})


def problems(items: Sequence[tuple[Damaged, str]], found: Sequence[Outcome]) -> list[str]:
    """What is not as it should be."""
    wrong = []
    for (damaged, decoder), outcome in zip(items, found, strict=True):
        name = f"{damaged.path.name} ({damaged.kind}, {damaged.damage}, {decoder})"
        if outcome.problem:
            wrong.append(f"{name}: {outcome.problem}")
            continue
        for result in outcome.value:
            if isinstance(result, str):
                if str(damaged.path) not in result or "\n" in result or damaged.ends_in == "clip":
                    wrong.append(f"{name}: {result}")
            elif result != READ or damaged.ends_in == "error":
                wrong.append(f"{name}: {result}")
    return wrong


def damaged_files(root: Path, each: int, seed: int) -> list[tuple[Damaged, str]]:
    """Everything, with each decoder that reads it."""
    videos = [
        *(Damaged(path, kind, "none", "clip") for kind, path in whole_videos(root / "good").items()),
        *mutated_videos(root / "mutated", each, seed), *odd_videos(root / "odd"), *absurd_videos(root / "absurd"),
    ]  # fmt: skip
    folders = damaged_folders(root / "folders", max(each // 2, 2), seed)
    return [*product(videos, DECODERS), *((folder, "pyav") for folder in folders)]


def check(root: Path, each: int, seed: int) -> list[tuple[Damaged, str]]:
    items = damaged_files(root, each, seed)
    found = outcomes(items, functools.partial(read, root))
    assert problems(items, found) == []
    ended = Counter(isinstance(result, str) for outcome in found for result in outcome.value)
    assert min(ended.values()) > len(items) / 5  # neither was everything refused, nor did damage do nothing
    return items


class TestDamagedFiles:
    def test_a_clip_or_a_reason(self, tmp_path: Path) -> None:
        items = check(tmp_path, each=6, seed=0)
        assert len({damaged.path for damaged, _ in items}) > 300

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", range(1, 6))
    def test_a_clip_or_a_reason_of_many_more(self, tmp_path: Path, seed: int) -> None:
        check(tmp_path, each=30, seed=seed)

    @pytest.mark.parametrize("decoder", media.ALL_DECODERS)
    def test_absurd_sizes_take_no_memory(self, tmp_path: Path, decoder: str) -> None:
        """One picture of that size would take 768 MB as RGB."""
        items = [(damaged, decoder) for damaged in absurd_videos(tmp_path)]

        def peak(item: tuple[Damaged, str]) -> int:
            read(tmp_path, item)
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

        found = [outcome.value for outcome in outcomes([items[0], *items], peak)]
        assert max(found) - found[0] < 400

    @pytest.mark.parametrize("decoder", media.ALL_DECODERS)
    def test_unreadable_files_are_named(self, decoder: str) -> None:
        with tempfile.TemporaryDirectory() as name:  # one that others may enter, unlike tmp_path
            root = Path(name)
            root.chmod(0o755)
            paths = [media.make_video(root / f"{name}.mp4", 12) for name in ("open", "locked")]
            assert [len(open_video(path, decoder)) for path in paths] == [12, 12]
            paths[1].chmod(0)

            def read_as_another(path: Path) -> int:
                if os.geteuid() == 0:  # to whom nothing is unreadable
                    os.seteuid(65_534)
                return len(open_video(path, decoder).get_frames(np.arange(12)))  # the length may be known already

            whole, locked = outcomes(paths, read_as_another)
            assert whole.value == 12
            assert f"VideoError: {paths[1]}: expected" in locked.problem


def noisy_waves(number: int, width: int, height: int) -> np.ndarray:
    """A picture (height, width, 3) that moves and has no flat parts: damage to it shows."""
    y, x = np.mgrid[:height, :width]
    waves = 128 + 60 * np.sin((x + 3 * number) / 7) + 60 * np.cos((y - 2 * number) / 5)
    noise = np.random.default_rng(number).normal(0, 12, (height, width, 3))
    return np.clip(waves[..., None] + noise, 0, 255).astype(np.uint8)


def decoded(path: Path) -> list[np.ndarray]:
    """All frames by plain decoding."""
    with open_container(path) as opened:
        return [frame.to_ndarray(format="rgb24") for frame in opened.decode(picture_stream(path, opened))]


def test_damaged_key_frames_are_those_of_plain_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg fills in a damaged picture from those before it: a jump to it would give other pixels."""
    monkeypatch.setattr(media, "numbered_picture", noisy_waves)
    whole = media.make_video(tmp_path / "a.mp4", FRAMES, options={"bf": "2", "g": "8", "preset": "ultrafast"})
    content = whole.read_bytes()
    with open_container(whole) as opened:
        keys = [(p.pos, p.size) for p in opened.demux(video=0) if p.size and p.is_keyframe]
    for seed, (place, size) in product(range(4), keys[1:]):
        copy = tmp_path / f"{place}_{seed}.mp4"
        copy.write_bytes(flip(content, np.random.default_rng(seed), place + size // 4, place + size))
        expected = decoded(copy)
        assert np.array_equal(expected, decoded(copy))
        reader = PyAVReader(copy)
        assert reader.places is not None and len(reader) == len(expected)
        for index in (20, 17, 12, 9):
            assert np.array_equal(reader.get_frames(np.array([index]))[0], expected[index])


def decoded_or_none(path: Path) -> list[np.ndarray] | None:
    """All frames, where plain decoding reads a damaged file to its end."""
    try:
        return decoded(path)
    except av.error.FFmpegError:
        return None


def differences(path: Path, expected: list[np.ndarray], index: PacketIndex | None = None) -> set[int]:
    """Frames that differ from plain decoding when they are read one by one and in groups, in no order."""
    memory._known.clear()
    reader, rng = PyAVReader(path, index), np.random.default_rng(0)
    assert len(reader) == len(expected)
    found: set[int] = set()
    for number in range(16):
        indices = np.unique(rng.integers(0, len(expected), 4 if number % 2 else 1))
        pairs = zip(indices.tolist(), reader.get_frames(indices), strict=True)
        found |= {index for index, picture in pairs if not np.array_equal(picture, expected[index])}
    return found


def test_damaged_mpeg_1_is_that_of_plain_decoding(tmp_path: Path) -> None:
    """The first time too: a reader that keeps decoded frames changes FFmpeg's buffers, and so what it fills in."""
    options = {"bf": "2", "g": "8"}
    content = media.make_video(tmp_path / "a.mpg", 48, (96, 64), codec="mpeg1video", options=options).read_bytes()
    for seed in (8, 20, 22, 26):
        copy = tmp_path / f"{seed}.mpg"
        copy.write_bytes(damage.flip_anywhere(content, np.random.default_rng(seed)))
        if expected := decoded_or_none(copy):
            assert differences(copy, expected) == set(), seed


def test_damage_that_a_check_has_seen_is_not_jumped_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A jump skips damaged pictures that change others; the index keeps that such a file is decoded from its start."""
    monkeypatch.setattr(media, "numbered_picture", noisy_waves)
    content = media.make_video(tmp_path / "a.mp4", FRAMES, options=damage.X264).read_bytes()
    checked = 0
    for seed in range(9, 34):
        copy = tmp_path / f"{seed}.mp4"
        copy.write_bytes(damage.flip_anywhere(content, np.random.default_rng(seed)))
        index = PacketIndex(tmp_path / f"{seed}.sqlite3", tmp_path)
        index.create()
        found = [problem.kind for problem in inspect_video(copy, "pyav", 1, index=index).problems]
        index.close()
        if found == ["damaged"] and (expected := decoded_or_none(copy)):
            checked += 1
            assert differences(copy, expected, index) == set(), seed
    assert checked > 3


class TestLargePictures:
    @pytest.mark.parametrize("decoder", media.ALL_DECODERS)
    def test_of_a_video(self, tmp_path: Path, decoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
        path = media.make_video(tmp_path / "a.mp4", 9, (64, 48))
        monkeypatch.setattr(video_errors, "MAX_PIXELS", 64 * 48)
        assert len(open_video(path, decoder)) == 9
        monkeypatch.setattr(video_errors, "MAX_PIXELS", 64 * 48 - 1)
        path = path.rename(tmp_path / "b.mp4")  # of a file, what was found out before is known
        with pytest.raises(VideoError, match=r"b\.mp4: expected pictures of at most 3071 pixels, got 64x48"):
            open_video(path, decoder)

    def test_of_a_folder(self, tmp_path: Path) -> None:
        Image.new("1", (9000, 6000)).save(tmp_path / "00001.png")
        with pytest.raises(VideoError, match=r"00001\.png: expected pictures of at most .* got 9000x6000"):
            FrameFolder(tmp_path, 1, "{:05d}.png").get_frames(np.array([0]))

    def test_8k_is_not_too_large(self) -> None:
        assert video_errors.MAX_PIXELS >= 7680 * 4320

    @pytest.mark.parametrize("decoder", media.ALL_DECODERS)
    def test_more_frames_than_anyone_has(self, tmp_path: Path, decoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
        path = media.make_video(tmp_path / "a.mp4", 12)
        monkeypatch.setattr(container, "MAX_FRAMES", 11)
        if decoder != "pyav":
            with pytest.raises(VideoError, match="expected at most 11 frames, got 12"):
                open_video(path, decoder)
        else:
            assert len(open_video(path, decoder)) == 12  # PyAV reserves no memory for what is announced


class TestGuard:
    """That the tests above could fail."""

    def test_crash_hang_and_exception_are_of_their_items(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(guarded, "HANG_SECONDS", 3.0)

        def work(item: str) -> str:
            if item == "crash":
                os.kill(os.getpid(), signal.SIGKILL)
            if item == "hang":
                time.sleep(3600)
            if item == "memory":
                bytearray(1 << 44)
            return item.upper()

        found = outcomes(["a", "crash", "b", "memory", "hang", "c", "crash"], work)
        assert [o.value for o in found] == ["A", None, "B", None, None, "C", None]
        assert ["exit code -9" in o.problem for o in found] == [False, True, False, False, False, False, True]
        assert "MemoryError" in found[3].problem and "hung" in found[4].problem

    def test_wrong_results_are_problems(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mp4"
        fine, odd = Damaged(path, "mp4", "cut"), Damaged(path, "mp4", "empty", "error")
        reason = f"{path}: no"
        assert problems([(fine, "pyav")] * 2, [Outcome([READ, READ]), Outcome([reason, reason])]) == []
        assert problems([(odd, "pyav")], [Outcome([reason, READ])])
        other_shape = (*READ[:2], {(2, 5, 3, SIZE, SIZE + 1)}, READ[3])
        for bad in ((LABEL + 1, *READ[1:]), other_shape, "b.mp4: no", f"{path}\n"):
            assert problems([(fine, "pyav")], [Outcome([bad])])

    def test_damage_is_repeatable(self, tmp_path: Path) -> None:
        contents = []
        for _ in range(2):
            contents.append([d.path.read_bytes() for d in mutated_videos(tmp_path / "m", 1, seed=4)])
            shutil.rmtree(tmp_path / "m")
        assert [len(c) for c in contents[0]] == [len(c) for c in contents[1]]

    def test_folders_are_damaged(self, tmp_path: Path) -> None:
        good = {p.name: p.read_bytes() for p in write_folder(tmp_path / "good", FRAMES, "{:05d}.jpg").iterdir()}
        for damaged in damaged_folders(tmp_path / "bad", 2, seed=0):
            images = list(damaged.path.iterdir()) if damaged.path.is_dir() else []
            assert {p.name: p.read_bytes() for p in images if p.is_file()} != good, damaged
