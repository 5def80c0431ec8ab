"""What report.py writes, and what it says of bad input, without a browser."""

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ops.evaluation.scored_videos import read_scored_videos
from ops.runtime.errors import InputError
from ops.settings.command_lines import parse, report_parser
from ops.settings.results import ReportConfig
from ops.visual.report.contents import class_rows, comparison, p_value, tiles
from ops.visual.report.examples import VIDEOS as SHOWN_VIDEOS
from ops.visual.report.examples import choose_examples
from ops.visual.report.strips import strip, video_at
from ops.visual.report.writing import write_report
from tests.clip_files import write_broken, write_folder
from tests.commands import run_script
from tests.media import make_sound, make_video, number_of
from tests.visual.report.made_scores import CLASSES, FILES, LABELS, NAMES, VIDEOS, made_logits, write_scores

RIGHT = [made_logits(seed).argmax(axis=1) == LABELS for seed in (1, 2)]


@pytest.fixture
def one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_scores(tmp_path / "one", 1)


def make_report(*words: str | Path) -> int:
    return write_report(parse(report_parser(), ReportConfig, [*map(str, words)]))


def data_of(page: Path) -> dict[str, Any]:
    """What the page's scripts read."""
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page.read_text(), re.DOTALL)
    read: dict[str, Any] = json.loads(found)
    return read


class TestPage:
    def test_holds_every_video(self, one: Path, capsys: pytest.CaptureFixture) -> None:
        assert make_report(one) == 0
        assert capsys.readouterr().out.startswith(f"{one / 'report.html'}: {VIDEOS} videos, ")
        data = data_of(one / "report.html")
        assert data["classes"] == list(NAMES) and data["videos"].split("\n") == list(FILES)
        assert np.frombuffer(base64.b64decode(data["labels"]), "<u2").tolist() == LABELS.tolist()
        logits = made_logits(1).astype(np.float32).astype(float)
        ranked = np.argsort(-logits, axis=1, kind="stable")[:, :5]
        assert np.frombuffer(base64.b64decode(data["answers"][0]), "<u2").reshape(-1, 5).tolist() == ranked.tolist()
        exponentials = np.exp(logits)
        expected = np.take_along_axis(exponentials / exponentials.sum(axis=1, keepdims=True), ranked, axis=1)
        found = np.frombuffer(base64.b64decode(data["probabilities"][0]), "<u2").reshape(-1, 5) / data["scale"]
        assert np.allclose(found, expected, atol=1e-5)

    def test_says_the_accuracy_and_its_protocol(self, one: Path) -> None:
        make_report(one)
        text = " ".join((one / "report.html").read_text().split())
        assert f"<b>{100 * RIGHT[0].mean():.2f} %</b>" in text and read_scored_videos(one).protocol in text
        assert "No frames are shown, as the videos were not found (not in data/made; --root_path DIR says where" in text
        assert "<b>bold</b>" not in text and "&lt;/script&gt;&lt;b&gt;bold" in text

    def test_scores_that_say_little(self, tmp_path: Path) -> None:
        """No names of videos and classes, no protocol: what is known is shown."""
        folder = write_scores(tmp_path / "bare", 1, names=(), beside=False)
        assert make_report(folder, "--out", tmp_path / "page.html") == 0
        data = data_of(tmp_path / "page.html")
        assert data["videos"] is None and data["classes"] == [str(label) for label in range(CLASSES)]
        assert "The scores do not say which videos they are of" in (tmp_path / "page.html").read_text()

    def test_two_folders_of_one_name(self, one: Path, tmp_path: Path) -> None:
        other = write_scores(tmp_path / "other" / "one", 2)
        assert make_report(one, other) == 0
        data = data_of(one / "comparison.html")
        assert data["folders"] == [str(one), str(other)] and len(data["answers"]) == 2


