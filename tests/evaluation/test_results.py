"""pkl_to_results.py as its users run it, against scikit-learn; what it refuses; what it does not import."""

import csv
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, recall_score

from ops.evaluation.measurement import Checkpoint, Measurement
from ops.evaluation.results import compute_results, load_class_names, report, write_results
from ops.evaluation.score_files.score_pickle import write_view
from ops.runtime.errors import InputError
from ops.settings.command_lines import parse_results
from ops.visual.confusion_matrix import draw_confusion
from tests.commands import run, run_script

N, CLASSES, CLIPS, CROPS = 60, 9, 2, 3
RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, CLASSES - 1, N)  # the last class has no video
NAMES = [f"class, {i}" if i % 2 else f'the "{i}"' for i in range(CLASSES)]
MEASURED = Measurement(
    dataset="tiny", video_list="val.txt", num_videos=N, scored_videos=N, segments=(8,), motion=("stpme",),
    motion_windows=(8,), crops=CROPS, clips=CLIPS, sampling="even", scale=256, size=224,
    checkpoints=(Checkpoint("best.pth.tar", 12, "0" * 16),),
)  # fmt: skip


def logits(model: int, clip: int, crop: int) -> np.ndarray:
    rng = np.random.default_rng((model, clip, crop))
    return (rng.normal(size=(N, CLASSES)) + 0.5 * np.eye(CLASSES)[LABELS]).astype(np.float32)


def write_folder(folder: Path, model: int, measured: Measurement = MEASURED) -> Path:
    folder.mkdir()
    for clip in range(CLIPS):
        for crop in range(CROPS):
            videos = [f"{i}.mp4" for i in range(N)]
            write_view(folder, clip, crop, logits(model, clip, crop), LABELS, videos, measured)
    return folder


