"""Augmentation against torchvision, frame by frame; and what it does to labels that a flip swaps."""

import math
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms import functional as first_functions
from torchvision.transforms.v2 import InterpolationMode, RandAugment

from ops.data.augmentation.changes import CHANGES, FILL, GEOMETRIC, Change, apply_changes, draw_changes
from ops.data.augmentation.spec import parse_augment
from ops.data.dataset import VideoSource
from ops.data.mirror_labels import NO_MIRROR, mirror_labels_of_names
from ops.data.transforms import TrainTransform
from ops.settings.command_lines import parse_train
from ops.training.clips import TrainingClips, batch_sampler, open_list
from ops.training.saving.checkpoint_contents import Position
from tests.clip_files import natural_picture

SIZE = 48
BILINEAR = InterpolationMode.BILINEAR


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def frames() -> Tensor:
    """Five different pictures (5, 3, 48, 48), with channels innermost, as they are decoded."""
    pictures = np.stack([natural_picture(SIZE, SIZE, seed) for seed in range(5)])
    return torch.from_numpy(pictures).permute(0, 3, 1, 2)


def drawn(spec: str, draws: int) -> list[Change]:
    operations = parse_augment(spec)
    return [change for seed in range(draws) for change in draw_changes(operations, SIZE, SIZE, rng(seed))]


def by_torchvision(frame: Tensor, change: Change) -> Tensor:
    """One frame (3, s, s) after a change, by the functions of torchvision's first transforms."""
    name, values = change
    match name:
        case "Hue":
            return first_functions.adjust_hue(frame, values[0])
        case "Brightness" | "Contrast":
            return getattr(first_functions, f"adjust_{name.lower()}")(frame, values[0])
        case "Color":
            return first_functions.adjust_saturation(frame, values[0])
        case "Grayscale":
            return first_functions.rgb_to_grayscale(frame, 3)
        case "Blur":
            kernel = 2 * math.ceil(3 * values[0]) + 1
            return first_functions.gaussian_blur(frame, [kernel, kernel], [values[0], values[0]])
        case "Erase":
            colour = torch.tensor(FILL).to(torch.uint8)[:, None, None]
            return first_functions.erase(frame, *map(int, values), colour)
    raise AssertionError(name)


class TestRandAugment:
    @pytest.mark.parametrize("magnitude", [3, 9, 30])
    def test_each_operation_is_torchvisions(self, frames: Tensor, magnitude: int) -> None:
        """Every operation in both directions, at torchvision's own strength of that magnitude."""
        seen = set(drawn(f"randaugment:number=9:magnitude={magnitude}", 30))
        oracle = RandAugment()
        for name, values in seen:
            strengths = oracle._AUGMENTATION_SPACE[name][0](31, SIZE, SIZE)
            strength = 0.0 if strengths is None else float(strengths[magnitude])
            got = values[0] if values else 0.0
            of_its_own = {"Brightness": got - 1, "Color": got - 1, "Contrast": got - 1, "Sharpness": got - 1,
                          "Solarize": got / 255}.get(name, got)  # fmt: skip
            assert abs(of_its_own) == pytest.approx(strength, abs=1e-4)
            signed = math.copysign(strength, of_its_own)
            changed = apply_changes(frames, [Change(name, values)])
            for frame, now in zip(frames, changed, strict=True):
                expected = oracle._apply_image_or_video_transform(
                    frame, name, signed, interpolation=BILINEAR, fill={Tensor: list(FILL)}
                )
                assert now.dtype == torch.uint8
                assert (now.int() - expected.int()).abs().max() <= 1, (name, values)
        assert {name for name, _ in seen} == set(oracle._AUGMENTATION_SPACE)
        directions = Counter(name for name, _ in seen)
        assert all(directions[name] == 2 for name in (*GEOMETRIC, "Brightness", "Color", "Contrast", "Sharpness"))

    def test_without_geometric_operations(self) -> None:
        names = {name for name, _ in drawn("randaugment:number=9:geometric=off", 30)}
        assert names == set(RandAugment._AUGMENTATION_SPACE) - set(GEOMETRIC)

    def test_no_operation_twice(self) -> None:
        for seed in range(30):
            names = [name for name, _ in draw_changes(parse_augment("randaugment:number=9"), SIZE, SIZE, rng(seed))]
            assert len(names) == len(set(names)) == 9


