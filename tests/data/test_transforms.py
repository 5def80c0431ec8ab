"""Crops against a restatement of the protocol, and pixels against Pillow's antialiased bilinear resizing."""

import os
from collections import Counter
from itertools import product
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ops.data.mirror_labels import NO_MIRROR
from ops.data.transforms import (
    Box,
    TestTransform,
    TrainTransform,
    centre_box,
    crop,
    crop_sizes,
    draw_train_crop,
    from_images,
    resize,
    short_side_at,
    test_scale,
    three_boxes,
)
from tests.clip_files import natural_picture

GREY_LEVELS = 1  # within which pixels must agree with Pillow's
PICTURES = [(240, 320), (320, 240), (256, 340), (100, 150), (77, 53), (480, 270), (256, 256), (360, 641)]  # (H, W)
REAL_VIDEOS = os.environ.get("MSN_REAL_VIDEOS")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def clip_of(*pictures: np.ndarray) -> Tensor:
    return from_images(np.stack(pictures))


def pillow_resize(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR))


def assert_like_pillow(frame: Tensor, expected: np.ndarray) -> None:
    """``frame`` (3, H, W) uint8 and a picture (H, W, 3) differ by at most one grey level anywhere."""
    assert frame.dtype == torch.uint8
    got = frame.permute(1, 2, 0).numpy().astype(int)  # (H, W, 3)
    assert got.shape == expected.shape
    assert abs(got - expected).max() <= GREY_LEVELS


class TestCropSizes:
    @pytest.mark.parametrize("size", [32, 64, 112, 224, 256])
    def test_by_the_protocol(self, size: int) -> None:
        for base in range(2, 600):
            expected = [int(base * scale) for scale in (1, 0.875, 0.75, 0.66)]
            expected = [size if abs(s - size) <= 2 else s for s in expected]
            expected = [min(s, base) for s in expected]  # no crop is larger than its picture
            assert list(crop_sizes(base, size)) == expected, base

    def test_snaps_within_two_pixels(self) -> None:
        assert [crop_sizes(base, 224)[0] for base in (221, 222, 223, 224, 225, 226, 227)] == [
            221, 222, 223, 224, 224, 224, 227,
        ]  # fmt: skip
        assert crop_sizes(258, 224)[1] == 224  # int(225.75)


def naive_positions(height: int, width: int, crop_height: int, crop_width: int) -> list[tuple[int, int]]:
    """(top, left) of the 13 positions."""
    down, right = (height - crop_height) // 4, (width - crop_width) // 4
    corners = [(0, 0), (0, 4 * right), (4 * down, 0), (4 * down, 4 * right)]
    centre = [(2 * down, 2 * right)]
    edges = [(2 * down, 0), (2 * down, 4 * right), (0, 2 * right), (4 * down, 2 * right)]
    quarters = [(down, right), (down, 3 * right), (3 * down, right), (3 * down, 3 * right)]
    return corners + centre + edges + quarters


def naive_boxes(height: int, width: int, size: int) -> list[tuple[int, int, int, int]]:
    """Every size at every position; where a crop fills a side, positions coincide."""
    base = min(height, width)
    sizes = [int(base * scale) for scale in (1, 0.875, 0.75, 0.66)]
    sizes = [min(size, base) if abs(s - size) <= 2 else s for s in sizes]
    return [
        (top, left, sizes[i], sizes[j])
        for i, j in product(range(4), range(4))
        if abs(i - j) <= 1
        for top, left in naive_positions(height, width, sizes[i], sizes[j])
    ]


