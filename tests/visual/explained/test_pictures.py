"""What is drawn where: arrows, maps over frames, maps over videos, tables."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from ops.data.transforms import TestTransform
from ops.inference.answers import Answer
from ops.inference.explanation.explanation import Explanation, Offsets, SeenClip
from ops.inference.sources import find_source
from ops.visual.explained.class_activation import blend, draw_class_maps, relative_strengths
from ops.visual.explained.map_video import crop_edges, write_map_video
from ops.visual.explained.offsets import draw_offsets, enlargement, mean_arrows, point_arrows, put_arrows
from ops.visual.explained.segment_scores import draw_scores, scores_table, shown_classes
from tests import media

SEGMENTS, CLASSES = 3, 10


def explanation(**changes: object) -> Explanation:
    """Of a video of 30 frames, whose segments have their middles at 5, 15 and 25."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(SEGMENTS, CLASSES))
    odds = np.exp(scores.mean(axis=0))
    answer = Answer("a $b.mp4", odds / odds.sum(), ("$x^2$", *(f"class {k}" for k in range(1, CLASSES))))
    frames = np.array([[4, 5, 6], [14, 15, 16], [24, 25, 26]])
    clip = SeenClip(frames, rng.integers(0, 255, (SEGMENTS, 3, 32, 32, 3), dtype=np.uint8), 30)
    values = {
        "source": "a $b.mp4", "clip": clip, "answer": answer, "label": 0, "scores": scores, "layer": "layer4",
        "class_maps": rng.normal(size=(SEGMENTS, 4, 4)), "branches": None, "gates": (), "offsets": (),
    }  # fmt: skip
    return Explanation(**values | changes)


def offsets(size: int, height: int, width: int) -> Offsets:
    """Each with a value of its own that tells where it is."""
    moved = np.arange(2 * size * size * 2 * height * width, dtype=float)
    return Offsets("layer2.0", size, np.array([1, 2]), moved.reshape(2, size * size, 2, height, width))


