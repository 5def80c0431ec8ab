"""The journal of a test: what was scored is on disk, and what an interruption cut off is left out."""

import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ops.evaluation.score_files.score_journal import ScoreJournal
from ops.runtime.errors import InputError

KEY = {"measurement": {"size": 224}, "clips": [0, 1]}
SHAPE = (4, 7)


def view_scores(video: int) -> np.ndarray:
    return np.random.default_rng(video).normal(size=SHAPE).astype(np.float32)


def fill_journal(folder: Path, videos: list[int], rank: int = 0, key: Any = KEY) -> ScoreJournal:
    journal = ScoreJournal(folder, "some", key, SHAPE)
    journal.open(rank)
    for video in videos:
        journal.append(video, view_scores(video))
    journal.close()
    return journal


def assert_holds(journal: ScoreJournal, videos: list[int]) -> None:
    found = journal.read()
    assert sorted(found) == sorted(videos)
    assert all(np.array_equal(found[v], view_scores(v)) for v in videos)


class TestScoreJournal:
    def test_round_trip_of_several_processes(self, tmp_path: Path) -> None:
        journal = fill_journal(tmp_path, [0, 4, 2])
        fill_journal(tmp_path, [1, 3], rank=1)
        fill_journal(tmp_path, [], rank=2)
        assert len(journal.paths()) == 3
        assert_holds(journal, [0, 1, 2, 3, 4])
        assert journal.read()[0].dtype == np.float32

    def test_what_was_appended_is_on_disk_at_once(self, tmp_path: Path) -> None:
        journal = ScoreJournal(tmp_path, "some", KEY, SHAPE)
        journal.open(0)
        for video in range(3):
            journal.append(video, view_scores(video))
            assert_holds(ScoreJournal(tmp_path, "some", KEY, SHAPE), list(range(video + 1)))
        journal.close()

    def test_accepts_arrays_of_any_layout_and_precision(self, tmp_path: Path) -> None:
        journal = ScoreJournal(tmp_path, "some", KEY, SHAPE)
        journal.open(0)
        journal.append(7, np.asfortranarray(view_scores(7).astype(np.float64)))
        journal.close()
        assert_holds(journal, [7])

    def test_cut_off_anywhere_loses_the_last_record_alone(self, tmp_path: Path) -> None:
        journal = fill_journal(tmp_path, [5, 6, 7])
        (path,) = journal.paths()
        content = path.read_bytes()
        record = (len(content) - len(journal.header)) // 3
        for length in range(len(content) - record, len(content)):
            path.write_bytes(content[:length])
            assert_holds(journal, [5, 6])

    def test_goes_on_behind_the_last_whole_record(self, tmp_path: Path) -> None:
        (path,) = fill_journal(tmp_path, [5, 6, 7]).paths()
        path.write_bytes(path.read_bytes()[:-9])
        assert_holds(fill_journal(tmp_path, [8, 9]), [5, 6, 8, 9])

    def test_what_cannot_be_written_is_one_line_and_costs_that_record(self, tmp_path: Path) -> None:
        journal = fill_journal(tmp_path, [5, 6])
        journal.open(0)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (journal.paths()[0].stat().st_size + 9, hard))
        try:
            with pytest.raises(InputError, match=r": expected to write scores, got File too large$"):
                journal.append(7, view_scores(7))
            journal.close()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert_holds(fill_journal(tmp_path, [8]), [5, 6, 8])

    @pytest.mark.parametrize("at", [-1, -5, -40])
    def test_damaged_record_is_not_read(self, tmp_path: Path, at: int) -> None:
        (path,) = (journal := fill_journal(tmp_path, [5, 6, 7])).paths()
        content = bytearray(path.read_bytes())
        content[at] ^= 4
        path.write_bytes(content)
        assert_holds(journal, [5, 6])

    @pytest.mark.parametrize(
        ("key", "shape"),
        [({**KEY, "clips": [0, 2]}, SHAPE), ({}, SHAPE), (KEY, (4, 8)), (KEY, (2, 14))],
    )
    def test_other_settings_are_refused(self, tmp_path: Path, key: Any, shape: tuple[int, int]) -> None:
        (path,) = fill_journal(tmp_path, [5]).paths()
        before = path.read_bytes()
        other = ScoreJournal(tmp_path, "some", key, shape)
        for attempt in (other.read, lambda: other.open(0)):
            with pytest.raises(InputError, match="of other settings"):
                attempt()
        assert path.read_bytes() == before

    @pytest.mark.parametrize("content", [b"", b"{}\n", b"\x00" * 2000])
    def test_other_files_are_refused(self, tmp_path: Path, content: bytes) -> None:
        journal = fill_journal(tmp_path, [5])
        journal.paths()[0].write_bytes(content)
        with pytest.raises(InputError, match=r"\.some_rank0"):
            journal.read()

    def test_what_others_left_is_removed(self, tmp_path: Path) -> None:
        journal = fill_journal(tmp_path, [5])
        fill_journal(tmp_path, [6], rank=1, key={"another": 1})
        other = ScoreJournal(tmp_path, "other", {}, SHAPE)
        other.open(0)
        other.close()
        journal.remove_others()
        assert_holds(journal, [5])
        assert len(other.paths()) == 1

    def test_remove(self, tmp_path: Path) -> None:
        journal = fill_journal(tmp_path, [5])
        fill_journal(tmp_path, [6], rank=1)
        (tmp_path / "0_crop0.pkl").touch()
        journal.remove()
        assert [p.name for p in tmp_path.iterdir()] == ["0_crop0.pkl"]
        assert journal.read() == {}
