"""The pages as a reader uses them, in headless Chromium: they load, sort, search, and a cell opens its videos."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import numpy as np
import pytest

from ops.settings.command_lines import curves_parser, parse, report_parser
from ops.settings.results import CurvesConfig, ReportConfig
from ops.training.reporting.scalars import ScalarWriter
from ops.visual.report.curves import write_curves
from ops.visual.report.writing import write_report
from tests.media import make_video
from tests.visual.report.browser import WIDTHS, complaints, open_page, start_browser
from tests.visual.report.made_scores import CLASSES, FILES, LABELS, NAMES, made_logits, write_scores

FIRST, SECOND = (made_logits(seed).argmax(axis=1) for seed in (1, 2))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    started = start_browser()
    yield started
    started.quit()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A report with frames, a comparison, and the curves of two runs."""
    folder = tmp_path_factory.mktemp("pages")
    one, two = write_scores(folder / "one", 1), write_scores(folder / "two", 2)
    video = make_video(folder / "made" / "0" / "of all.mp4", frames=6)
    for name in FILES:
        (folder / "made" / name).parent.mkdir(exist_ok=True)
        (folder / "made" / name).hardlink_to(video)
    for words in ([str(one)], [str(one), str(two), "--out", str(folder / "comparison.html")]):
        config = parse(report_parser(), ReportConfig, [*words, "--root_path", str(folder / "made"), "--shown", "2"])
        assert write_report(config) == 0
    for name in ("a", "b"):
        (folder / "log" / name).mkdir(parents=True)
        writer = ScalarWriter(folder / "log" / name)
        for step in range(1, 9):
            writer.add({"train/loss": 4 / step, "train/top1": 5.0 * step, "train/lr": 0.1 / step}, step)
            writer.add({"train/step_time": 0.5, "train/data_time": 0.1}, step)
            if step % 4 == 0:
                writer.add({"train_epoch/loss": 3 / step, "val/top1": 9.0 * step}, step // 4)
        writer.close()
    assert write_curves(parse(curves_parser(), CurvesConfig, [str(folder / "log")])) == 0
    return {
        "report": one / "report.html", "comparison": folder / "comparison.html",
        "curves": folder / "log" / "training_curves.html",
    }  # fmt: skip


def find(browser: Any, selector: str) -> Any:
    return browser.find_element("css selector", selector)


def texts(browser: Any, selector: str) -> list[str]:
    """Of what is shown."""
    found = f"Array.from(document.querySelectorAll({selector!r}))"
    shown: list[str] = browser.execute_script(
        f"return {found}.filter((each) => each.checkVisibility()).map((each) => each.innerText.trim())"
    )
    return shown


def move_to(browser: Any, selector: str, x: float, y: float, click: bool = False) -> None:
    """Move the mouse to a point of an element, given as parts of its width and height."""
    from selenium.webdriver import ActionChains

    place = find(browser, selector)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", place)
    size = place.size
    chain = ActionChains(browser).move_to_element_with_offset(
        place, round((x - 0.5) * size["width"]), round((y - 0.5) * size["height"])
    )
    (chain.click() if click else chain).perform()


def said(browser: Any) -> tuple[int, int, str]:
    """Label, answer and number of videos of the cell that was pointed at."""
    true, predicted, number, *_ = texts(browser, "#matrix-said > div")
    return NAMES.index(true.removeprefix("true: ")), NAMES.index(predicted.removeprefix("predicted: ")), number


@pytest.mark.parametrize("name", ["report", "comparison", "curves"])
class TestEveryPage:
    @pytest.mark.parametrize("width", WIDTHS)
    def test_loads(self, browser: Any, pages: dict[str, Path], name: str, width: int) -> None:
        """Without a word on the console, without any other file, and no wider than the screen."""
        open_page(browser, pages[name], width)
        loaded = browser.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
        assert complaints(browser) == [] and [url for url in loaded if not url.startswith("data:")] == []
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        script = "return Array.from(document.querySelectorAll('[src], link'), (each) => each.src || each.href)"
        assert browser.title and all(url.startswith("data:") for url in browser.execute_script(script))

    def test_dark(self, browser: Any, pages: dict[str, Path], name: str) -> None:
        brightness = []
        for dark in (False, True):
            open_page(browser, pages[name], dark=dark)
            colour = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
            brightness.append(sum(map(int, colour.strip("rgb()").split(","))))
        assert brightness[0] > 600 > 200 > brightness[1]


class TestReport:
    @pytest.fixture(autouse=True)
    def page(self, browser: Any, pages: dict[str, Path]) -> Iterator[None]:
        open_page(browser, pages["report"])
        yield
        assert complaints(browser) == []

    def accuracies(self) -> dict[str, float]:
        shares = {name: np.mean(FIRST[label == LABELS] == label) for label, name in enumerate(NAMES) if label in LABELS}
        return {name: 100 * float(share) for name, share in shares.items()}

    def test_sorts(self, browser: Any) -> None:
        expected = self.accuracies()
        for direction in (1, -1):
            find(browser, "#class-table th:nth-child(3) button").click()
            names = texts(browser, "#class-table tbody td:first-child")
            assert names[-1] == "nobody's" and sorted(names) == sorted(NAMES)
            found = [expected[name] for name in names[:-1]]
            assert found == sorted(found, reverse=direction < 0)
        find(browser, "#class-table th:nth-child(1) button").click()
        names = texts(browser, "#class-table tbody td:first-child")
        assert [name for name in names if name.startswith("class")] == list(NAMES[:-2])  # class 10 after class 9

    def test_searches(self, browser: Any) -> None:
        find(browser, "[data-searches]").send_keys("CLASS 1")
        assert texts(browser, "#class-table tbody td:first-child") == ["class 1", "class 10", "class 11"]
        assert texts(browser, "[data-count-of]") == [f"3 of {CLASSES} classes"]

    def test_a_cell_opens_its_videos(self, browser: Any) -> None:
        """Whatever cell is under the mouse, its words, and the list that a click opens, are true."""
        opened = 0
        for x, y in [(0.6, 0.6), *np.random.default_rng(3).uniform(0.3, 0.95, (12, 2)).tolist()]:
            move_to(browser, "#matrix", x, y)
            label, answer, number = said(browser)
            videos = np.flatnonzero((label == LABELS) & (answer == FIRST)).tolist()
            assert number.startswith(f"{len(videos)} video")
            move_to(browser, "#matrix", x, y, click=True)
            assert find(browser, "#list").is_displayed() == bool(videos)
            if videos:
                assert sorted(texts(browser, "#list .name")) == sorted(FILES[i] for i in videos)
                assert NAMES[label] in find(browser, "#list-title").text
                find(browser, "#list-close").click()
                opened += 1
        assert opened > 2

    def test_zoom_and_order_keep_cells_true(self, browser: Any) -> None:
        find(browser, "#matrix-order option[value=accuracy]").click()
        for _ in range(2):
            find(browser, "#zoom-in").click()
        move_to(browser, "#matrix", 0.7, 0.7, click=True)
        if find(browser, "#list").is_displayed():
            find(browser, "#list-close").click()
        label, answer, number = said(browser)
        assert number.startswith(f"{((label == LABELS) & (answer == FIRST)).sum()} video")

    def test_keys(self, browser: Any) -> None:
        from selenium.webdriver.common.keys import Keys

        find(browser, "#matrix").send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_RIGHT, Keys.ENTER)
        assert find(browser, "#list-title").text == f"{NAMES[1]}, right"
        assert len(texts(browser, "#list .name")) == ((LABELS == 1) & (FIRST == 1)).sum()

    def test_list_is_searched_and_shows_more(self, browser: Any) -> None:
        find(browser, "[data-all]").click()
        assert len(texts(browser, "#list .name")) == 100
        find(browser, "#list .more").click()
        find(browser, "#list .more").click()
        assert sorted(texts(browser, "#list .name")) == sorted(FILES)
        first = FILES.index(texts(browser, "#list .name")[0])
        assert FIRST[first] != LABELS[first]  # wrong answers come first
        find(browser, "#list-search").send_keys("3/VIDEO 1")
        expected = [name for name in FILES if "3/video 1" in name]
        assert sorted(texts(browser, "#list .name")) == sorted(expected)

    def test_names_are_text(self, browser: Any) -> None:
        find(browser, "[data-searches]").send_keys("bold")
        find(browser, "#class-table tbody tr:not([hidden]) button").click()
        assert find(browser, "#list-title").text == "</script><b>bold</b>"
        assert len(texts(browser, "#list .name")) == (NAMES.index("</script><b>bold</b>") == LABELS).sum()

    def test_frames(self, browser: Any) -> None:
        images = "Array.from(document.querySelectorAll('.card img'))"
        loaded = f"Promise.all({images}.map((image) => image.decode().then(() => image.naturalWidth)))"
        widths = browser.execute_async_script(f"{loaded}.then(arguments[0])")
        assert len(widths) >= 8 and set(widths) == {3 * 120}
        assert all(caption.startswith(NAMES) for caption in texts(browser, "#examples figcaption"))
        link = find(browser, ".card button")
        link.click()
        address = find(browser, "#list .name a").get_attribute("href")
        assert Path(unquote(urlparse(address).path)).is_file()