def naive_probabilities(model: int) -> np.ndarray:
    views = [logits(model, clip, crop).astype(float) for clip in range(CLIPS) for crop in range(CROPS)]
    return np.mean([softmax(view, axis=1) for view in views], axis=0)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Scores of an 8-frame and a 16-frame model."""
    wide = replace(MEASURED, segments=(16,), checkpoints=(Checkpoint("wide.pth.tar", 30, "1" * 16),))
    return write_folder(tmp_path / "eight", 8), write_folder(tmp_path / "sixteen", 16, wide)


def results(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    views = ("--num_clips", str(CLIPS), "--test_crops", str(CROPS))
    return run_script("pkl_to_results.py", *views, "--output_dir", folder.name, *arguments, cwd=folder.parent)


def accuracies(output: str) -> list[float]:
    """top-1, top-5 and mean class accuracy from the first line."""
    match = re.match(r"top-1 ([\d.]+) %, top-5 ([\d.]+) %, mean class accuracy ([\d.]+) %\n", output)
    assert match, output
    return [float(number) for number in match.groups()]


def expected_accuracies(probabilities: np.ndarray) -> list[float]:
    ranked = np.argsort(-probabilities, axis=1, kind="stable")  # of equal scores the lower class is first
    top5 = np.mean([label in row[:5] for row, label in zip(ranked, LABELS, strict=True)])
    mean_class = balanced_accuracy_score(LABELS, ranked[:, 0])
    return [100 * accuracy_score(LABELS, ranked[:, 0]), 100 * top5, 100 * mean_class]


pytestmark = pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")  # the oracle's


class TestScript:
    def test_one_folder(self, folders: tuple[Path, Path], tmp_path: Path) -> None:
        (tmp_path / "names.txt").write_text("\n".join(NAMES))
        done = results(folders[0], "--per_class", "--class_names", "names.txt")
        assert (done.returncode, done.stderr) == (0, "")
        probabilities = naive_probabilities(8)
        predicted = probabilities.argmax(axis=1)
        assert accuracies(done.stdout) == pytest.approx(expected_accuracies(probabilities), abs=0.005)
        assert f"[{MEASURED.line()}]" in done.stdout

        content = json.loads((folders[0] / "results.json").read_text())
        classes = range(CLASSES)
        recalls = recall_score(LABELS, predicted, labels=classes, average=None, zero_division=np.nan)
        assert list(content["per_class"]) == NAMES
        assert content["per_class"][NAMES[-1]] is None
        assert list(content["per_class"].values())[:-1] == pytest.approx(100 * recalls[:-1])
        assert content["protocol"] == MEASURED.line()
        with (folders[0] / "confusion_matrix.csv").open(newline="") as file:
            rows = list(csv.reader(file))
        assert rows[0][1:] == [row[0] for row in rows[1:]] == NAMES
        matrix = [[int(count) for count in row[1:]] for row in rows[1:]]
        assert matrix == confusion_matrix(LABELS, predicted, labels=classes).tolist()

        for i, name in enumerate(NAMES):
            (line,) = [line for line in done.stdout.splitlines() if line.startswith(name)]
            count, accuracy = line.removeprefix(name).split()
            assert int(count) == (i == LABELS).sum()
            assert accuracy == (f"{100 * recalls[i]:.2f}" if count != "0" else "-")
        assert (folders[0] / "results.txt").read_text().startswith(done.stdout.splitlines()[0])

    def test_two_folders_are_averaged_after_softmax(self, folders: tuple[Path, Path]) -> None:
        done = results(folders[0], "--multi_segments", "--output_dir1", folders[1].name)
        probabilities = (naive_probabilities(8) + naive_probabilities(16)) / 2
        assert accuracies(done.stdout) == pytest.approx(expected_accuracies(probabilities), abs=0.005)
        protocol = done.stdout.splitlines()[1]
        for part in ("8 frames", "16 frames", "best.pth.tar (epoch 12)", "wide.pth.tar (epoch 30)"):
            assert part in protocol
        assert protocol.endswith("; folders averaged after the softmax]")
        written = {path.name for path in folders[0].glob("*results*")}
        assert written == {"ensemble_results.txt", "ensemble_results.json"}  # a report on the folder alone would stay

    def test_two_folders_as_published(self, folders: tuple[Path, Path]) -> None:
        """The sum of max(logit, 0) over both folders, which here has other winners than the softmax."""
        options = ("--num_clips", "1", "--test_crops", "1", "--average", "relu", "--multi_segments")
        done = results(folders[0], *options, "--output_dir1", folders[1].name)
        views = [logits(model, 0, 0) for model in (8, 16)]
        total = np.zeros((N, CLASSES))
        for view in views:
            for video in range(N):
                for label in range(CLASSES):
                    total[video, label] += max(float(view[video, label]), 0)
        expected = expected_accuracies(total)
        assert accuracies(done.stdout) == pytest.approx(expected, abs=0.005)
        assert expected != expected_accuracies(sum(softmax(view.astype(float), axis=1) for view in views))
        content = json.loads((folders[0] / "ensemble_results.json").read_text())
        assert content["average"] == "relu" and content["top1"] == pytest.approx(expected[0])
        assert content["protocol"].count("views averaged as max(logit, 0)") == 2
        assert content["protocol"].endswith("; folders averaged as max(logit, 0)")

    def test_without_side_files_and_without_torch(self, folders: tuple[Path, Path]) -> None:
        for path in folders[0].glob("*.json"):
            path.unlink()
        code = (
            "import runpy, sys; sys.path.insert(0, sys.argv[1]); script = sys.argv[1] + '/pkl_to_results.py'; "
            "sys.argv[:2] = [script]; runpy.run_path(script, run_name='__main__'); "
            "assert not {'torch', 'torchvision', 'decord', 'av'} & set(sys.modules)"
        )
        repository = str(Path(__file__).resolve().parents[2])
        options = ("--num_clips", "1", "--test_crops", "2", "--output_dir", folders[0].name)
        done = run(sys.executable, "-c", code, repository, *options, cwd=folders[0].parent)
        assert (done.returncode, done.stderr) == (0, "")
        assert re.search(
            rf"\[2 crops x 1 clip, {N} videos, views averaged after the softmax; .*not recorded.*\]", done.stdout
        )

    def test_missing_view_is_one_line_and_status_2(self, folders: tuple[Path, Path]) -> None:
        (folders[0] / "1_crop2.pkl").unlink()
        done = results(folders[0])
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.count("\n") == 1 and "1_crop2.pkl" in done.stderr and "Traceback" not in done.stderr

    def test_missing_folder_is_one_line_and_status_2(self, tmp_path: Path) -> None:
        done = results(tmp_path / "nowhere")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.count("\n") == 1 and "nowhere" in done.stderr and "Traceback" not in done.stderr


def config(folder: Path, *arguments: str, clips: int = CLIPS, crops: int = CROPS):
    views = ("--num_clips", str(clips), "--test_crops", str(crops))
    return parse_results([*views, "--output_dir", str(folder), *arguments])


class TestComputeResults:
    def test_like_scikit_learn(self, folders: tuple[Path, Path]) -> None:
        found = compute_results(config(folders[0]))
        probabilities = naive_probabilities(8)
        predicted = probabilities.argmax(axis=1)
        assert [found.top1, found.top5, found.mean_class] == pytest.approx(expected_accuracies(probabilities))
        assert np.isnan(found.per_class[-1])
        assert np.array_equal(found.confusion, confusion_matrix(LABELS, predicted, labels=range(CLASSES)))
        assert found.protocol == MEASURED.line()

    def test_fewer_views_than_were_measured(self, folders: tuple[Path, Path]) -> None:
        found = compute_results(config(folders[0], clips=1, crops=1))
        first = softmax(logits(8, 0, 0).astype(float), axis=1)
        assert [found.top1, found.top5, found.mean_class] == pytest.approx(expected_accuracies(first))
        assert found.protocol == f"{MEASURED.line()}, of which only 1 crop x 1 clip are averaged"

    def test_says_how_many_videos_were_left_out(self, tmp_path: Path) -> None:
        measured = replace(MEASURED, crops=1, clips=1, num_videos=100, scored_videos=N)
        write_view(tmp_path, 0, 0, logits(8, 0, 0), LABELS, [f"{i}.mp4" for i in range(N)], measured)
        assert "tiny val.txt (60 of 100 videos)" in compute_results(config(tmp_path, clips=1, crops=1)).protocol

    def test_folders_of_other_videos(self, folders: tuple[Path, Path]) -> None:
        for path in folders[1].glob("*.json"):
            path.write_text(path.read_text().replace("7.mp4", "seven.mp4"))
        with pytest.raises(InputError, match=r"sixteen.0_crop0\.pkl: expected video 7 '7\.mp4'"):
            compute_results(config(folders[0], "--multi_segments", "--output_dir1", str(folders[1])))

    def test_logits_where_they_are_asked_for_or_recorded(self, folders: tuple[Path, Path], tmp_path: Path) -> None:
        expected = np.mean(
            [logits(8, clip, crop) for clip in range(CLIPS) for crop in range(CROPS)], axis=0, dtype=float
        )
        logit_rule = replace(MEASURED, average="logits")
        recorded = write_folder(tmp_path / "tsm", 8, logit_rule)
        for asked in (config(folders[0], "--average", "logits"), config(recorded)):
            found = compute_results(asked)
            assert [found.top1, found.top5, found.mean_class] == pytest.approx(expected_accuracies(expected))
            assert (found.average, found.protocol) == ("logits", logit_rule.line())
            assert "views averaged as logits" in found.protocol
        assert compute_results(config(recorded, "--average", "softmax")).protocol == MEASURED.line()

    def test_folders_that_were_told_different_rules(self, folders: tuple[Path, Path], tmp_path: Path) -> None:
        other = write_folder(tmp_path / "tsm", 8, replace(MEASURED, average="logits"))
        both = ("--multi_segments", "--output_dir1", str(other))
        with pytest.raises(InputError, match=r"tsm.0_crop0\.pkl: expected a test with --average softmax as in .*eight"):
            compute_results(config(folders[0], *both))
        assert compute_results(config(folders[0], *both, "--average", "softmax")).average == "softmax"

    def test_one_video(self, tmp_path: Path) -> None:
        measured = replace(MEASURED, crops=1, clips=1, scored_videos=1)
        write_view(tmp_path, 0, 0, np.array([[0.1, 3.0]]), [1], ["a"], measured)
        found = compute_results(config(tmp_path, clips=1, crops=1))
        assert (found.top1, found.top5, found.mean_class) == (100, None, 100)  # of two classes
        assert found.confusion.tolist() == [[0, 0], [0, 1]]


class TestReports:
    def test_names(self, folders: tuple[Path, Path], tmp_path: Path) -> None:
        found = compute_results(config(folders[0]))
        assert load_class_names(config(folders[0]), found) == tuple(map(str, range(CLASSES)))
        named = replace(found, class_names=tuple(NAMES))
        assert load_class_names(config(folders[0]), named) == tuple(NAMES)
        (tmp_path / "names.txt").write_text("\n".join(NAMES[::-1]))
        with_names = config(folders[0], "--class_names", str(tmp_path / "names.txt"))
        assert load_class_names(with_names, named) == tuple(NAMES[::-1])
        (tmp_path / "names.txt").write_text("a\nb\n")
        with pytest.raises(InputError, match=rf"names\.txt: expected {CLASSES} class names, got 2"):
            load_class_names(with_names, named)

    def test_names_travel_with_the_scores(self, tmp_path: Path) -> None:
        for folder, names in (("one", NAMES), ("two", ()), ("other", NAMES[::-1])):
            for crop in range(2):
                measured = replace(MEASURED, crops=2, clips=1)
                videos = [f"{i}.mp4" for i in range(N)]
                (tmp_path / folder).mkdir(exist_ok=True)
                write_view(tmp_path / folder, 0, crop, logits(1, 0, crop), LABELS, videos, measured, class_names=names)
        one = config(tmp_path / "one", clips=1, crops=2)
        assert compute_results(one).class_names == tuple(NAMES)
        assert compute_results(config(tmp_path / "two", clips=1, crops=2)).class_names == ()
        both = ("--multi_segments", "--output_dir1")
        mixed = config(tmp_path / "two", *both, str(tmp_path / "one"), clips=1, crops=2)
        assert compute_results(mixed).class_names == tuple(NAMES)
        with pytest.raises(InputError, match=r"expected name of class 0 '.*' as in"):
            compute_results(config(tmp_path / "one", *both, str(tmp_path / "other"), clips=1, crops=2))
        beside = tmp_path / "one" / "0_crop1.json"
        beside.write_text(beside.read_text().replace(json.dumps(NAMES[0]) + ",", ""))
        with pytest.raises(InputError, match=rf"0_crop1\.json: expected {CLASSES} class names"):
            compute_results(one)

    def test_accuracy_stands_beside_its_protocol(self, folders: tuple[Path, Path]) -> None:
        found = compute_results(config(folders[0]))
        names = tuple(map(str, range(CLASSES)))
        assert report(found, names, per_class=False).splitlines()[1] == f"[{MEASURED.line()}]"
        assert len(report(found, names, per_class=False).splitlines()) == 2
        assert len(report(found, names, per_class=True).splitlines()) == 3 + CLASSES

    def test_files(self, folders: tuple[Path, Path], tmp_path: Path) -> None:
        found = compute_results(config(folders[0]))
        picture = draw_confusion(found.confusion, NAMES, found.accuracies, found.protocol)
        paths = write_results(found, tuple(NAMES), (tmp_path,), picture)
        assert sorted(p.name for p in paths) == [
            "confusion_matrix.csv",
            "confusion_matrix.png",
            "results.json",
            "results.txt",
        ]
        assert all(p.read_text().endswith("\n") for p in paths if p.suffix != ".png")
        with Image.open(tmp_path / "confusion_matrix.png") as picture:
            assert min(picture.size) > 100
