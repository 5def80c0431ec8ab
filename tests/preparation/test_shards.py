"""Parts of a preparation: disjoint and complete by name, safe to start at any time, counted over all, cheap to plan."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ops.preparation.jobs import batch_jobs
from ops.preparation.jobs.batch_plan import plan_batch
from ops.preparation.jobs.shards import Shard, _shard, add_shard_options, shard_of
from ops.runtime.command_line import OneLineParser
from ops.runtime.errors import InputError
from tests import media
from tests.commands import REPOSITORY

NAMES = [f"class {number % 7}/video_{number}.mp4" for number in range(2_000)]
# Lists and looks as a far away file system does, and counts the listings of each folder and the looks at files.
SLOW = """
import collections, json, os, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from ops.preparation.jobs.batch_plan import plan_batch
from ops.preparation.jobs.shards import Shard

def hook(event, arguments):
    if event in ("os.scandir", "os.listdir"):
        listed[str(arguments[0])] += 1
        time.sleep(float(sys.argv[4]))

def look(*path, found=os.stat, **more):
    looks.append(path)
    time.sleep(float(sys.argv[4]))
    return found(*path, **more)

looks = []
listed = collections.Counter()
sys.addaudithook(hook)
os.stat = look
begun, computed = time.monotonic(), time.process_time()
plan = plan_batch(Path(sys.argv[2]), Path(sys.argv[3]), "", "00001.jpg", Shard(3, 200))
seconds = [time.monotonic() - begun, time.process_time() - computed]
calls = [max(listed.values()), sum(listed.values()), len(looks)]
print(json.dumps([len(plan.todo), len(plan.finished), *calls, *seconds]))
"""


class TestShard:
    @pytest.mark.parametrize("count", [1, 2, 7, 200])
    def test_parts_are_disjoint_and_complete(self, count: int) -> None:
        parts = [{name for name in NAMES if Shard(number, count).has(name)} for number in range(1, count + 1)]
        assert sum(map(len, parts)) == len(NAMES) and set().union(*parts) == set(NAMES)
        assert max(map(len, parts)) < 2.5 * len(NAMES) / count + 10

    @pytest.mark.parametrize("count", [2, 3, 200])
    def test_its_piece_of_the_line_has_its_names_and_meets_the_next(self, count: int) -> None:
        for number in range(1, count):
            assert Shard(number, count).first + Shard(number, count).places == Shard(number + 1, count).first
        last = Shard(count, count)
        assert Shard(1, count).first == 0 and last.first + last.places == 2**32

    @pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/0", "-1/2", "1/2/3"])
    def test_bad_input(self, text: str) -> None:
        parser = OneLineParser(prog="x")
        add_shard_options(parser)
        with pytest.raises(InputError, match="expected K/N"):
            parser.parse_args([f"--shard={text}"])


class TestJobArray:
    @pytest.fixture
    def array(self, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
        for name in ("ID", "MIN", "MAX", "COUNT"):
            monkeypatch.delenv(f"SLURM_ARRAY_TASK_{name}", raising=False)
        return monkeypatch

    def part(self, *words: str) -> Shard:
        parser = OneLineParser(prog="x")
        add_shard_options(parser)
        return shard_of(parser.parse_args(words))

    def put(self, array: pytest.MonkeyPatch, *values: str) -> None:
        for name, value in zip(("ID", "MIN", "MAX", "COUNT"), values, strict=True):
            array.setenv(f"SLURM_ARRAY_TASK_{name}", value)

    def test_none_is_everything(self, array: pytest.MonkeyPatch) -> None:
        assert self.part() == Shard(1, 1)

    @pytest.mark.parametrize(("values", "part"), [("0 0 199 200", (1, 200)), ("7 1 8 8", (7, 8)), ("5 5 9 5", (1, 5))])
    def test_a_task_is_a_part(self, array: pytest.MonkeyPatch, values: str, part: tuple[int, int]) -> None:
        self.put(array, *values.split())
        assert self.part() == Shard(*part)

    def test_the_command_line_comes_first_and_status_is_of_all(self, array: pytest.MonkeyPatch) -> None:
        self.put(array, "0", "0", "1", "2")
        assert self.part("--shard", "3/4") == Shard(3, 4) and self.part("--status") == Shard(1, 1)

    def test_gaps_are_refused(self, array: pytest.MonkeyPatch) -> None:
        self.put(array, "4", "0", "8", "3")
        with pytest.raises(InputError, match="job array without gaps"):
            self.part()


class TestLocks:
    """Record locks belong to a process: another one must try."""

    def other(self, out: Path, number: int, count: int) -> str:
        code = (
            "import sys; sys.path.insert(0, sys.argv[1])\n"
            "from pathlib import Path\n"
            "from ops.preparation.jobs.batch_jobs import claimed_folder\n"
            "from ops.preparation.jobs.shards import Shard\n"
            "from ops.runtime import InputError\n"
            "try:\n"
            "    part = Shard(int(sys.argv[3]), int(sys.argv[4]))\n"
            "    with claimed_folder(Path(sys.argv[2]), 'tool', {'a': 1}, shard=part):\n"
            "        print('free')\n"
            "except InputError as error:\n"
            "    print(error)\n"
        )
        command = [sys.executable, "-c", code, str(REPOSITORY), str(out), str(number), str(count)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def test_the_same_videos_are_locked_and_no_others(self, tmp_path: Path) -> None:
        with batch_jobs.claimed_folder(tmp_path, "tool", {"a": 1}, shard=Shard(2, 4)):
            assert self.other(tmp_path, 1, 4) == "free"
            assert "no other run for the videos of part 2 of 4" in self.other(tmp_path, 2, 4)
            assert "no other run for the videos of part 1 of 2" in self.other(tmp_path, 1, 2)
            assert "no other run in this folder" in self.other(tmp_path, 1, 1)
        assert self.other(tmp_path, 2, 4) == "free"


class TestExtraction:
    def test_parts_make_what_one_run_makes_and_status_counts(self, tmp_path: Path) -> None:
        videos = tmp_path / "videos"
        for number in range(5):
            media.make_video(videos / f"c{number % 2}" / f"{number}.mp4", 3)
        (videos / "c0" / "text.mp4").write_text("no video")
        whole, parts = tmp_path / "whole", tmp_path / "parts"
        assert media.run("extract_frames.py", videos, whole, "-j", "1").returncode == 1
        first = media.run("extract_frames.py", videos, parts, "-j", "1", "--shard", "1/2")
        status = media.run("extract_frames.py", videos, parts, "--status")
        assert "part 1 of 2" in first.stdout and " missing" in status.stdout and status.returncode == 1
        media.run("extract_frames.py", videos, parts, "-j", "1", "--shard", "2/2")
        status = media.run("extract_frames.py", videos, parts, "--status")
        assert "6 videos: 5 done, 1 failed, 0 missing" in status.stdout and "c0/text.mp4" in status.stderr

        def content(out: Path) -> dict[str, bytes]:
            return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.jpg")}

        assert len(content(whole)) == 15 and content(parts) == content(whole)


class TestCheck:
    def test_parts_then_all(self, motion_folder: Path, tmp_path: Path) -> None:
        data = tmp_path / "motion"
        shutil.copytree(motion_folder / "data/motion", data)
        (data / "videos/val/00003.mp4").write_bytes(b"no video")
        command = ("check_dataset.py", "motion", "--root_path", str(data), "-j", "1")
        one = media.run(*command, "--shard", "1/2")
        two = media.run(*command, "--shard", "2/2")
        assert sorted((one.returncode, two.returncode)) == [0, 1] and not list(data.glob("*_check.txt"))
        status = media.run(*command, "--status")
        assert "23 videos: 22 done, 1 failed, 0 missing" in status.stdout and "00003.mp4" in status.stderr
        report = media.run(*command)
        assert report.returncode == 1 and "continuing an interrupted check: 23 videos already checked" in report.stdout
        assert "00003.mp4" in (data / "val_videos_check.txt").read_text() and not list(data.glob(".check_dataset*"))


class TestPlanning:
    @pytest.mark.parametrize(
        ("folders", "each", "seconds"), [(8, 100, 0), pytest.param(400, 600, 0.01, marks=pytest.mark.slow)]
    )
    def test_lists_each_folder_once(self, tmp_path: Path, folders: int, each: int, seconds: float) -> None:
        """The longer one has the 240,000 names of Kinetics-400, and each call takes 10 ms: one of 200 parts."""
        videos, out = tmp_path / "videos", tmp_path / "out"
        for number in range(folders):
            folder = videos / f"class_{number}"
            folder.mkdir(parents=True)
            for video in range(each):
                os.close(os.open(folder / f"{number}_{video}.mp4", os.O_CREAT | os.O_WRONLY))
        done = [f"class_1/1_{video}" for video in range(each) if Shard(3, 200).has(f"class_1/1_{video}.mp4")][:1]
        for name in done:
            (out / name).mkdir(parents=True)
            (out / name / "00001.jpg").touch()
        command = [sys.executable, "-c", SLOW, str(REPOSITORY), str(videos), str(out), str(seconds)]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        todo, finished, most, listings, looks, took, computed = json.loads(result.stdout)
        expected = sum(Shard(3, 200).has(f"class_{n}/{n}_{v}.mp4") for n in range(folders) for v in range(each))
        assert (todo + finished, finished, most) == (expected, len(done), 1)
        assert listings <= 2 * folders + 2 and looks <= len(done) + 10  # neither at videos nor at folders
        print(f"{folders * each:,} names, {listings} listings, {looks} looks, {took:.1f} s, computing {computed:.1f} s")

    def test_plan_of_all_is_the_sum_of_its_parts(self, tmp_path: Path) -> None:
        for name in NAMES[:60]:
            path = tmp_path / "videos" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        plans = [plan_batch(tmp_path / "videos", tmp_path / "out", "", "1.jpg", Shard(k, 3)) for k in (1, 2, 3)]
        whole = plan_batch(tmp_path / "videos", tmp_path / "out", "", "1.jpg", Shard())
        assert sorted(item.name for plan in plans for item in plan.todo) == sorted(item.name for item in whole.todo)
        assert len(whole.todo) == 60


def test_a_part_is_read_from_its_text() -> None:
    assert _shard("3/200") == Shard(3, 200)