class TestDrawTrainCrop:
    @pytest.mark.parametrize(("height", "width"), [(256, 340), (340, 256), (400, 300)])
    def test_every_size_and_position_occurs_and_no_other(self, height: int, width: int) -> None:
        generator = rng()
        boxes = [draw_train_crop(height, width, 224, generator) for _ in range(4000)]
        assert set(map(tuple, boxes)) == set(naive_boxes(height, width, 224))

    def test_sizes_and_positions_are_equally_likely(self) -> None:
        """10 pairs of sizes x 13 positions."""
        generator = rng(1)
        counts = Counter(tuple(draw_train_crop(300, 400, 224, generator)) for _ in range(13000))
        expected = Counter(naive_boxes(300, 400, 224))
        assert expected.total() == 130
        for box, times in expected.items():
            mean = 100 * times
            assert abs(counts[box] - mean) < 5 * mean**0.5, box

    def test_inside_the_picture(self) -> None:
        generator = rng()
        sides = (2, 3, 5, 8, 17, 31, 32, 33, 34, 63, 100, 222, 223, 225, 226, 256, 259, 700)
        for (height, width), size in product(product(sides, sides), (32, 224)):
            for _ in range(12):
                top, left, box_height, box_width = draw_train_crop(height, width, size, generator)
                assert box_height >= 1 and box_width >= 1
                assert top >= 0 and left >= 0
                assert top + box_height <= height and left + box_width <= width, (height, width, size)

    def test_follows_its_generator(self) -> None:
        draws = [[draw_train_crop(256, 340, 224, g) for _ in range(20)] for g in (rng(3), rng(3), rng(4))]
        assert draws[0] == draws[1] != draws[2]


def triangle_weights(old: int, new: int) -> np.ndarray:
    """(new, old): how much each old pixel counts for each new one in antialiased bilinear resizing."""
    scale = old / new
    centres = (np.arange(new)[:, None] + 0.5) * scale
    weights = np.maximum(0, 1 - abs(np.arange(old) + 0.5 - centres) / max(scale, 1))
    return weights / weights.sum(axis=1, keepdims=True)


class TestResize:
    @pytest.mark.parametrize(("height", "width"), PICTURES)
    @pytest.mark.parametrize("target", [(32, 32), (64, 96), (224, 224), (256, 340), (500, 300)])
    def test_like_pillow(self, height: int, width: int, target: tuple[int, int]) -> None:
        picture = natural_picture(height, width, seed=height + width)
        assert_like_pillow(resize(clip_of(picture), *target)[0], pillow_resize(picture, *target))

    def test_training_crops_within_one_grey_level_of_the_exact_value(self) -> None:
        """Pillow's own error is in the other direction at times: from its pixels ours are up to two away."""
        found = set()
        for seed, (height, width), (top, left, crop_height, crop_width) in (
            (62, (322, 289), (17, 27, 252, 252)), (193, (257, 339), (0, 144, 192, 192)),
        ):  # fmt: skip
            cropped = natural_picture(height, width, seed)[top : top + crop_height, left : left + crop_width]
            got = resize(clip_of(cropped), 224, 224)[0].permute(1, 2, 0).numpy().astype(int)  # (224, 224, 3)
            down, across = triangle_weights(crop_height, 224), triangle_weights(crop_width, 224)
            exact = np.einsum("yh,hwc,xw->yxc", down, cropped.astype(float), across, optimize=True)
            assert abs(got - exact).max() < 1 + 1e-6
            found.add(abs(got - pillow_resize(cropped, 224, 224)).max())
        assert found <= {0, 1, 2}

    def test_extreme_pictures(self) -> None:
        """Noise, black and white checks, and a step: nothing natural, the same pixels."""
        noise = rng().integers(0, 256, (150, 130, 3), dtype=np.uint8)
        checks = (np.indices((150, 130)).sum(axis=0)[..., None] % 2 * np.full(3, 255)).astype(np.uint8)
        step = np.zeros((150, 130, 3), np.uint8)
        step[:, 61:] = 255
        for picture in (noise, checks, step):
            for target in ((64, 64), (112, 97), (224, 224)):
                assert_like_pillow(resize(clip_of(picture), *target)[0], pillow_resize(picture, *target))

    @pytest.mark.parametrize(("height", "width"), PICTURES)
    @pytest.mark.parametrize("short", [36, 256])
    def test_short_side_keeps_the_aspect(self, height: int, width: int, short: int) -> None:
        frames = resize(clip_of(natural_picture(height, width)), *short_side_at(short, height, width))
        new_height, new_width = frames.shape[-2:]
        assert min(new_height, new_width) == short
        assert abs(max(new_height, new_width) - short * max(height, width) / min(height, width)) < 1
        assert (new_height >= new_width) == (height >= width)

    def test_frames_are_resized_alike(self) -> None:
        pictures = [natural_picture(90, 120, seed) for seed in range(3)]
        together = resize(clip_of(*pictures), 64, 80)
        for frame, picture in zip(together, pictures, strict=True):
            assert torch.equal(frame, resize(clip_of(picture), 64, 80)[0])

    def test_the_same_size_is_the_same_picture(self) -> None:
        frames = clip_of(natural_picture(40, 50))
        assert torch.equal(resize(frames, 40, 50), frames)


