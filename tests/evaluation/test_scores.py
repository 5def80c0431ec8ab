"""Score files: the published form, without trust; averages against SciPy."""

import json
import math
import os
import pickle
import re
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax as scipy_softmax
from sklearn.metrics import top_k_accuracy_score

from ops.evaluation.measurement import Checkpoint
from ops.evaluation.score_averaging import average_views, check_agreement, softmax, top_accuracies
from ops.evaluation.score_files.score_pickle import measured_videos, read_view, view_path, write_view
from ops.runtime.errors import InputError
from tests.evaluation.test_measurement import MEASURED

N, CLASSES = 12, 7
LABELS = np.random.default_rng(0).integers(0, CLASSES, N)
NAMES = [f"videos/{i}.mp4" for i in range(N)]

ONE_LESS = replace(MEASURED, scored_videos=N - 1)


def logits(seed: int, classes: int = CLASSES, videos: int = N) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 4, (videos, classes)).astype(np.float32)


def write(folder: Path, clip: int, crop: int, **changes: Any) -> Path:
    values = {"scores": logits(10 * clip + crop), "labels": LABELS, "videos": NAMES, "measurement": MEASURED}
    write_view(folder, clip, crop, **values | changes)
    return view_path(folder, clip, crop)


def write_pickle(folder: Path, rows: Any, protocol: int = 4, name: str = "0_crop0.pkl") -> Path:
    path = folder / name
    path.write_bytes(pickle.dumps(rows, protocol))
    return path


def refusal(path: Path) -> str:
    """The one line with which a file is refused; it names the file."""
    with pytest.raises(InputError) as caught:
        read_view(path)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message


class TestWriteAndReadView:
    def test_round_trip(self, tmp_path: Path) -> None:
        view = read_view(write(tmp_path, 2, 1))
        assert view.path == tmp_path / "2_crop1.pkl"
        assert view.scores.dtype == np.float32
        assert np.array_equal(view.scores, logits(21))
        assert view.labels.tolist() == LABELS.tolist()
        assert view.videos == tuple(NAMES)
        assert view.measurement == MEASURED

    def test_plain_pickle_reads_it_as_the_published_tools_do(self, tmp_path: Path) -> None:
        rows = pickle.loads(write(tmp_path, 0, 0).read_bytes())
        assert isinstance(rows, list) and len(rows) == N
        for row, expected, label in zip(rows, logits(0), LABELS, strict=True):
            scores, written = row
            assert scores.dtype == np.float32 and scores.shape == (1, CLASSES)
            assert np.array_equal(scores[0], expected)
            assert written == label

    def test_video_ids_and_measurement_travel_beside_it(self, tmp_path: Path) -> None:
        beside = json.loads(write(tmp_path, 2, 1).with_suffix(".json").read_text())
        assert (beside["clip"], beside["crop"], beside["videos"]) == (2, 1, NAMES)

    @pytest.mark.parametrize("label", [int, np.int64, np.int32, lambda x: np.array([x]), np.array])
    @pytest.mark.parametrize("protocol", [2, 3, 4, 5])
    def test_pickles_of_the_reference(self, tmp_path: Path, protocol: int, label: Any) -> None:
        """What TDN's and MSN's test scripts write, with nothing beside it."""
        rows = [[row[None], label(int(y))] for row, y in zip(logits(3), LABELS, strict=True)]
        view = read_view(write_pickle(tmp_path, rows, protocol))
        assert np.array_equal(view.scores, logits(3))
        assert view.labels.tolist() == LABELS.tolist()
        assert view.videos is None and view.measurement is None

    @pytest.mark.parametrize("kind", [np.float64, np.float16, np.float32])
    def test_other_precisions(self, tmp_path: Path, kind: Any) -> None:
        rows = [[row[None].astype(kind), 1] for row in logits(3)]
        view = read_view(write_pickle(tmp_path, rows))
        assert view.scores.dtype == np.float32
        assert np.array_equal(view.scores, logits(3).astype(kind).astype(np.float32))

    @pytest.mark.parametrize("protocol", [2, 3, 4, 5])
    @pytest.mark.parametrize("label", [np.int64, lambda x: np.array([x])])
    def test_pickles_of_numpy_1(self, tmp_path: Path, protocol: int, label: Any) -> None:
        rows = [[row[None], label(int(y))] for row, y in zip(logits(3), LABELS, strict=True)]
        old = as_numpy_1(pickle.dumps(rows, protocol))
        assert b"numpy.core." in old and b"numpy._core" not in old
        path = tmp_path / "0_crop0.pkl"
        path.write_bytes(old)
        assert np.array_equal(read_view(path).scores, logits(3))
        assert read_view(path).labels.tolist() == LABELS.tolist()

    def test_non_contiguous_and_fortran_arrays(self, tmp_path: Path) -> None:
        wide = np.asfortranarray(np.repeat(logits(3), 2, axis=1))
        rows = [[wide[i : i + 1, ::2], 1] for i in range(N)]
        assert np.array_equal(read_view(write_pickle(tmp_path, rows)).scores, logits(3))


