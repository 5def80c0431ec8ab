"""Answers on a video, and over time: what is drawn where."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from ops.inference.answers import Answer, Caption, Guess
from ops.inference.over_time.timeline import MOST_COLUMNS, Timeline
from ops.inference.sources import find_source
from ops.visual.overlay import BEST, draw_panel, shortened, write_overlay
from ops.visual.timeline import draw_timeline, tick_seconds
from ops.visual.video_file import even_size
from tests import media


def caption(*probabilities: float, start: float | None = None, end: float | None = None) -> Caption:
    return Caption([Guess(i, f"class {i}", p) for i, p in enumerate(probabilities)], start, end)


def orange(picture: np.ndarray) -> int:
    """Pixels in the colour of the bar of the best class."""
    return int((np.abs(picture[..., :3].astype(int) - BEST).max(axis=-1) < 60).sum())


class TestOverlay:
    def test_a_bar_is_as_long_as_its_class_is_probable(self) -> None:
        sizes = [orange(np.asarray(draw_panel(caption(p, 0.0), (640, 480)))) for p in (0.25, 0.5, 1.0)]
        assert sizes[0] > 0 and abs(sizes[1] / sizes[0] - 2) < 0.2 and abs(sizes[2] / sizes[0] - 4) < 0.4

    def test_fits_on_the_picture_whatever_the_names(self) -> None:
        long = Caption([Guess(0, "pretending to put something into something " * 4, 0.5)], None, None)
        for size in ((360, 480), (1920, 1080), (360, 360)):
            panel = draw_panel(long, size)
            assert panel.width < size[0] and panel.height < size[1]

    def test_each_window_has_its_answer(self, tmp_path: Path) -> None:
        source = find_source(str(media.make_video(tmp_path / "a.mp4", frames=50)))  # 2 s
        write_overlay(source, [caption(0.1, start=0, end=1), caption(1.0, start=1, end=2)], tmp_path / "out.mp4")
        bars = [orange(picture) for _, picture in media.frames_of(tmp_path / "out.mp4")]
        assert len(bars) == 50 and max(bars[:24]) < 0.4 * min(bars[26:])
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []

    def test_sizes(self) -> None:
        assert (even_size(1921, 1081), even_size(64, 48), even_size(90, 200)) == ((1920, 1080), (480, 360), (360, 800))

    def test_a_name_that_is_too_long(self) -> None:
        class Font:
            def getlength(self, text: str) -> int:
                return 10 * len(text)

        assert shortened("abcdef", Font(), 60) == "abcdef"
        assert shortened("abcdefg", Font(), 60) == "abcde\N{HORIZONTAL ELLIPSIS}"


class TestTimeline:
    def timeline(self, count: int) -> Timeline:
        """Class 1 in the first half, class 2 in the second."""
        made = Timeline("a $video$ with {signs}.mp4")
        for k in range(count):
            probabilities = np.eye(4)[1 if k < count / 2 else 2]
            made.add(Answer("a", probabilities, ("none", "one", "two", "three"), float(k), k + 2.0))
        return made

    def test_memory_does_not_grow(self) -> None:
        made = self.timeline(10 * MOST_COLUMNS)
        assert MOST_COLUMNS / 2 <= len(made.columns) <= MOST_COLUMNS
        assert (made.columns[0].start, made.columns[-1].end) == (0, 10 * MOST_COLUMNS + 1)
        assert sum(column.count for column in made.columns) == 10 * MOST_COLUMNS
        assert np.allclose(sum(column.total for column in made.columns), [0, 5 * MOST_COLUMNS, 5 * MOST_COLUMNS, 0])
        assert set(np.unique(made.probabilities)) <= {0, 0.5, 1}

    def test_ticks_are_round_times(self) -> None:
        assert [tick_seconds(length) for length in (1, 9, 61, 7204, 86_400)] == [0.1, 1, 10, 1200, 7200]
        assert tick_seconds(10**7) == 10**7 / 12

    def test_shows_which_class_was_when(self) -> None:
        picture = np.asarray(Image.open(io.BytesIO(draw_timeline(self.timeline(60)))).convert("RGB")).astype(int)
        dark = np.argwhere((picture[..., 2] > 80) & (picture[..., 0] < 30) & (picture[..., 2] < 130))  # of the map
        middle = picture.shape[1] * 0.46
        rows = [dark[(dark[:, 1] < middle - 40)][:, 0], dark[(dark[:, 1] > middle + 40) & (dark[:, 1] < 1200)][:, 0]]
        assert rows[0].max() < rows[1].min()
