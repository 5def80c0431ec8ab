"""The picture of a confusion matrix: its numbers, names and sizes, and that they fit."""

import io

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from ops.visual.confusion_matrix import confusion_figure, draw_confusion


def matrix(classes: int, most: int = 50) -> np.ndarray:
    drawn = np.random.default_rng(classes).integers(0, most, (classes, classes))
    return drawn * (np.random.default_rng(1).random((classes, classes)) < 0.6)


class TestNumbers:
    @pytest.mark.parametrize("classes", [2, 3, 20])
    def test_counts_and_row_percentages(self, classes: int) -> None:
        confusion = matrix(classes)
        axes = confusion_figure(confusion, [f"c{k}" for k in range(classes)], "", "").axes[0]
        written = {tuple(map(round, text.get_position())): text.get_text() for text in axes.texts}
        expected = {}
        for true in range(classes):
            for predicted in range(classes):
                count = confusion[true, predicted]
                if count:
                    expected[predicted, true] = f"{count}\n{100 * count / sum(confusion[true]):.0f} %"
        assert written == expected

    @pytest.mark.parametrize(("classes", "most"), [(2, 100_000), (3, 100_000), (20, 20_000)])
    def test_they_fit_into_their_cells(self, classes: int, most: int) -> None:
        figure = confusion_figure(matrix(classes, most), [f"class {k}" for k in range(classes)], "", "")
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        axes = figure.axes[0]
        for text in axes.texts:
            column, row = text.get_position()
            (left, lower), (right, upper) = axes.transData.transform(
                [(column - 0.5, row + 0.5), (column + 0.5, row - 0.5)]
            )
            box = text.get_window_extent(canvas.get_renderer())
            assert left <= box.x0 and box.x1 <= right and lower <= box.y0 and box.y1 <= upper, text.get_text()

    def test_not_where_there_is_no_room(self) -> None:
        assert not confusion_figure(matrix(21), [""] * 21, "", "").axes[0].texts


class TestNames:
    def test_sizes_stand_beside_them(self) -> None:
        confusion = np.array([[1200, 34], [0, 0]])
        axes = confusion_figure(confusion, ["$5 & $6", "b_c"], "top-1 $x$", "").axes[0]
        assert [label.get_text() for label in axes.get_yticklabels()] == ["$5 & $6 (1,234)", "b_c (0)"]
        assert [label.get_text() for label in axes.get_xticklabels()] == ["$5 & $6", "b_c"]
        assert not any(label.get_parse_math() for label in (*axes.get_yticklabels(), axes.title))

    @pytest.mark.filterwarnings("error")
    def test_letters_that_the_font_lacks_are_no_warning(self) -> None:
        assert draw_confusion(matrix(2), ["跳", "b"], "", "")

    @pytest.mark.parametrize("classes", [1, 60, 61, 400])
    def test_png_of_any_number(self, classes: int) -> None:
        png = draw_confusion(matrix(classes), [f"class {k}" for k in range(classes)], "top-1", "protocol")
        with Image.open(io.BytesIO(png)) as image:
            assert min(image.size) > 200
