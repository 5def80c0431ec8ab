"""The synthetic set `motion`: its files, its restarts, its labels, and that no single frame tells them."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ops.motion_set import clips as motion_clips
from ops.motion_set import rendering, scenes
from ops.motion_set.clips import Clip, RenderConfig
from ops.motion_set.sprites import LIGHT, Sprite
from ops.motion_set.tracks import CLASSES, LOCAL, Track, diameter
from ops.runtime.errors import InputError, run_script
from scripts.preparation import render_motion
from tests import media
from tests.media import AT_CALL, SCRIPTS

TINY = ("--train", "9", "--val", "8", "--frames", "5", "--width", "48", "--height", "36")
LISTS = ("train_videos.txt", "val_videos.txt", "train_frames.txt", "val_frames.txt", "classes.txt")
Picture = NDArray[np.uint8]


def command(out: Path, *arguments: str) -> list[str]:
    """The command line that renders into `out`."""
    return [sys.executable, str(SCRIPTS / "render_motion.py"), "--out", str(out), *arguments]


def run(out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the real command."""
    return media.run("render_motion.py", "--out", out, *arguments)


def render(arguments: Sequence[str]) -> None:
    """Runs the command in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["render_motion.py", *arguments])
        render_motion.main()


def refusal(*arguments: str) -> str:
    """The line in which a command is refused."""
    with pytest.raises(InputError) as caught:
        render(arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


def tree(folder: Path) -> dict[str, bytes]:
    """Content of every file below `folder`."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def modification_times(folder: Path) -> dict[Path, int]:
    """Of every file and folder below `folder`, and of itself."""
    return {path: path.stat().st_mtime_ns for path in [folder, *folder.rglob("*")]}


def read_frames(folder: Path) -> list[Picture]:
    """The frames of a frame folder, (H, W, 3) each."""
    return [np.asarray(Image.open(path)) for path in sorted(folder.iterdir())]