class TestTrainTransform:
    LABELS = (1, 0, 2, NO_MIRROR)

    @pytest.mark.parametrize(("height", "width"), PICTURES)
    @pytest.mark.parametrize("size", [64, 224])
    def test_like_pillow(self, height: int, width: int, size: int) -> None:
        picture = natural_picture(height, width)
        transform = TrainTransform(size, self.LABELS)
        for seed in range(4):
            top, left, crop_height, crop_width = draw_train_crop(height, width, size, rng(seed))
            cropped = picture[top : top + crop_height, left : left + crop_width]
            expected = pillow_resize(cropped, size, size)
            frames, label = transform(clip_of(picture), 0, rng(seed))
            assert label in (0, 1)
            assert_like_pillow(frames[0], expected if label == 0 else expected[:, ::-1])

    def test_one_draw_for_all_frames(self) -> None:
        pictures = [natural_picture(100, 140, seed) for seed in range(6)]
        transform = TrainTransform(64, self.LABELS)
        for seed in range(8):
            together, label = transform(clip_of(*pictures), 0, rng(seed))
            for frame, picture in zip(together, pictures, strict=True):
                alone, same_label = transform(clip_of(picture), 0, rng(seed))
                assert same_label == label
                assert torch.equal(frame, alone[0])

    def test_flips_half_of_the_clips_and_swaps_their_label(self) -> None:
        ramp = np.zeros((64, 64, 3), np.uint8) + np.arange(64, dtype=np.uint8)[None, :, None] * 4
        transform = TrainTransform(32, self.LABELS)
        generator = rng()
        for label, mirrored in enumerate(self.LABELS):
            flips = 0
            for _ in range(400):
                frames, seen = transform(clip_of(ramp), label, generator)
                flipped = bool(frames[0, 0, 0, 0] > frames[0, 0, 0, -1])
                flips += flipped
                assert seen == (mirrored if flipped else label)
            if mirrored == NO_MIRROR:
                assert flips == 0
            else:
                assert 150 < flips < 250  # 200 expected, standard deviation 10

    def test_shape_and_type(self) -> None:
        frames, _ = TrainTransform(48, self.LABELS)(clip_of(*[natural_picture(70, 60)] * 5), 2, rng())
        assert frames.shape == (5, 3, 48, 48) and frames.dtype == torch.uint8

    def test_follows_its_generator(self) -> None:
        frames = clip_of(natural_picture(90, 120))
        transform = TrainTransform(64, self.LABELS)
        outputs = [transform(frames, 0, rng(seed))[0] for seed in range(12)]
        again = [transform(frames, 0, rng(seed))[0] for seed in range(12)]
        assert all(torch.equal(a, b) for a, b in zip(outputs, again, strict=True))
        assert len({o.numpy().tobytes() for o in outputs}) > 6


def pillow_short_side(picture: np.ndarray, short: int) -> np.ndarray:
    height, width = picture.shape[:2]
    if width <= height:
        return pillow_resize(picture, int(short * height / width), short)
    return pillow_resize(picture, short, int(short * width / height))


def pillow_views(picture: np.ndarray, scale: int, size: int, num_crops: int) -> list[np.ndarray]:
    """Crops of the resized picture: the centre, or left, right and centre (top, bottom and centre) of the long side."""
    resized = pillow_short_side(picture, scale)
    height, width = resized.shape[:2]
    if num_crops == 1:
        corners = [(round((height - size) / 2), round((width - size) / 2))]
    else:
        down, right = (height - size) // 4, (width - size) // 4
        along = [(2 * down, 0), (2 * down, 4 * right), (2 * down, 2 * right)]
        corners = [(0, 2 * right), (4 * down, 2 * right), (2 * down, 2 * right)] if height > width else along
    return [resized[top : top + size, left : left + size] for top, left in corners]