class TestComparison:
    def test_outcomes(self, browser: Any, pages: dict[str, Path]) -> None:
        open_page(browser, pages["comparison"])
        first, second = FIRST == LABELS, SECOND == LABELS
        for outcome, wanted in (("10", first & ~second), ("01", second & ~first), ("11", first & second)):
            find(browser, f".square [data-outcome='{outcome}']").click()
            shown = min(wanted.sum(), 100)
            assert find(browser, "#list-count").text == f"{wanted.sum()} videos"
            names = texts(browser, "#list .name")
            assert len(names) == shown and {FILES.index(name) for name in names} <= set(np.flatnonzero(wanted))
            find(browser, "#list-close").click()
        gains = [np.mean(second[c == LABELS]) - np.mean(first[c == LABELS]) for c in range(CLASSES - 1)]
        find(browser, "#class-table th:nth-child(5) button").click()
        assert texts(browser, "#class-table tbody td:first-child")[0] == NAMES[int(np.argmin(gains))]
        assert complaints(browser) == []

    def test_matrix_of_either(self, browser: Any, pages: dict[str, Path]) -> None:
        open_page(browser, pages["comparison"])
        for folder, answers in ((1, SECOND), (0, FIRST)):
            find(browser, f"#matrix-folder option[value='{folder}']").click()
            move_to(browser, "#matrix", 0.5, 0.5)
            label, answer, number = said(browser)
            assert number.startswith(f"{((label == LABELS) & (answers == answer)).sum()} video")


class TestCurves:
    def test_runs_are_hidden_and_values_shown(self, browser: Any, pages: dict[str, Path]) -> None:
        open_page(browser, pages["curves"])
        assert texts(browser, ".charts h2") == ["Loss", "Top-1 accuracy (%)", "Learning rate", "Time per step (s)"]
        curves = len(browser.find_elements("css selector", ".chart path"))
        find(browser, "#runs input").click()
        assert len(browser.find_elements("css selector", ".chart path")) == curves / 2
        move_to(browser, ".charts section:nth-child(3) svg", 0.97, 0.5)
        (said,) = texts(browser, ".values")
        assert "0.0125" in said and said.startswith("epoch")
        assert complaints(browser) == []