def read_video(path: Path) -> list[Picture]:
    """The frames of a video, (H, W, 3) each."""
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert container.streams.video[0].pix_fmt == "yuv420p"
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny data set, rendered with two processes."""
    out = tmp_path_factory.mktemp("motion") / "tiny"
    done = run(out, *TINY, "-j", "2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert "17 clips, 85 frames" in done.stdout
    assert str(out) in done.stdout
    assert done.stderr == ""
    return out


class TestFiles:
    @pytest.mark.parametrize(("split", "clips"), [("train", 9), ("val", 8)])
    def test_both_lists_agree_with_the_files(self, tiny: Path, split: str, clips: int) -> None:
        videos = [line.rsplit(" ", 1) for line in (tiny / f"{split}_videos.txt").read_text().splitlines()]
        folders = [line.rsplit(" ", 2) for line in (tiny / f"{split}_frames.txt").read_text().splitlines()]
        assert [name for name, _ in videos] == [f"videos/{split}/{i:05d}.mp4" for i in range(clips)]
        assert [name for name, _, _ in folders] == [f"frames/{split}/{i:05d}" for i in range(clips)]
        assert [label for _, label in videos] == [str(i % 8) for i in range(clips)]
        assert [label for _, _, label in folders] == [label for _, label in videos]
        for (video, _), (folder, count, _) in zip(videos, folders, strict=True):
            assert sorted(p.name for p in (tiny / folder).iterdir()) == [f"{i:05d}.jpg" for i in range(1, 6)]
            pictures, decoded = read_frames(tiny / folder), read_video(tiny / video)
            assert len(pictures) == len(decoded) == int(count) == 5
            for picture, frame in zip(pictures, decoded, strict=True):
                assert picture.shape == frame.shape == (36, 48, 3)
                assert np.abs(picture.astype(int) - frame).mean() < 12

    def test_nothing_else_is_left(self, tiny: Path) -> None:
        assert {path.name for path in tiny.iterdir()} == {"videos", "frames", "render.json", *LISTS}
        assert not list(tiny.rglob("*.tmp"))

    @pytest.mark.parametrize(("family", "count"), [("local", 8), ("order", 6), ("all", 14)])
    def test_class_names(self, family: str, count: int) -> None:
        config = RenderConfig(classes=family)
        assert len(config.names) == len(set(config.names)) == count
        assert rendering.list_files(config)["classes.txt"] == list(config.names)

    def test_all_is_local_then_order(self) -> None:
        assert CLASSES["all"] == CLASSES["local"] + CLASSES["order"]
        assert CLASSES["local"][:3] == ("left", "right", "up")
        assert CLASSES["order"][-1] == "away then towards"


class TestDeterminism:
    def test_processes_change_nothing(self, tiny: Path, tmp_path: Path) -> None:
        assert run(tmp_path / "again", *TINY, "-j", "1").returncode == 0
        assert tree(tmp_path / "again") == tree(tiny)

    def test_a_clip_depends_on_seed_split_and_index_only(self) -> None:
        def first_frame(split: str, index: int, **settings: int) -> bytes:
            clip = Clip(RenderConfig(**settings), split, index)
            return bytes(next(clip.pictures()).tobytes())

        reference = first_frame("train", 3)
        assert first_frame("train", 3, train=5, val=7, jobs=3, fps=30) == reference
        others = [first_frame("val", 3), first_frame("train", 4), first_frame("train", 3, seed=1)]
        assert reference not in others


class TestSecondRun:
    def test_renders_nothing(self, tiny: Path) -> None:
        before = modification_times(tiny)
        done = run(tiny, *TINY)
        assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)
        assert "nothing to render" in done.stdout
        assert modification_times(tiny) == before

    @pytest.mark.parametrize(
        ("flag", "value"),
        [("--seed", "1"), ("--frames", "6"), ("--classes", "order"), ("--width", "50"), ("--train", "10")],
    )
    def test_refuses_other_settings(self, tiny: Path, flag: str, value: str) -> None:
        before = modification_times(tiny)
        message = refusal("--out", str(tiny), *TINY, flag, value)
        assert flag[2:] in message
        assert message.endswith(f"got {value}")
        assert modification_times(tiny) == before

    @pytest.mark.parametrize("content", ["{", "[1]", "\x00"])
    def test_refuses_a_damaged_render_json(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "render.json").write_text(content)
        assert "render.json" in refusal("--out", str(tmp_path), *TINY)
        assert [path.name for path in tmp_path.iterdir()] == ["render.json"]

    def test_refuses_a_folder_of_somebody_else(self, tmp_path: Path) -> None:
        (tmp_path / "train_videos.txt").write_text("mine\n")
        assert "train_videos.txt" in refusal("--out", str(tmp_path), *TINY)
        assert tree(tmp_path) == {"train_videos.txt": b"mine\n"}


class TestInterruption:
    def test_a_killed_run_is_completed(self, tiny: Path, tmp_path: Path) -> None:
        out, settings = tmp_path / "killed", [*TINY, "--train", "12"]
        at_the_third = [str(AT_CALL), "clips.write_video:3", "SIGTERM"]
        first = [sys.executable, *at_the_third, *command(out, *settings, "-j", "1")[1:]]
        assert subprocess.run(first, capture_output=True, check=False).returncode == -signal.SIGTERM
        finished = {p: p.stat().st_mtime_ns for p in out.glob("videos/*/0*.mp4")}
        assert len(finished) == 2
        assert not any((out / name).exists() for name in LISTS)
        done = run(out, *settings, "-j", "2")
        assert done.returncode == 0, done.stderr
        assert "already rendered" in done.stdout
        assert all(path.stat().st_mtime_ns == when for path, when in finished.items())
        clips = {name: content for name, content in tree(tiny).items() if name.endswith((".mp4", ".jpg"))}
        assert clips.items() <= tree(out).items()
        assert not list(out.rglob("*.tmp"))

    def test_control_c_says_how_to_go_on(
        self, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        arguments = ["--out", str(tmp_path), *TINY, "-j", "1"]
        with monkeypatch.context() as patch:
            patch.setattr(motion_clips, "write_video", interrupted)
            with pytest.raises(SystemExit) as stopped:
                run_script(lambda: render(arguments))
        assert stopped.value.code == 130
        message = capsys.readouterr().err
        assert message.count("\n") == 1
        assert "run the same command to continue" in message
        render(arguments)
        assert tree(tmp_path) == tree(tiny)

    def test_leftovers_and_gaps_are_repaired(self, tiny: Path, tmp_path: Path) -> None:
        out = tmp_path / "gaps"
        assert run(out, *TINY, "-j", "1").returncode == 0
        (out / "val_frames.txt").unlink()
        (out / "videos/train/00002.mp4").unlink()
        (out / "videos/train/.00002.mp4.tmp").write_bytes(b"half a video")
        (out / "frames/val/00001/00003.jpg").unlink()
        (out / "frames/val/.00001.tmp").mkdir()
        (out / "frames/val/.00001.tmp/00001.jpg").write_bytes(b"half a picture")
        done = run(out, *TINY, "-j", "1")
        assert done.returncode == 0, done.stderr
        assert "rendered 2 clips (15 clips already rendered), 10 frames" in done.stdout
        assert tree(out) == tree(tiny)

    def test_lists_alone_are_restored(self, tiny: Path, tmp_path: Path) -> None:
        config = RenderConfig(out=tmp_path, train=1, val=1, frames=3, width=32, height=32, jobs=1)
        rendering.render(config)
        (tmp_path / "classes.txt").unlink()
        assert "rendered 0 clips (2 clips already rendered)" in rendering.render(config)
        assert (tmp_path / "classes.txt").read_text() == (tiny / "classes.txt").read_text()


class TestErrors:
    @pytest.mark.parametrize(
        "arguments",
        [
            ("--classes", "global"),
            ("--train", "0"),
            ("--val", "-1"),
            ("--frames", "2"),
            ("--frames", "many"),
            ("--width", "97"),
            ("--height", "30"),
            ("--fps", "0"),
            ("--seed", "-1"),
            ("--jobs", "0"),
            ("--speed", "3"),
        ],
    )
    def test_bad_values(self, tmp_path: Path, arguments: tuple[str, str]) -> None:
        message = refusal("--out", str(tmp_path / "out"), *arguments)
        assert all(word in message for word in arguments)
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("arguments", [("--seed", "x"), TINY])
    def test_the_command_prints_one_line(self, tmp_path: Path, arguments: Sequence[str]) -> None:
        (tmp_path / "file").write_text("not a folder")
        done = run(tmp_path / "file" / "out", *arguments)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert "Traceback" not in done.stderr

    def test_unwritable_places_are_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("not a folder")
        for place in (["--out", str(tmp_path / "file")], ["--preview", str(tmp_path / "file" / "sheet.png")]):
            assert place[1] in refusal(*place, *TINY)


def test_preview_draws_a_row_a_class_and_no_data_set(tmp_path: Path) -> None:
    done = run(tmp_path / "out", *TINY, "--classes", "order", "--preview", str(tmp_path / "new/sheet.png"))
    assert (done.returncode, done.stderr) == (0, "")
    with Image.open(tmp_path / "new/sheet.png") as sheet:
        assert sheet.height > 6 * 36
        assert sheet.width > 8 * 48
    assert not (tmp_path / "out").exists()


def test_render_json_holds_the_settings(tiny: Path) -> None:
    saved = json.loads((tiny / "render.json").read_text())
    expected = {"classes": "local", "train": 9, "val": 8, "frames": 5, "width": 48, "height": 36, "fps": 24}
    assert expected.items() <= saved.items()
    assert saved["seed"] == 0


def warped(picture: Picture, zoom: float, degrees: float) -> Picture:
    """`picture` (H, W, 3) about its centre, zoomed in by `zoom` and turned clockwise by `degrees`."""
    height, width, _ = picture.shape
    turned = Image.fromarray(picture).rotate(-degrees, Image.Resampling.BICUBIC)
    box = (width / 2 * (1 - 1 / zoom), height / 2 * (1 - 1 / zoom))
    extent = (*box, width - box[0], height - box[1])
    return np.asarray(turned.transform((width, height), Image.Transform.EXTENT, extent, Image.Resampling.BICUBIC))


def explanations(picture: Picture) -> Iterator[tuple[str, Picture]]:
    """Yields (class, what `picture` (H, W, 3) becomes two frames later if it moves so), at several speeds."""
    for pixels in (3, 4, 6, 7):
        for name, axis, sign in (("left", 1, -1), ("right", 1, 1), ("up", 0, -1), ("down", 0, 1)):
            yield name, np.roll(picture, sign * pixels, axis)
    for zoom in (1.07, 1.09, 1.11):
        yield "towards", warped(picture, zoom, 0)
        yield "away", warped(picture, 1 / zoom, 0)
    for degrees in (12, 16, 20, 24):
        yield "clockwise", warped(picture, 1, degrees)
        yield "anticlockwise", warped(picture, 1, -degrees)


def seen_motion(pictures: Sequence[Picture]) -> str:
    """The local class that best turns each of `pictures` (H, W, 3) into the next but one."""
    totals = dict.fromkeys(LOCAL, 0.0)
    for now, later in zip(pictures[:-2], pictures[2:], strict=True):
        changed = np.abs(now.astype(int) - later).sum(-1) > 45  # (H, W)
        shift = []
        for coordinates, side in zip(np.nonzero(changed), changed.shape, strict=True):
            mean = np.angle(np.exp(2j * np.pi * coordinates / side).mean()) / (2 * np.pi)
            shift.append(round(side / 2 - mean * side))
        now, later, changed = (np.roll(plane, shift, (0, 1)) for plane in (now, later, changed))
        errors = dict.fromkeys(LOCAL, np.inf)
        for name, guess in explanations(now):
            errors[name] = min(errors[name], np.abs(guess.astype(float) - later)[changed].mean())
        for name, error in errors.items():
            totals[name] += error
    return min(totals, key=totals.__getitem__)


class TestLabels:
    """The label is what is seen, found by matching each picture, warped, with a later one."""

    def test_local_and_order_classes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """With one object instead of two, whose motion can be estimated by trying all of them."""
        monkeypatch.setattr(scenes, "MOVERS", 1)
        config = RenderConfig(out=tmp_path, classes="all", train=28, val=1, frames=12, jobs=1)
        rendering.render(config)
        opposite = dict(zip(LOCAL[::2], LOCAL[1::2], strict=True))
        opposite |= {later: first for first, later in opposite.items()}
        hits, parts = 0, 0
        for line in (tmp_path / "train_frames.txt").read_text().splitlines():
            folder, _, label = line.rsplit(" ", 2)
            expected = CLASSES["all"][int(label)].split(" then ")
            pictures = read_frames(tmp_path / folder)
            halves = (pictures[:6], pictures[6:]) if len(expected) == 2 else (pictures[3:9],)
            for motion, half in zip(expected, halves, strict=True):
                seen = seen_motion(half)
                assert seen != opposite[motion], f"{folder}: expected {motion}, seen {seen}"
                hits, parts = hits + (seen == motion), parts + 1
        assert parts == 40
        assert hits >= 0.9 * parts

    @pytest.mark.parametrize("name", CLASSES["all"])
    def test_speed_is_constant_and_visible(self, name: str) -> None:
        least = np.array([1.5 / 96, 1.5 / 72, 0.035, 6 / 360])
        most = np.array([4 / 96, 4 / 72, 0.065, 12 / 360])
        for seed in range(20):
            states = Track.draw(np.random.default_rng(seed), 96, 72).states(name, 48)  # (48, 4)
            steps = (np.diff(states, axis=0) + 0.5) % 1 - 0.5  # (47, 4)
            moving = np.abs(steps[0]) > 0
            assert moving.sum() == 1
            assert np.allclose(steps[:, ~moving], 0)
            speed = steps[:, moving].ravel()
            assert np.allclose(speed[:23], speed[0])
            assert np.allclose(speed[24:], -speed[0] if " then " in name else speed[0])
            assert least[moving][0] <= abs(speed[0]) <= most[moving][0]


class TestOneFrameTellsNothing:
    @pytest.mark.parametrize("frame", [0, 5, 11])
    def test_any_frame_is_a_frame_of_every_class(self, frame: int) -> None:
        scene = scenes.Scene.draw(np.random.default_rng(4), 96, 72)
        here = [track.states("left", 12)[frame] for _, track in scene.movers]
        pictures = []
        for name in CLASSES["all"]:
            movers = []
            for (sprite, track), place in zip(scene.movers, here, strict=True):
                travelled = track.states(name, 12)[frame] - track.start
                movers.append((sprite, dataclasses.replace(track, start=(place - travelled) % 1)))
            noise = np.random.default_rng(1)
            frames = list(dataclasses.replace(scene, movers=tuple(movers)).play(name, 12, noise))
            pictures.append(frames[frame].astype(int))
        assert all(np.abs(picture - pictures[0]).max() <= 1 for picture in pictures)

    def test_places_sizes_and_angles_are_alike(self) -> None:
        """Over many clips, every degree of freedom is uniform on its circle, and every pair independent."""
        clips = 1000
        frames = (0, 11, 24, 47)
        for label, name in enumerate(CLASSES["all"]):
            rng = np.random.default_rng((7, label))
            tracks = [Track.draw(rng, 96, 72) for _ in range(clips)]
            states = np.stack([track.states(name, 48)[list(frames)] for track in tracks])  # (clips, 4, 4)
            for i in range(4):
                for j in range(i + 1):
                    for angle in (states[..., i] + states[..., j], states[..., i] - 2 * states[..., j]):
                        resultant = np.abs(np.exp(2j * np.pi * angle).mean(0))  # (4,)
                        assert (resultant < 4 / np.sqrt(clips)).all(), (name, i, j)

    def test_objects_are_large_and_wrap_rarely(self) -> None:
        assert diameter(0.0, 72) >= 0.25 * 72
        assert diameter(1.0, 72) <= 72
        for seed in range(50):
            states = Track.draw(np.random.default_rng(seed), 96, 72).states("towards", 48)
            assert (np.diff(states[:, 2]) < 0).sum() <= 3

    def test_objects_cross_the_border_onto_the_other_side(self) -> None:
        sprite = Sprite.draw(np.random.default_rng(2), 120, np.zeros(3), LIGHT)
        inside, across = np.zeros((72, 96, 3), np.float32), np.zeros((72, 96, 3), np.float32)
        sprite.draw_on(inside, 48.3, 36.6, 50, 1.0)
        sprite.draw_on(across, 0.3, 72.6, 50, 1.0)
        assert np.allclose(np.roll(across, (36, 48), (0, 1)), inside, atol=1)