def assert_views_like_pillow(picture: np.ndarray, scale: int, size: int, num_crops: int) -> None:
    frames, boxes = TestTransform(scale, size, num_crops)(clip_of(picture))
    expected = pillow_views(picture, scale, size, num_crops)
    assert len(boxes) == num_crops
    for box, view in zip(boxes, expected, strict=True):
        assert_like_pillow(crop(frames, box)[0], view)


class TestTestTransform:
    @pytest.mark.parametrize(("height", "width"), PICTURES)
    @pytest.mark.parametrize("num_crops", [1, 3])
    @pytest.mark.parametrize(("scale", "size"), [(256, 224), (256, 256), (73, 64), (73, 73)])
    def test_like_pillow(self, height: int, width: int, num_crops: int, scale: int, size: int) -> None:
        assert_views_like_pillow(natural_picture(height, width), scale, size, num_crops)

    def test_every_frame_alike(self) -> None:
        pictures = [natural_picture(60, 80, seed) for seed in range(3)]
        together, boxes = TestTransform(73, 64, 3)(clip_of(*pictures))
        for frame, picture in zip(together, pictures, strict=True):
            alone, same_boxes = TestTransform(73, 64, 3)(clip_of(picture))
            assert same_boxes == boxes
            assert torch.equal(alone[0], frame)

    @pytest.mark.skipif(not REAL_VIDEOS, reason="MSN_REAL_VIDEOS does not name a folder of real videos")
    def test_like_pillow_on_real_videos(self) -> None:
        paths = sorted(p for p in Path(str(REAL_VIDEOS)).iterdir() if p.suffix in (".mp4", ".avi"))
        assert paths
        for path in paths:
            with av.open(str(path)) as container:
                pictures = [
                    f.to_ndarray(format="rgb24") for f, _ in zip(container.decode(video=0), range(60), strict=False)
                ]
            for picture in pictures[::25]:
                for upright in (picture, np.ascontiguousarray(picture.transpose(1, 0, 2))):
                    assert_views_like_pillow(upright, 256, 224, 3)
                    assert_views_like_pillow(upright, 256, 224, 1)
                    assert_views_like_pillow(upright, 73, 64, 1)
                    for target in ((224, 224), (112, 112)):
                        assert_like_pillow(resize(clip_of(upright), *target)[0], pillow_resize(upright, *target))


class TestBoxes:
    def test_centre(self) -> None:
        assert centre_box(256, 340, 224) == Box(16, 58, 224, 224)
        assert centre_box(256, 256, 256) == Box(0, 0, 256, 256)
        for height, width in product(range(64, 70), repeat=2):
            top, left, _, _ = centre_box(height, width, 64)
            assert abs(top - (height - 64) / 2) <= 0.5 and abs(left - (width - 64) / 2) <= 0.5
            assert 0 <= top <= height - 64 and 0 <= left <= width - 64

    @pytest.mark.parametrize(
        ("height", "width", "size", "expected"),
        [
            (256, 340, 224, [(16, 0), (16, 116), (16, 58)]),
            (340, 256, 224, [(0, 16), (116, 16), (58, 16)]),
            (256, 256, 224, [(16, 0), (16, 32), (16, 16)]),
            (256, 340, 256, [(0, 0), (0, 84), (0, 42)]),
            (340, 256, 256, [(0, 0), (84, 0), (42, 0)]),
            (256, 256, 256, [(0, 0), (0, 0), (0, 0)]),
            (256, 343, 256, [(0, 0), (0, 84), (0, 42)]),  # steps of 87 // 4
        ],
    )
    def test_three(self, height: int, width: int, size: int, expected: list[tuple[int, int]]) -> None:
        boxes = three_boxes(height, width, size)
        assert [(b.top, b.left) for b in boxes] == expected
        assert all((b.height, b.width) == (size, size) for b in boxes)

    def test_scale_of_a_size(self) -> None:
        assert [test_scale(size) for size in (224, 112, 64, 32)] == [256, 128, 73, 36]

    def test_crop(self) -> None:
        frames = torch.arange(2 * 3 * 5 * 6).view(2, 3, 5, 6)
        assert torch.equal(crop(frames, Box(1, 2, 3, 4)), frames[:, :, 1:4, 2:6])


def test_from_images() -> None:
    images = rng().integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)
    frames = from_images(images)
    assert frames.shape == (2, 3, 4, 5)
    assert np.array_equal(frames.numpy(), images.transpose(0, 3, 1, 2))
