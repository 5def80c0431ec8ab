"""show_clips.py: what it draws is what training and testing get, and the crop and the flip that it shows are theirs."""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ops.data.dataset import SampleKey, TestVideos, TrainClips, VideoSource
from ops.data.dataset_config import DatasetSpec
from ops.data.sampling import FrameSampler
from ops.data.transforms import TestTransform, TrainTransform, draw_train_crop
from ops.data.video_list import read_list
from ops.runtime.errors import InputError
from ops.visual import SheetOptions, contact_sheet
from ops.visual.traced_clips import Clips, ClipSettings
from scripts import show_clips
from tests import media
from tests.clip_files import make_spec, write_folder

SIZE = (80, 56)  # width, height
T, PIXELS = 3, 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four frame folders of two mirrored classes and one without a side."""
    root = tmp_path_factory.mktemp("show") / "frames"
    for name in "abcd":
        write_folder(root / name, 20, size=SIZE)
    (root / "train.txt").write_text("a 20 0\nb 20 1\nc 20 2\nd 20 0\n")
    (root / "classes.txt").write_text("to the left\nto the right\nup\n")
    return root


def test_every_option_is_a_setting() -> None:
    """None is read and then forgotten."""
    groups = {group.title: group for group in show_clips.parser()._action_groups}
    named = [groups["clips, as in main.py and the test scripts"], groups["sheet"]]
    options = [action.dest for group in named for action in group._group_actions]
    assert sorted(options) == sorted(field.name for kind in (ClipSettings, SheetOptions) for field in fields(kind))


def settings_of(**changes: object) -> object:
    values = {"model": "msn", "num_segments": T, "input_size": PIXELS, "dense_sample": False, "flip": "auto",
              "augment": "none", "seed": 0, "epoch": 1, "test_crops": 1, "full_res": False}  # fmt: skip
    return ClipSettings(**values | changes)


def clips_of(folder: Path, name: str = "tiny", **changes: object) -> tuple[DatasetSpec, VideoSource, object]:
    names = ("to the left", "to the right", "up")
    spec = make_spec(folder, "frames", 3, class_names=names, name=name)
    source = VideoSource(spec, read_list(spec.train_list, spec), "pyav")
    return spec, source, Clips(spec, source, settings_of(**changes))


class TestCards:
    @pytest.mark.parametrize("seed", range(6))
    def test_training_view(self, folder: Path, seed: int) -> None:
        """Pixels, frames, box and remark, against the data set and the draws themselves."""
        spec, source, clips = clips_of(folder, seed=seed, epoch=seed + 1)
        train = TrainClips(source, T, FrameSampler(5), TrainTransform(PIXELS, spec.mirror_labels()), seed)
        for video, record in enumerate(source.records):
            card = clips.card(video)
            view, clip = card.views[0], train[SampleKey(seed, video)]
            assert (card.num_frames, card.path) == (20, record.path)
            assert np.array_equal(view.pixels, clip.pixels.permute(0, 1, 3, 4, 2).numpy())
            rng = np.random.default_rng((seed, seed, video))
            assert np.array_equal(view.frames, FrameSampler(5).train(20, T, rng))
            assert media.number_of(card.picture) == view.frames.min()
            box = draw_train_crop(SIZE[1], SIZE[0], PIXELS, rng)
            found = np.array(view.box) * [*SIZE, *SIZE]
            expected = [box.left, box.top, box.left + box.width, box.top + box.height]
            assert found == pytest.approx(expected, abs=0.6)
            flipped = rng.random() < 0.5
            remarks = ["flipped, now “to the right”", "flipped, now “to the left”", "flipped"]
            assert view.remark == (remarks[record.label] if flipped else "not flipped")

    @pytest.mark.parametrize(("crops", "full_res"), [(1, False), (3, True)])
    def test_test_views(self, folder: Path, crops: int, full_res: bool) -> None:
        _, source, clips = clips_of(folder, test_crops=crops, full_res=full_res)
        size = 36 if full_res else 32
        seen = TestVideos(source, [(T, FrameSampler(5))], TestTransform(36, size, crops))[2]
        views = clips.card(2).views[1:]
        assert len(views) == crops
        for number, view in enumerate(views):
            assert np.array_equal(view.pixels, seen.view(0, 0, number).permute(0, 1, 3, 4, 2).numpy())
            assert view.remark == f"{size} x {size} px from short side 36"
        width = 36 * SIZE[0] // SIZE[1]
        lefts = [0, 4 * ((width - 36) // 4), 2 * ((width - 36) // 4)] if full_res else [round((width - 32) / 2)]
        found = np.array([[view.box[0] * width, view.box[2] * width] for view in views])
        assert found == pytest.approx(np.array([[left, left + size] for left in lefts]), abs=0.6)

    @pytest.mark.parametrize(("model", "frames"), [("tsm", 1), ("tdn", 5)])
    def test_frames_of_a_segment_are_the_networks(self, folder: Path, model: str, frames: int) -> None:
        _, _, clips = clips_of(folder, model=model)
        for view in clips.card(0).views:
            assert view.pixels.shape == (T, frames, PIXELS, PIXELS, 3) and view.frames.shape == (T, frames)

    def test_a_broken_video_is_named(self, folder: Path, tmp_path: Path) -> None:
        spec = make_spec(tmp_path, "frames", 3)
        (tmp_path / "train.txt").write_text("gone 20 0\n")
        source = VideoSource(spec, read_list(spec.train_list, spec), "pyav")
        with pytest.raises(InputError, match="gone"):
            Clips(spec, source, settings_of()).card(0)


@pytest.mark.parametrize(
    ("flip", "name", "flipped"), [("auto", "something", False), ("on", "something", True), ("auto", "tiny", True)]
)
def test_flips_are_those_of_training(folder: Path, flip: str, name: str, flipped: bool) -> None:
    remarks = [
        clips_of(folder, name, model="tsm", flip=flip, epoch=epoch)[2].training_view(0)[2].remark
        for epoch in range(1, 7)
    ]
    assert any(remark.startswith("flipped") for remark in remarks) is flipped


class TestSheet:
    def run(self, monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> Image.Image:
        options = ("--storage", "frames", "--image_tmpl", "{:05d}.png", "--num_segments", str(T), "--input_size", "32")
        monkeypatch.setattr(sys, "argv", ["show_clips.py", str(folder / "train.txt"), *options, *arguments])
        show_clips.main()
        with Image.open(arguments[arguments.index("--out") + 1]) as image:
            return image.convert("RGB")

    def test_the_pictures_are_in_it(self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        sheet = np.asarray(self.run(monkeypatch, folder, "--videos", "3", "1", "--seed", "5", "--out", "a.png"))
        _, _, clips = clips_of(folder, seed=5)
        left = contact_sheet.MARGIN + contact_sheet.OVERVIEW
        top = contact_sheet.MARGIN + 34
        for video in (2, 0):
            card, start = clips.card(video), left
            for view in card.views:
                start += contact_sheet.BETWEEN + contact_sheet.ROW_LABEL
                for row, pictures in enumerate(view.pixels):
                    for column, picture in enumerate(pictures):
                        y = top + contact_sheet.HEAD + row * (PIXELS + contact_sheet.GAP)
                        x = start + column * (PIXELS + contact_sheet.GAP)
                        assert np.array_equal(sheet[y : y + PIXELS, x : x + PIXELS], picture)
                start += 5 * (PIXELS + contact_sheet.GAP) - contact_sheet.GAP
            height = contact_sheet.HEAD + round(176 * 56 / 80) + contact_sheet.LINE * 4  # taller than three rows
            top += height + contact_sheet.MARGIN
        assert len(sheet) == top

    def test_the_seed_decides(self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
            self.run(monkeypatch, folder, "--num_videos", "2", "--seed", seed, "--out", f"{name}.png", "--palette")
        a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
        assert a == b != c

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--out", "a.jpg"), "expected --out FILE.png, got a.jpg"),
            (("--out", "a.png", "--videos", "5"), "expected --videos from 1 to 4, the length of the list, got 5"),
            (("--out", "none/a.png"), "none/a.png: expected to write a file"),
        ],
    )
    def test_bad_input(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(InputError, match=message):
            self.run(monkeypatch, folder, *arguments)
        assert not list(tmp_path.iterdir())
