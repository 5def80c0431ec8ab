"""Scored videos, one by one, and those that two folders have in common."""

from pathlib import Path

import numpy as np
import pytest

from ops.evaluation.measurement import Checkpoint, Measurement
from ops.evaluation.results import compute_results
from ops.evaluation.score_files.score_pickle import write_view
from ops.evaluation.scored_videos import ScoredVideos, of_the_same_videos, read_scored_videos
from ops.runtime.errors import InputError
from ops.settings.command_lines import parse_results

N, CLASSES = 40, 7
LABELS = np.random.default_rng(0).integers(0, CLASSES, N)
VIDEOS = [f"v{i}.mp4" for i in range(N)]


def write(folder: Path, seed: int, order: np.ndarray | None = None, clips: int = 1, **changes: object) -> ScoredVideos:
    """Random scores of some of the videos, in this order."""
    order = np.arange(N) if order is None else order
    measured = Measurement(
        dataset="tiny", video_list="val.txt", num_videos=N, scored_videos=len(order), segments=(8,), motion=("none",),
        motion_windows=(8,), crops=2, clips=clips, sampling="even", scale=256, size=224,
        checkpoints=(Checkpoint(f"{seed}.pth.tar", 1),),
    )  # fmt: skip
    folder.mkdir()
    for clip in range(clips):
        for crop in range(2):
            scores = np.random.default_rng((seed, clip, crop)).normal(size=(N, CLASSES))[order]
            names = changes.get("class_names", ())
            labels = np.array(changes.get("labels", LABELS))[order]
            write_view(folder, clip, crop, scores, labels.tolist(), [VIDEOS[i] for i in order], measured, None, names)
    return read_scored_videos(folder)


class TestReading:
    def test_every_view_that_is_there(self, tmp_path: Path) -> None:
        found = write(tmp_path / "scores", 1, clips=3)
        words = ["--output_dir", str(tmp_path / "scores"), "--num_clips", "3", "--test_crops", "2"]
        results = compute_results(parse_results(words))
        assert found.protocol == results.protocol and (found.videos, found.dataset) == (tuple(VIDEOS), "tiny")
        assert 100 * found.right.mean() == pytest.approx(results.top1)
        assert 100 * (found.ranks < 5).mean() == pytest.approx(results.top5)
        assert found.right.tolist() == (found.best(1)[:, 0] == LABELS).tolist()
        assert np.allclose(found.probabilities.sum(axis=1), 1)

    @pytest.mark.parametrize("rule", ["softmax", "logits", "relu"])
    def test_order_of_classes(self, tmp_path: Path, rule: str) -> None:
        write(tmp_path / "scores", 1)
        found = read_scored_videos(tmp_path / "scores", rule=rule)
        assert found.best(CLASSES).tolist() == np.argsort(-found.probabilities, axis=1, kind="stable").tolist()
        assert [row.index(label) for row, label in zip(found.best(CLASSES).tolist(), LABELS, strict=True)] == list(
            found.ranks
        )

    def test_fewer_views(self, tmp_path: Path) -> None:
        write(tmp_path / "scores", 1, clips=2)
        assert "of which only 1 crop x 1 clip" in read_scored_videos(tmp_path / "scores", 1, 1).protocol

    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"none: expected a folder of scores, got No such file"):
            read_scored_videos(tmp_path / "none")
        with pytest.raises(InputError, match=r"expected score files of a test script, like 0_crop0\.pkl, got none"):
            read_scored_videos(tmp_path)


class TestTwoFolders:
    def test_another_order_and_a_video_fewer(self, tmp_path: Path) -> None:
        order = np.random.default_rng(3).permutation(N)[:-1]
        first, second = write(tmp_path / "a", 1), write(tmp_path / "b", 2, order)
        common = of_the_same_videos(first, second)
        kept = sorted(order)
        for found, whole in zip(common, (first, read_scored_videos(tmp_path / "b")), strict=True):
            assert found.videos == tuple(VIDEOS[i] for i in kept)
            assert found.labels.tolist() == LABELS[kept].tolist()
            scores = dict(zip(whole.videos or (), whole.scores.tolist(), strict=True))
            assert found.scores.tolist() == [scores[name] for name in found.videos or ()]

    def test_same_order(self, tmp_path: Path) -> None:
        first, second = write(tmp_path / "a", 1), write(tmp_path / "b", 2)
        assert of_the_same_videos(first, second) == (first, second)

    def test_refused(self, tmp_path: Path) -> None:
        first = write(tmp_path / "a", 1, class_names=list("abcdefg"))
        wrong = np.array(LABELS)
        wrong[3] = (wrong[3] + 1) % CLASSES
        with pytest.raises(InputError, match=rf"b: expected label {LABELS[3]} of video 'v3\.mp4' as in .*a, got"):
            of_the_same_videos(first, write(tmp_path / "b", 2, labels=wrong))
        with pytest.raises(InputError, match=r"c: expected the name 'a' of class 0 as in .*a, got 'g'"):
            of_the_same_videos(first, write(tmp_path / "c", 2, class_names=list("gbcdefa")))
        first, second = (
            write(tmp_path / name, 1, part) for name, part in (("d", np.arange(9)), ("e", np.arange(9, N)))
        )
        with pytest.raises(InputError, match=r"e: expected scores of the videos of .*d, got none of them"):
            of_the_same_videos(first, second)