def as_numpy_1(content: bytes) -> bytes:
    """A pickle as NumPy 1.x would have written it, whose modules lie in numpy.core instead of numpy._core."""
    if not content.startswith((b"\x80\x04", b"\x80\x05")):
        return content.replace(b"numpy._core.", b"numpy.core.")

    def shorter(match: re.Match[bytes]) -> bytes:
        return b"\x8c" + bytes([match[1][0] - 1]) + b"numpy.core."

    renamed = re.sub(rb"\x8c(.)numpy\._core\.", shorter, content, flags=re.DOTALL)
    assert renamed[2:3] == b"\x95"  # one frame, of a length that has become shorter
    return renamed[:3] + struct.pack("<Q", len(renamed) - 11) + renamed[11:]


class Runs:
    """Pickles as a call of ``function``."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, tuple]:
        return self.call


class TestPicklesThatWantToRunSomething:
    @pytest.mark.parametrize("protocol", [0, 2, 4, 5])
    @pytest.mark.parametrize("place", ["whole", "row", "scores", "label"])
    @pytest.mark.parametrize("kind", ["system", "eval", "exec", "open", "load", "import", "getattr", "popen"])
    def test_refused_and_nothing_runs(self, tmp_path: Path, kind: str, place: str, protocol: int) -> None:
        trace = tmp_path / "trace"
        source = f"open({str(trace)!r}, 'w').close()"
        np.save(tmp_path / "inner.npy", np.array([Runs(os.mkdir, str(trace))], dtype=object), allow_pickle=True)
        call = {
            "system": Runs(os.system, f"touch {trace}"),
            "eval": Runs(eval, source),
            "exec": Runs(exec, source),
            "open": Runs(open, str(trace), "w"),
            "load": Runs(np.load, str(tmp_path / "inner.npy"), None, True),
            "import": Runs(__import__, "antigravity"),
            "getattr": Runs(getattr, "text", "upper"),
            "popen": Runs(os.popen, f"touch {trace}"),
        }[kind]
        row = {"whole": None, "row": call, "scores": [call, 0], "label": [logits(0)[:1], call]}[place]
        path = write_pickle(tmp_path, call if row is None else [[logits(0)[:1], 0], row], protocol)
        assert "is not part of a score file" in refusal(path)
        assert not trace.exists()

    @pytest.mark.parametrize(
        "name", ["numpy\nload", "numpy._core.multiarray\nfromfile", "numpy.core.multiarray\nfromfile", "os\nsystem",
                 "numpy\nndarray.tofile", "numpy._core.numeric\nfromfile", "ops.runtime.atomic_file\nwrite_atomically"]
    )  # fmt: skip
    def test_no_other_name_is_looked_up(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / "0_crop0.pkl"
        path.write_bytes(b"c" + name.encode() + b"\n.")
        assert "is not part of a score file" in refusal(path)
        module, function = name.encode().split(b"\n")
        stacked = b"\x80\x04" + b"".join(b"\x8c" + bytes([len(t)]) + t for t in (module, function)) + b"\x93."
        path.write_bytes(stacked)
        assert "is not part of a score file" in refusal(path)

    def test_objects_inside_an_array(self, tmp_path: Path) -> None:
        trace = tmp_path / "trace"
        array = np.array([[Runs(os.mkdir, str(trace))]], dtype=object)
        refusal(write_pickle(tmp_path, [[array, 0]]))
        assert not trace.exists()


F = np.zeros((1, 3), np.float32)


class TestMalformedViews:
    def test_missing_and_folder(self, tmp_path: Path) -> None:
        refusal(tmp_path / "0_crop0.pkl")
        (tmp_path / "1_crop0.pkl").mkdir()
        refusal(tmp_path / "1_crop0.pkl")

    @pytest.mark.parametrize(
        "content", [b"", b"text", b"\x80\x04", b"\x80\x09K\x01.", b"\x00" * 99, b"(lp0\n.", b"K\x01."]
    )
    def test_no_pickle_of_scores(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "0_crop0.pkl"
        path.write_bytes(content)
        refusal(path)

    def test_cut_off_anywhere(self, tmp_path: Path) -> None:
        path = write(tmp_path, 0, 0)
        content = path.read_bytes()
        for length in range(0, len(content), 37):
            path.write_bytes(content[:length])
            refusal(path)

    @pytest.mark.parametrize("rows", [[], {}, 3, "text", (F, 0), F, {"scores": F}])
    def test_no_list_of_videos(self, tmp_path: Path, rows: Any) -> None:
        assert "expected a list" in refusal(write_pickle(tmp_path, rows))

    @pytest.mark.parametrize(
        "row",
        [
            1,
            [],
            [F],
            [F, 0, 1],
            "ab",
            {"scores": F, "label": 0},
            [F, None],
            [F, "1"],
            [F, 1.0],
            [F, True],
            [F, [0, 1]],
            [F, 10**30],
            [F, -1],
            [F, 3],
            [None, 0],
            ["abc", 0],
            [[], 0],
            [np.zeros((0, 3)), 0],
            [np.zeros((2, 3)), 0],
            [np.zeros((3, 1)), 0],
            [np.full((1, 3), np.nan), 0],
            [np.array([[0, np.inf, 0]]), 0],
            [[[1], [2, 3]], 0],
            [np.zeros((1, 4)), 0],
            [F, np.array([0, 1])],
        ],
        ids=repr,
    )
    def test_one_bad_row_is_named(self, tmp_path: Path, row: Any) -> None:
        assert "video 2:" in refusal(write_pickle(tmp_path, [[F, 0], [F, 2], row, [F, 1]]))

    @pytest.mark.parametrize("kind", [complex, bool, "U1", "S3", "M8[s]", "V8", object, [("a", "f4")]], ids=str)
    def test_arrays_of_anything_but_numbers(self, tmp_path: Path, kind: Any) -> None:
        assert "not part of a score file" in refusal(write_pickle(tmp_path, [[F, 0], [np.zeros((1, 3), kind), 0]]))

    @pytest.mark.parametrize("scores", [1.5, np.float32(2), np.array(3.0)], ids=repr)
    def test_a_number_instead_of_scores(self, tmp_path: Path, scores: Any) -> None:
        assert "video 1:" in refusal(write_pickle(tmp_path, [[F, 0], [scores, 0]]))

    @pytest.mark.filterwarnings("ignore:overflow encountered")
    def test_scores_beyond_float32(self, tmp_path: Path) -> None:
        """They would become infinite, and their softmax NaN."""
        assert "video 1:" in refusal(write_pickle(tmp_path, [[F, 0], [np.array([[1e300, 0, 0]]), 0]]))

    @pytest.mark.parametrize(
        "content", ["", "text", "[]", "{}", '{"videos": []}', '{"videos": ["a"], "measurement": {}}', "null", "\xff"]
    )
    def test_what_lies_beside_it(self, tmp_path: Path, content: str) -> None:
        beside = write(tmp_path, 0, 0).with_suffix(".json")
        beside.write_text(content, encoding="latin-1")
        with pytest.raises(InputError, match=r"0_crop0\.json"):
            read_view(tmp_path / "0_crop0.pkl")

    def test_another_number_of_scored_videos(self, tmp_path: Path) -> None:
        write(tmp_path, 0, 0, measurement=ONE_LESS)
        with pytest.raises(InputError, match=rf"0_crop0\.json: expected {N} videos .* got {N - 1}"):
            read_view(tmp_path / "0_crop0.pkl")

    def test_another_number_of_ids(self, tmp_path: Path) -> None:
        write_pickle(tmp_path, [[F, 0]])
        beside = {"videos": ["a", "b"], "measurement": MEASURED.to_dict()}
        (tmp_path / "0_crop0.json").write_text(json.dumps(beside))
        with pytest.raises(InputError, match=r"0_crop0\.json: expected 1 videos .* got 2"):
            read_view(tmp_path / "0_crop0.pkl")


class TestSoftmax:
    def test_like_scipy(self) -> None:
        assert np.allclose(softmax(logits(0)), scipy_softmax(logits(0).astype(float), axis=1), rtol=1e-12)
        large = np.array([[1000.0, 0.0, -1000.0], [-5000.0, -5001.0, -5002.0]], np.float32)
        assert np.allclose(softmax(large), scipy_softmax(large.astype(float), axis=1), rtol=1e-12)

    def test_leaves_its_input(self) -> None:
        scores = logits(0).astype(np.float64)
        before = scores.copy()
        softmax(scores)
        assert np.array_equal(scores, before)


def naive_average(rule: str, views: list[np.ndarray]) -> list[list[float]]:
    """The rules as they are written down, number by number."""

    def counted(view: np.ndarray, video: int, label: int) -> float:
        row = view[video].tolist()
        if rule == "softmax":
            return math.exp(row[label]) / math.fsum(math.exp(score) for score in row)
        return {"logits": row[label], "relu": row[label] if row[label] > 0 else 0.0}[rule]

    return [
        [sum(counted(view, video, label) for view in views) / len(views) for label in range(CLASSES)]
        for video in range(N)
    ]


class TestAverageViews:
    @pytest.mark.parametrize("rule", ["softmax", "logits", "relu"])
    @pytest.mark.parametrize(("clips", "crops"), [(1, 1), (3, 2), (2, 1)])
    def test_mean_by_each_rule(self, tmp_path: Path, clips: int, crops: int, rule: str) -> None:
        for clip in range(3):
            for crop in range(2):
                write(tmp_path, clip, crop)
        expected = naive_average(rule, [logits(10 * clip + crop) for clip in range(clips) for crop in range(crops)])
        result = average_views(tmp_path, clips, crops, rule)
        assert np.allclose(result.averaged, expected, rtol=1e-12, atol=1e-12)
        assert result.averaged.dtype == np.float64 and result.rule == rule
        assert result.labels.tolist() == LABELS.tolist()
        assert result.first.path == tmp_path / "0_crop0.pkl"

    def test_the_recorded_rule_else_softmax(self, tmp_path: Path) -> None:
        views = [logits(0), logits(1)]
        for crop in range(2):
            write(tmp_path, 0, crop, measurement=replace(MEASURED, average="logits"))
        assert np.allclose(average_views(tmp_path, 1, 2).averaged, naive_average("logits", views))
        assert np.allclose(average_views(tmp_path, 1, 2, "relu").averaged, naive_average("relu", views))
        for crop in range(2):
            view_path(tmp_path, 0, crop).with_suffix(".json").unlink()
        assert np.allclose(average_views(tmp_path, 1, 2).averaged, naive_average("softmax", views))

    @pytest.mark.parametrize("rule", ["softmax", "relu"])
    def test_views_of_different_rules(self, tmp_path: Path, rule: str) -> None:
        write(tmp_path, 0, 0, measurement=replace(MEASURED, average=rule))
        odd = write(tmp_path, 0, 1, measurement=replace(MEASURED, average="logits"))
        with pytest.raises(InputError) as caught:
            average_views(tmp_path, 1, 2)
        assert str(caught.value) == (
            f"{odd}: expected a test with --average {rule} as in {tmp_path / '0_crop0.pkl'}, got --average logits; "
            f"choose one for both with --average"
        )
        assert average_views(tmp_path, 1, 2, "softmax").rule == "softmax"
        (tmp_path / "0_crop0.json").unlink()  # nothing recorded: softmax
        with pytest.raises(InputError, match=r"0_crop1\.pkl: expected a test with --average softmax .*, got .* logits"):
            average_views(tmp_path, 1, 2)

    @pytest.mark.parametrize("rule", ["softmax", "logits", "relu", None])
    @pytest.mark.parametrize("odd", [0, 1])
    def test_probabilities_are_refused(self, tmp_path: Path, rule: str | None, odd: int) -> None:
        write(tmp_path, 0, 1 - odd)
        path = write(tmp_path, 0, odd, scores=scipy_softmax(logits(odd), axis=1))
        with pytest.raises(InputError) as caught:
            average_views(tmp_path, 1, 2, rule)
        assert str(caught.value) == (
            f"{path}: expected scores before the softmax (logits), got probabilities: those of each video sum to 1"
        )

    @pytest.mark.parametrize("recorded", [True, False])
    def test_logarithms_of_probabilities_have_one_rule(self, tmp_path: Path, recorded: bool) -> None:
        """What --softmax writes: the softmax of them is what they were made from, any other average is not."""
        scores = np.log(scipy_softmax(logits(0), axis=1))
        factor = 1.5 if recorded else 1.0  # of a model: they no longer sum to 1
        path = write(tmp_path, 0, 0, scores=scores + math.log(factor), measurement=replace(MEASURED, softmax=True))
        if not recorded:
            path.with_suffix(".json").unlink()
        expected = naive_average("softmax", [logits(0)])
        assert np.allclose(average_views(tmp_path, 1, 1).averaged, expected, rtol=1e-5, atol=1e-8)
        for rule in ("logits", "relu"):
            with pytest.raises(InputError) as caught:
                average_views(tmp_path, 1, 1, rule)
            message = str(caught.value)
            assert message.startswith(f"{path}: expected scores before the softmax (logits) for --average {rule}, got ")
            assert "\n" not in message and message.endswith("use --average softmax")

    @pytest.mark.parametrize("gone", ["0_crop0", "0_crop1", "2_crop1"])
    def test_missing_view(self, tmp_path: Path, gone: str) -> None:
        for clip in range(3):
            for crop in range(2):
                write(tmp_path, clip, crop)
        (tmp_path / f"{gone}.pkl").unlink()
        with pytest.raises(InputError, match=rf"{gone}\.pkl: expected 3 clips x 2 crops"):
            average_views(tmp_path, 3, 2)

    @pytest.mark.parametrize(
        ("changes", "what"),
        [
            (
                {"scores": logits(1, videos=N - 1), "labels": LABELS[1:], "videos": NAMES[1:], "measurement": ONE_LESS},
                "number of videos",
            ),
            ({"labels": np.where(np.arange(N) == 5, (LABELS + 1) % CLASSES, LABELS)}, "label of video 5"),
            ({"videos": [*NAMES[:3], "another.mp4", *NAMES[4:]]}, "video 3"),
            ({"scores": logits(1, classes=CLASSES + 1)}, "number of classes"),
            ({"measurement": replace(MEASURED, size=256)}, "size"),
            ({"measurement": replace(MEASURED, segments=(16,))}, "segments"),
            ({"measurement": replace(MEASURED, amp="bf16")}, "amp"),
            ({"measurement": replace(MEASURED, coefficients=(2.0,))}, "coefficients"),
            ({"measurement": replace(MEASURED, motion_windows=(4,))}, "motion_windows"),
            ({"measurement": replace(MEASURED, softmax=True)}, "softmax"),
            ({"measurement": replace(MEASURED, sampling="random", seed=1)}, "sampling"),
            ({"measurement": replace(MEASURED, clips=10)}, "clips"),
            (
                {"measurement": replace(MEASURED, checkpoints=(Checkpoint("best.pth.tar", 13, "f" * 16),))},
                "checkpoints",
            ),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_disagreement_names_the_file(self, tmp_path: Path, changes: dict[str, Any], what: str) -> None:
        write(tmp_path, 0, 0)
        odd = write(tmp_path, 0, 1, **changes)
        with pytest.raises(InputError) as caught:
            average_views(tmp_path, 1, 2)
        message = str(caught.value)
        assert message.startswith(f"{odd}: expected {what} ")
        assert str(tmp_path / "0_crop0.pkl") in message

    def test_videos_that_one_view_left_out_are_named(self, tmp_path: Path) -> None:
        write(tmp_path, 0, 0)
        write(tmp_path, 0, 1, scores=logits(1)[1:], labels=LABELS[1:], videos=NAMES[1:], measurement=ONE_LESS)
        with pytest.raises(InputError, match=r"expected number of videos 12 \('videos/0\.mp4' among them\) .* got 11$"):
            average_views(tmp_path, 1, 2)

    def test_other_models_may_be_ensembled(self, tmp_path: Path) -> None:
        one = read_view(write(tmp_path, 0, 0))
        other = read_view(write(tmp_path, 0, 1, measurement=replace(MEASURED, segments=(16,))))
        check_agreement(one, other, same_models=False)
        with pytest.raises(InputError, match="segments"):
            check_agreement(one, other, same_models=True)

    def test_files_without_ids_agree_with_files_that_have_them(self, tmp_path: Path) -> None:
        write(tmp_path, 0, 0)
        write(tmp_path, 0, 1).with_suffix(".json").unlink()
        average_views(tmp_path, 1, 2)


class TestTopAccuracies:
    @pytest.mark.parametrize("classes", [6, 27, 174])
    def test_like_scikit_learn(self, classes: int) -> None:
        rng = np.random.default_rng(classes)
        probabilities = scipy_softmax(rng.normal(size=(200, classes)), axis=1)
        labels = rng.integers(0, classes, 200)
        expected = [100 * top_k_accuracy_score(labels, probabilities, k=k, labels=range(classes)) for k in (1, 5)]
        assert top_accuracies(probabilities, labels) == pytest.approx(expected)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_what_is_not_finite_is_no_hit(self, value: float) -> None:
        with pytest.raises(ValueError, match="finite"):
            top_accuracies(np.array([[value, 1.0], [0.0, 1.0]]), np.array([0, 1]))

    def test_fewer_than_five_classes(self) -> None:
        assert top_accuracies(np.array([[0.6, 0.4], [0.7, 0.3]]), np.array([0, 1])) == (50, 100)

    def test_among_equal_scores_the_lower_class_comes_first(self) -> None:
        rng = np.random.default_rng(0)
        scores, labels = rng.integers(0, 3, (300, 9)).astype(float), rng.integers(0, 9, 300)
        ranked = np.argsort(-scores, axis=1, kind="stable")
        expected = [100 * np.mean([y in row[:k] for row, y in zip(ranked, labels, strict=True)]) for k in (1, 5)]
        assert top_accuracies(scores, labels) == pytest.approx(expected)


class TestMeasuredVideos:
    def test_the_same_and_another(self, tmp_path: Path) -> None:
        path = write(tmp_path, 0, 0)
        assert measured_videos(path, MEASURED) == measured_videos(path, ONE_LESS) == tuple(NAMES)
        assert measured_videos(path, replace(MEASURED, size=256)) is None
        assert measured_videos(tmp_path / "1_crop0.pkl", MEASURED) is None
        path.with_suffix(".json").write_text("[]")
        assert measured_videos(path, MEASURED) is None