class TestOthers:
    @pytest.mark.parametrize(
        "spec",
        ["jitter:probability=1:hue=0.1", "grayscale:probability=1", "blur:probability=1", "erase:probability=1"],
    )
    def test_frame_by_frame(self, frames: Tensor, spec: str) -> None:
        changes = drawn(spec, 8)
        assert len(changes) >= 8
        for change in changes:
            for frame, now in zip(frames, apply_changes(frames, [change]), strict=True):
                assert torch.equal(now, apply_changes(frame[None], [change])[0]), change
                assert (now.int() - by_torchvision(frame, change).int()).abs().max() <= 1, change

    @pytest.mark.parametrize(("spec", "name"), [("grayscale", "Grayscale"), ("blur", "Blur"), ("erase", "Erase")])
    def test_probability(self, spec: str, name: str) -> None:
        assert drawn(f"{spec}:probability=0", 50) == []
        count = sum(change.name == name for change in drawn(f"{spec}:probability=0.3", 400))
        assert 80 < count < 160

    def test_jitter_is_within_its_range_in_any_order(self) -> None:
        changes = drawn("jitter:probability=1:brightness=0.2:contrast=0.3:saturation=0.5:hue=0.1", 60)
        most = {"Brightness": 0.2, "Contrast": 0.3, "Color": 0.5, "Hue": 0.1}
        for name, (value,) in changes:
            assert abs(value - (name != "Hue")) <= most[name]
        assert len({tuple(c.name for c in changes[start : start + 4]) for start in range(0, 240, 4)}) > 15

    def test_what_is_erased(self) -> None:
        for _, (top, left, height, width) in drawn("erase:probability=1:smallest=0.1:largest=0.2", 60):
            assert 0 <= top <= top + height <= SIZE and 0 <= left <= left + width <= SIZE
            assert 0.08 < height * width / SIZE**2 < 0.22 and 0.25 < height / width < 4

    def test_every_change_is_drawn_by_something(self) -> None:
        specs = ("randaugment:number=9", "jitter:probability=1:hue=0.1", "grayscale", "blur", "erase")
        assert {change.name for spec in specs for change in drawn(spec, 30)} == set(CHANGES)


NAMES = ("turning clockwise", "turning anticlockwise", "from left to right", "from right to left", "clapping",
         "pushing to the left")  # fmt: skip
MIRROR = mirror_labels_of_names(NAMES)
ALL = parse_augment("randaugment:magnitude=30:number=9,jitter:hue=0.1,grayscale,blur,erase")