def open_png(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


class TestArrows:
    @pytest.mark.parametrize(("size", "height", "width"), [(3, 4, 4), (5, 8, 8), (3, 56, 40), (5, 2, 2)])
    def test_points_have_their_own_offsets(self, size: int, height: int, width: int) -> None:
        one = offsets(size, height, width)
        starts, moves = point_arrows(one)
        kernels = starts.reshape(-1, size * size, 2)
        for pair in range(2):
            arrows = moves[pair].reshape(-1, size * size, 2)
            for kernel, kernel_moves in zip(kernels, arrows, strict=True):
                y, x = kernel[size * size // 2]  # the point in the middle is where the kernel is
                assert 0 <= y < height and 0 <= x < width
                for point, (start, move) in enumerate(zip(kernel, kernel_moves, strict=True)):
                    assert tuple(start) == (y + point // size - size // 2, x + point % size - size // 2)
                    assert tuple(move) == tuple(one.moved[pair, point, :, y, x])
        places = {tuple(start) for start in starts}
        assert len(places) == len(starts)  # kernels do not touch each other

    def test_means_are_over_the_points_of_a_kernel(self) -> None:
        one = offsets(3, 20, 30)
        starts, moves = mean_arrows(one)
        assert starts[:, 0].max() < 20 and starts[:, 1].max() < 30 and len(starts) == 7 * 10
        for (y, x), move in zip(starts, moves[1], strict=True):
            assert np.allclose(move, [np.mean([one.moved[1, p, axis, y, x] for p in range(9)]) for axis in (0, 1)])

    def test_short_arrows_are_enlarged_by_a_round_number(self) -> None:
        assert [enlargement(longest, 1) for longest in (3.0, 0.6, 0.4, 0.03, 0.0)] == [1, 1, 2, 30, 1000]

    @pytest.mark.parametrize(("move", "side"), [((3.0, 0.0), "below"), ((0.0, 3.0), "right")])
    def test_down_is_down_and_right_is_right(self, move: tuple[float, float], side: str) -> None:
        figure = Figure(figsize=(2, 2), dpi=100)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(-0.5, 9.5)
        axes.set_ylim(9.5, -0.5)
        axes.set_axis_off()
        put_arrows(axes, np.array([[4.5, 4.5]]), np.array([move]), "#ff0000")
        png = io.BytesIO()
        figure.savefig(png, format="png")
        rows, columns = np.nonzero(open_png(png.getvalue())[..., 1] < 100)
        along, across = (rows, columns) if side == "below" else (columns, rows)
        assert along.max() > 150 and along.min() > 90 and abs(across - 100).max() < 15

    def test_the_label_says_how_long_they_are(self) -> None:
        still = Offsets("layer2.0", 3, np.array([1, 2]), np.zeros((2, 9, 2, 4, 4)))
        content = open_png(draw_offsets(explanation(), [still]))
        moved = Offsets("layer2.0", 3, np.array([1, 2]), np.full((2, 9, 2, 4, 4), 0.3))
        other = open_png(draw_offsets(explanation(), [moved]))
        assert content.shape == other.shape and (content != other).any()


class TestClassMaps:
    def test_the_map_covers_the_frame_where_it_is_strong(self) -> None:
        picture = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
        strength = np.zeros((4, 4))
        strength[:2] = 1
        found = blend(picture, strength).astype(int)
        grey = (picture @ np.array([0.299, 0.587, 0.114])).round()
        assert np.abs(found[24:] - grey[24:, :, None]).max() <= 1  # nothing of the map there
        expected = 0.25 * grey[:8, :, None] + 0.75 * np.array([252, 255, 164])  # the last colour of inferno
        assert np.abs(found[:8] - expected).max() <= 2

    def test_all_segments_are_on_one_scale(self) -> None:
        maps = np.array([[[4.0, -2.0]], [[1.0, 0.0]]])
        assert relative_strengths(maps).tolist() == [[[1, 0]], [[0.25, 0]]]
        assert relative_strengths(-np.abs(maps)).tolist() == [[[0, 0]], [[0, 0]]]

    def test_pictures_of_odd_names_are_drawn(self) -> None:
        it = explanation(class_maps=np.full((SEGMENTS, 1, 1), -1.0))
        for content in (draw_class_maps(it), draw_scores(it)):
            assert open_png(content).shape[1] > 500


class TestScores:
    def test_the_class_that_is_explained_is_among_those_shown(self) -> None:
        it = explanation()
        order = np.argsort(-it.answer.probabilities)
        assert shown_classes(explanation(label=int(order[-1]))) == [*order[:7], order[-1]]
        assert shown_classes(explanation(label=int(order[2]))) == [*order[:8]]

    def test_table(self) -> None:
        it = explanation()
        rows = list(csv.reader(io.StringIO(scores_table(it).decode())))
        assert rows[0] == ["segment", "first_frame", "last_frame", *it.answer.class_names]
        assert [row[:3] for row in rows[1:]] == [
            ["1", "5", "7"], ["2", "15", "17"], ["3", "25", "27"], ["clip", "", ""],
        ]  # fmt: skip
        found = np.array([[float(value) for value in row[3:]] for row in rows[1:]])
        assert np.allclose(found[:3], it.scores, rtol=1e-5)
        assert np.allclose(found[3], found[:3].mean(axis=0), atol=1e-5)


class TestMapVideo:
    def test_each_frame_has_the_map_of_its_segment_inside_the_crop(self, tmp_path: Path) -> None:
        video = media.make_video(tmp_path / "a.mp4", frames=30, size=(96, 64))
        maps = np.zeros((SEGMENTS, 4, 4))
        maps[1] = 1
        write_map_video(
            explanation(class_maps=maps), find_source(str(video)), TestTransform(36, 32, 1), tmp_path / "b.mp4"
        )
        shown = media.frames_of(tmp_path / "b.mp4")
        assert [time for time, _ in shown] == [time for time, _ in media.frames_of(video)]
        left, top, right, bottom = crop_edges(TestTransform(36, 32, 1), (64, 96), (540, 360))
        assert (left, top, right, bottom) == (110, 20, 430, 340)
        for number, (_, picture) in enumerate(shown):
            red, _, blue = picture[top + 9 : bottom - 9, left + 9 : right - 9].reshape(-1, 3).mean(axis=0)
            assert (red - blue > 30) == (10 < number <= 20), number
            outside = picture[:360, :left].reshape(-1, 3).mean(axis=0)
            assert np.ptp(outside) < 12
        assert shown[0][1].shape[0] > 360  # the line of time below