class TestNumbers:
    def test_comparison(self, one: Path, tmp_path: Path) -> None:
        found = comparison(read_scored_videos(one), read_scored_videos(write_scores(tmp_path / "two", 2)))
        a, b = RIGHT
        pairs = list(zip(a.tolist(), b.tolist(), strict=True))
        counts = [pairs.count(pair) for pair in ((True, True), (True, False), (False, True), (False, False))]
        assert [found[key] for key in ("both", "first_only", "second_only", "neither")] == counts
        gain = 100 * (b.mean() - a.mean())
        assert found["difference"] == f"{abs(gain):.2f} points {'higher' if gain > 0 else 'lower'} than"
        same = comparison(read_scored_videos(one), read_scored_videos(one))
        assert (same["difference"], same["p"], same["differs"]) == ("the same as", "p = 1", False)

    @pytest.mark.parametrize(
        ("p", "said"), [(0.0312, "p = 0.031"), (2e-4, "p = 0.0002"), (3e-9, "p < 1e-8"), (0, "p < 1e-300")]
    )
    def test_p(self, p: float, said: str) -> None:
        assert p_value(p) == said

    def test_classes(self, one: Path) -> None:
        rows = class_rows([read_scored_videos(one)], NAMES)
        answers = made_logits(1).argmax(axis=1)
        for row in rows[:-1]:
            mine = answers[row.label == LABELS]
            wrong = [int(label) for label in mine if label != row.label]
            assert row.videos == len(mine) and row.accuracies[0].value == pytest.approx(
                100 - 100 * len(wrong) / len(mine)
            )
            assert row.taken_for is not None and wrong.count(row.taken_for[0]) == row.taken_for[1]
            assert row.taken_for[1] == max(map(wrong.count, wrong))
        assert rows[-1].accuracies[0].value is None and rows[-1].taken_for is None

    def test_tiles(self, one: Path) -> None:
        assert [tile.name for tile in tiles(read_scored_videos(one))] == [
            "top-1", "top-5", "mean class accuracy", "calibration error"
        ]  # fmt: skip

    def test_examples(self, one: Path, tmp_path: Path) -> None:
        """The worst classes with confident wrong answers; what only one of two gets right."""
        parts = [read_scored_videos(one), read_scored_videos(write_scores(tmp_path / "two", 2))]
        worst, best = choose_examples(parts[:1], 3)
        accuracy = {label: float(RIGHT[0][label == LABELS].mean()) for label in range(CLASSES - 1)}
        assert [accuracy[e.label] for e in worst.examples] == sorted(accuracy.values())[:3]
        assert [accuracy[e.label] for e in best.examples] == sorted(accuracy.values(), reverse=True)[:3]
        confidence = parts[0].probabilities.max(axis=1)
        for group, right in ((worst, False), (best, True)):
            for example in group.examples:
                all_such = [i for i in range(VIDEOS) if LABELS[i] == example.label and RIGHT[0][i] == right]
                assert list(example.videos) == sorted(all_such, key=lambda i: -confidence[i])[:SHOWN_VIDEOS]
        groups = {group.title: group for group in choose_examples(parts, 3)}
        for title, only in (("Most lost", RIGHT[0] & ~RIGHT[1]), ("Most gained", RIGHT[1] & ~RIGHT[0])):
            assert all(only[video] for example in groups[title].examples for video in example.videos)
        assert choose_examples(parts, 0) == []


class TestFrames:
    def frames(self, uri: str, count: int) -> list[int]:
        with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as image:
            picture = np.asarray(image)
        return [number_of(frame) for frame in np.split(picture, count, axis=1)]

    def test_from_the_whole_video(self, tmp_path: Path) -> None:
        make_video(tmp_path / "a.mp4", frames=12, size=(96, 72))
        write_folder(tmp_path / "b", 9, "img_{:03d}.png", size=(96, 72))
        assert self.frames(strip(video_at(tmp_path / "a.mp4"), "pyav"), 3) == [2, 6, 10]
        assert self.frames(strip(video_at(tmp_path / "a"), "pyav"), 3) == [2, 6, 10]
        assert self.frames(strip(video_at(tmp_path / "b"), "pyav"), 3) == [1, 4, 7]

    def test_one_frame(self, tmp_path: Path) -> None:
        make_video(tmp_path / "a.mp4", frames=1, size=(96, 72))
        assert self.frames(strip(video_at(tmp_path / "a.mp4"), "pyav"), 1) == [0]

    def test_broken_ones_cost_a_line_each(self, one: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
        """The page is made, with the frames of the others; the status says that something was wrong."""
        for name in FILES:
            (tmp_path / "data" / "made" / name).parent.mkdir(parents=True, exist_ok=True)
            write_broken(tmp_path / "data" / "made" / name)
        (group, *_) = choose_examples([read_scored_videos(one)], 1)
        first, second, third = group.examples[0].videos
        make_video(tmp_path / "data" / "made" / FILES[first], frames=4)
        (tmp_path / "data" / "made" / FILES[second]).unlink()
        make_sound(tmp_path / "data" / "made" / FILES[third])
        assert make_report(one, "--shown", "1") == 2
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 5
        assert sum(FILES[second] in line for line in lines) == sum(FILES[third] in line for line in lines) == 1
        data = data_of(one / "report.html")
        assert list(data["strips"]) == [str(first)] and data["root"] == "../data/made"

    def test_none_can_be_read(self, one: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
        (tmp_path / "empty").mkdir()
        assert make_report(one, "--root_path", tmp_path / "empty") == 2
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert "nor could any other" in line and (one / "report.html").is_file()


class TestBadInput:
    def test_one_line(self, one: Path, tmp_path: Path) -> None:
        (tmp_path / "nothing").mkdir()
        (tmp_path / "names.txt").write_text("a\nb\n")
        for words, said in (
            ((tmp_path / "nothing",), "expected score files of a test script, like 0_crop0.pkl, got none"),
            ((tmp_path / "nowhere",), "expected a folder of scores, got .*nowhere, which is none"),
            ((one, one, one), "expected one or two folders of scores, got 3"),
            ((one, "--out", tmp_path / "none" / "page.html"), r"page\.html: expected to write a file, got No such"),
            ((one, "--class_names", tmp_path / "names.txt"), f"expected {CLASSES} class names, got 2"),
            ((one, "--root_path", tmp_path / "nowhere"), "expected the folder of the tested videos"),
            ((one, "--num_clips", "2"), "expected 2 clips x 1 crops in .*, got no such file"),
        ):
            with pytest.raises(InputError, match=said):
                make_report(*words)
        assert not list(one.glob("*.html"))

    def test_command(self, one: Path) -> None:
        done = run_script("scripts/report.py", "one", cwd=one.parent)
        assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("one/report.html: 220 videos, ")
        done = run_script("scripts/report.py", "one", "--out", "no/page.html", cwd=one.parent)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("error: no/page.html: expected to write a file") and done.stderr.count("\n") == 1