class TestMirrorRule:
    @pytest.mark.parametrize("label", range(len(NAMES)))
    def test_a_flipped_clip_is_the_mirror_image_of_itself_unflipped(self, label: int) -> None:
        clip = torch.from_numpy(np.stack([natural_picture(60, 80, seed) for seed in range(3)])).permute(0, 3, 1, 2)
        flipping = TrainTransform(SIZE, MIRROR, ALL)
        never = TrainTransform(SIZE, (NO_MIRROR,) * len(NAMES), ALL)
        flipped = 0
        for seed in range(12):
            plain, same = never(clip, label, rng(seed))
            pixels, now = flipping(clip, label, rng(seed))
            assert same == label
            wants = flipping.draw(60, 80, rng(seed)).flip
            assert wants == TrainTransform(SIZE, MIRROR).draw(60, 80, rng(seed)).flip
            if wants and label != 5:
                flipped += 1
                assert now == (1, 0, 3, 2, 4)[label] and torch.equal(pixels, plain.flip(-1))
            else:
                assert now == label and torch.equal(pixels, plain)
        assert (flipped > 2) == (label != 5)

    @pytest.mark.parametrize("label", range(4))
    def test_the_label_stays_true(self, label: int) -> None:
        """Where a dot goes, seen in the augmented clip, is what the label says, whatever was drawn."""
        clip = moving_dot(NAMES[label])
        transform = TrainTransform(64, MIRROR, parse_augment("randaugment:magnitude=30:number=9"))
        checked = Counter()
        for seed in range(150):
            changes = [c for c in transform.draw(64, 64, rng(seed)).changes if c.name in GEOMETRIC]
            whole = transform.draw(64, 64, rng(seed))._replace(changes=tuple(changes))
            pixels, now = transform.apply(clip, label, whole)
            seen = sees(pixels)
            if seen is not None:
                turns, goes = seen
                checked[NAMES[now]] += 1
                name = NAMES[now]
                assert (
                    (turns > 0 if name == "turning clockwise" else turns < 0)
                    if "clock" in name
                    else (goes > 0 if name == "from left to right" else goes < 0)
                ), changes
        assert len(checked) == 2 and min(checked.values()) >= 8


def moving_dot(name: str) -> Tensor:
    """A dot on a circle, or on a line, near the middle of a black clip (8, 3, 64, 64)."""
    frames = torch.zeros(8, 3, 64, 64, dtype=torch.uint8)
    sign = -1 if name in ("turning anticlockwise", "from right to left") else 1
    for number in range(8):
        angle = sign * number * math.pi / 4
        x, y = (6 * math.cos(angle), 6 * math.sin(angle)) if "clock" in name else (sign * (2 * number - 7), 0)
        row, column = round(32 + y), round(32 + x)
        frames[number, 0, row - 2 : row + 3, column - 2 : column + 3] = 255
    return frames


def sees(frames: Tensor) -> tuple[float, float] | None:
    """Turning of the dot around the middle of its way (clockwise is positive), and how far it goes to the right."""
    weights = (frames[:, 0].float() - frames[:, 1].float() - 100).clamp(min=0)  # (8, s, s)
    edges = torch.cat([weights[:, 0], weights[:, -1], weights[:, :, 0], weights[:, :, -1]], dim=1)
    if (weights.sum(dim=(1, 2)) < 500).any() or edges.sum() > 0:
        return None  # it left the picture
    place = torch.arange(frames.shape[-1]).float()
    total = weights.sum(dim=(1, 2))
    x, y = (weights.sum(1) * place).sum(1) / total, (weights.sum(2) * place).sum(1) / total
    dots = list(zip((x - x.mean()).tolist(), (y - y.mean()).tolist(), strict=True))
    turns = sum(ax * by - ay * bx for (ax, ay), (bx, by) in pairwise(dots))
    return turns, float(x[-1] - x[0])


class TestClips:
    def test_the_same_with_workers_and_from_any_position(self, motion_folder: Path) -> None:
        runs = []
        for workers, position in (("0", Position(1, 0)), ("2", Position(1, 0)), ("0", Position(1, 2))):
            config = parse_train((
                "motion", "RGB", "--root_path", str(motion_folder / "data/motion"), "--num_segments", "2", "-b", "4",
                "--input_size", "32", "--augment", "color,strong", "-j", workers,
            ))  # fmt: skip
            records = open_list(config, config.dataset.train_list)
            clips = TrainingClips(
                config, VideoSource(config.dataset, records, "pyav"), batch_sampler(config, 16), 5, torch.device("cpu")
            )
            runs.append([batch.pixels for batch in clips.batches(position)])
        assert len(runs[0]) == 4
        for other, expected in ((runs[1], runs[0]), (runs[2], runs[0][2:])):
            for one, same in zip(other, expected, strict=True):
                assert torch.equal(one, same)
