"""check_dataset.py on lists and videos with every kind of fault, with decoders that crash and hang, and interrupted."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ops.preparation.checking.check import CheckOptions, check_lists
from ops.preparation.checking.inspection import quiet_stderr
from ops.runtime.errors import InputError
from ops.video.index.packet_index import NAME
from scripts.preparation import check_dataset
from tests import media
from tests.clip_files import make_spec
from tests.commands import run_script

# Stands in for decord: reads with PyAV, but dies or hangs on files of those names.
DECORD = """
import os, signal, time
import types
import av

class DECORDError(Exception):
    pass

logging = types.SimpleNamespace(QUIET=0, set_level=lambda level: None)

class Frame:
    def __init__(self, picture):
        self.asnumpy = lambda: picture

class VideoReader:
    def __init__(self, path, num_threads):
        name = os.path.basename(path)
        if "dies" in name:
            os.kill(os.getpid(), signal.SIGSEGV)
        if "hangs" in name and "CALM" not in os.environ:
            time.sleep(1000)
        with av.open(path) as container:
            self.pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]

    def __len__(self):
        return len(self.pictures)

    def seek(self, place):
        self.place = place

    def next(self):
        self.place += 1
        return Frame(self.pictures[self.place - 1])
"""


def check(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return media.run("check_dataset.py", *arguments, "-j", "2", cwd=cwd)


def rows(path: Path) -> dict[tuple[str, str], tuple[str, str]]:
    """(line, problem) -> (unusable, detail) of a CSV report."""
    with path.open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    keyed = {(row["line"], row["problem"]): (row["unusable"], row["detail"]) for row in found}
    assert len(keyed) == len(found)
    return keyed


TRAIN = (
    "jump, [high] 跳/ok.mp4 0",
    "portrait 1",  # without an ending: .mp4
    "missing.mp4 0",
    "text.mp4 0",
    "",
    "sound.mp4 0",
    "cut.webm 1",
    "jump, [high] 跳/ok.mp4 1",
    "copy.mp4 0",
    "turned.mp4 1",
    "both.mp4 0",
    "both.mp4",
    "portrait.mp4 3",
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run on a training and a validation list; the result is in ``result.txt``."""
    root = tmp_path_factory.mktemp("check") / "data" / "mine"
    ok = media.make_video(root / "jump, [high] 跳" / "ok.mp4", 12)
    shutil.copy(ok, root / "copy.mp4")
    media.make_video(root / "portrait.mp4", 9, (48, 64))
    media.turn_by_metadata(media.make_video(root / "turned.mp4", 3), media.QUARTER_TURN)
    media.make_video(root / "both.mp4", 4)
    media.make_sound(root / "sound.mp4")
    (root / "text.mp4").write_text("no video")
    fast = {"cpu-used": "8", "deadline": "realtime"}
    whole = media.make_video(root / "whole.webm", 60, codec="libvpx-vp9", options=fast)
    (root / "cut.webm").write_bytes(whole.read_bytes()[: whole.stat().st_size // 3])
    (root / "train.txt").write_text("".join(f"{line}\n" for line in TRAIN), encoding="utf-8")
    (root / "val.txt").write_text("both.mp4 0\nwhole 2\nwhole.webm 2\n")
    (root / "dataset.toml").write_text(
        'root = "."\nstorage = "videos"\ntrain_list = "train.txt"\nval_list = "val.txt"\nnum_classes = 3\n'
    )
    options = ("--dataset_config", "data/mine/dataset.toml", "--decoder", "pyav", "--write_clean")
    result = check("mine", *options, cwd=root.parents[1])
    (root / "result.txt").write_text(f"{result.returncode}\n{result.stdout}\n{result.stderr}", encoding="utf-8")
    return root


class TestVideos:
    def test_every_fault_is_reported_with_its_line(self, root: Path) -> None:
        found = rows(root / "train_check.csv")
        cut = found.pop(("7", "damaged"))
        assert cut[0] == "yes" and "cut off" in cut[1]
        text = found.pop(("4", "unreadable"))
        assert text[0] == "yes" and "a video that PyAV opens" in text[1]
        sound = found.pop(("6", "unreadable"))
        assert sound[0] == "yes"
        rotated = found.pop(("10", "rotated"))
        assert rotated[0] == "no"
        assert found == {
            ("3", "missing"): ("yes", "nothing there"),
            ("1", "same content"): ("no", "the same bytes as line 9"),
            ("8", "same content"): ("no", "the same bytes as line 9"),
            ("9", "same content"): ("no", "the same bytes as line 1"),
            ("8", "repeated"): ("yes", "the same path as line 1, under label 0"),
            ("11", "other list"): ("yes", "the same path as line 1 of val.txt"),
            ("12", "line"): ("yes", "expected '<file> <label>', got 'both.mp4'"),
            ("13", "line"): ("yes", "expected a label in 0..2, got 3"),
            ("", "classes"): ("no", "1 of 3 classes have no video: 2 (2)"),
        }
        assert rows(root / "val_check.csv") == {
            ("1", "other list"): ("no", "the same path as line 11 of train.txt"),
            ("2", "missing"): ("yes", "nothing there"),
            ("", "classes"): ("no", "1 of 3 classes have no video: 1 (1)"),
        }

    def test_summary_and_text_report(self, root: Path) -> None:
        result = (root / "result.txt").read_text(encoding="utf-8")
        assert result.startswith("1\n")
        heading = "train.txt: 12 lines, 11 with problems, of which 8 cannot be used"
        assert heading in result and "Traceback" not in result
        text = (root / "train_check.txt").read_text(encoding="utf-8")
        assert text.splitlines()[0].endswith(heading)
        assert "data set mine, videos, 3 classes" in text
        assert "line 8, jump, [high] 跳/ok.mp4 1: repeated (unusable): the same path as line 1, under label 0" in text

    def test_clean_lists_and_untouched_originals(self, root: Path) -> None:
        assert (root / "train_clean.txt").read_text(encoding="utf-8").splitlines() == [TRAIN[i] for i in (0, 1, 8, 9)]
        assert (root / "val_clean.txt").read_text() == "both.mp4 0\nwhole.webm 2\n"
        assert (root / "train.txt").read_text(encoding="utf-8").splitlines() == list(TRAIN)
        hidden = [path.name for path in root.iterdir() if path.name.startswith(".")]
        assert hidden == [".packet_index.sqlite3"]


class TestFrames:
    LINES = (
        "ok 5 0", "ok0 3 1", "less 5 0", "more 3 0", "gap 4 0", "broken 4 0", "sizes 4 0", "other 2 0", "none 2 0",
        "late 3 0",
    )  # fmt: skip

    def test_every_fault_is_reported_with_its_line(self, tmp_path: Path) -> None:
        root = tmp_path / "frames"
        counts = {"ok": 5, "less": 3, "more": 5, "gap": 4, "broken": 4, "sizes": 4, "none": 0}
        rng = np.random.default_rng(0)

        def folder(name: str, numbers: range, template: str = "{:05d}.jpg") -> None:
            (root / name).mkdir(parents=True)
            for number in numbers:
                picture = rng.integers(0, 255, (24, 32, 3), dtype=np.uint8)
                Image.fromarray(picture).save(root / name / template.format(number))

        for name, count in counts.items():
            folder(name, range(1, count + 1))
        folder("ok0", range(3))
        folder("other", range(1, 3), "img_{:05d}.jpg")
        folder("late", range(2, 4))
        (root / "gap" / "00002.jpg").unlink()
        (root / "broken" / "00003.jpg").write_bytes((root / "broken" / "00003.jpg").read_bytes()[:300])
        Image.new("RGB", (48, 24)).save(root / "sizes" / "00004.jpg")
        (root / "all.txt").write_text("".join(f"{line}\n" for line in self.LINES))
        (root / "dataset.toml").write_text('name = "mine"\nroot = "."\nstorage = "frames"\nclass_names = ["a", "b"]\n')
        arguments = ("--report", "reports", "--write_clean")
        result = check(root / "all.txt", *arguments, cwd=tmp_path)  # finds dataset.toml beside the list
        assert result.returncode == 1, result.stderr
        found = rows(tmp_path / "reports" / "all_check.csv")
        unusable, broken = found.pop(("6", "unreadable"))
        assert unusable == "yes" and broken.startswith("00003.jpg: expected an image, got ")
        assert found == {
            ("3", "frame count"): ("yes", "the list says 5 frames, the folder has 3 without a gap"),
            ("4", "frame count"): ("no", "the list says 3 frames, the folder has 5 without a gap"),
            ("5", "gap"): ("no", "missing: 00002.jpg"),
            ("5", "frame count"): ("yes", "the list says 4 frames, the folder has 1 without a gap"),
            ("7", "frame sizes"): ("yes", "32x24 (3 frames), 48x24 (1 frames)"),
            ("8", "unreadable"): ("yes", "no image 00001.jpg, but img_00001.jpg (--image_tmpl)"),
            ("9", "unreadable"): ("yes", "no image 00001.jpg"),
            ("10", "gap"): ("no", "missing: 00001.jpg"),
            ("10", "frame count"): ("yes", "the list says 3 frames, the folder has 0 without a gap"),
        }
        assert (tmp_path / "reports" / "all_clean.txt").read_text() == "ok 5 0\nok0 3 1\nmore 3 0\n"
        (root / "all.txt").write_text("ok 5 0\nok0 3 1\n")
        result = check(root / "all.txt", *arguments, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        assert "all.txt: 2 lines, nothing wrong" in result.stdout
        assert rows(tmp_path / "reports" / "all_check.csv") == {}
        assert (tmp_path / "reports" / "all_clean.txt").read_text() == "ok 5 0\nok0 3 1\n"


class TestProcesses:
    @pytest.fixture
    def command(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """A check of six videos with a decoder that dies or hangs on some."""
        (tmp_path / "decoder").mkdir()
        (tmp_path / "decoder" / "decord.py").write_text(DECORD)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "decoder"))
        names = ("a", "hangs", "b", "c", "dies", "d")
        for number, name in enumerate(names, 2):
            media.make_video(tmp_path / "v" / f"{name}.mp4", number)
        (tmp_path / "list.txt").write_text("".join(f"{name}.mp4 0\n" for name in names))
        options = ("--storage", "videos", "--root_path", "v", "--num_class", "1", "--decoder", "decord", "-j", "2")
        return [sys.executable, str(media.SCRIPTS / "check_dataset.py"), "list.txt", *options]

    def test_a_decoder_that_dies_or_hangs_costs_its_video(self, tmp_path: Path, command: list[str]) -> None:
        result = subprocess.run(
            [*command, "--timeout", "10"], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
        )
        assert result.returncode == 1, result.stderr
        assert rows(tmp_path / "list_check.csv") == {
            ("2", "unreadable"): ("yes", "took longer than 10 s (--timeout)"),
            ("5", "unreadable"): ("yes", "its process died (signal SIGSEGV)"),
        }

    def test_interrupted_and_run_again(self, tmp_path: Path, command: list[str]) -> None:
        journal = tmp_path / ".check_dataset.jsonl"
        process = subprocess.Popen(
            [*command, "--timeout", "0"], cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        found = 0
        while process.poll() is None and found < 5:  # the settings and four videos; the rest hangs or dies
            time.sleep(0.05)
            found = len(journal.read_text().splitlines()) if journal.is_file() else 0
        rival = subprocess.run([*command], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
        assert rival.returncode == 2 and "expected no other check in this folder" in rival.stderr
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 130 and "interrupted; run the same command to continue" in errors
        assert not list(tmp_path.glob("list_check*"))

        with journal.open("a") as file:
            file.write('["v/hangs.mp4", [1')  # a line that was not finished
        media.make_video(tmp_path / "v" / "a.mp4", 20)  # what has changed is looked at again
        environment = {**os.environ, "CALM": "1"}
        again = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert "continuing an interrupted check: 3 videos already checked" in again.stdout
        assert again.returncode == 1, again.stderr
        assert list(rows(tmp_path / "list_check.csv")) == [("5", "unreadable")]
        assert not journal.exists()


@media.needs_decoder("decord")
def test_where_pyav_stood_in_is_said_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    names = ["a.mp4", "b.ts", "c.ts"]
    for name in names:
        media.make_video(tmp_path / name, 12)
    (tmp_path / "list.txt").write_text("".join(f"{name} 0\n" for name in names))
    spec = make_spec(tmp_path)
    options = CheckOptions("decord", jobs=2, timeout=0, report=None, write_clean=False)
    check_lists(spec, [tmp_path / "list.txt"], options)
    output = "".join(capfd.readouterr())
    (said,) = [line for line in output.splitlines() if "PyAV" in line]
    assert said.startswith("PyAV read 2 videos of 3, as in training, ") and said.count(".ts") == 2 and "decord" in said


def test_decoders_are_kept_from_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_stderr():
        os.write(2, b"error while decoding MB 9 14\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


class TestCommandLine:
    MINE = ("--storage", "videos", "--root_path", ".", "--num_class", "1")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("nowhere.txt", *MINE), "nowhere.txt: expected a list of videos, got No such file"),
            (("list.txt",), "expected --dataset_config FILE.toml or"),
            (("something",), "data/something/train.txt: expected a list of videos"),
            (("mine", "list.txt", "list_check.txt", *MINE), "got that of the list list_check.txt"),
            (("list.txt", "a/list.txt", "--report", "r", *MINE), "got that of a report on list.txt"),
            (("list.txt", *MINE, "--root_path", "b"), "b: expected the root folder of data set"),
            (("list.txt", *MINE, "-j", "0"), "expected a number from 1, got 0"),
        ],
    )
    def test_bad_input(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
    ) -> None:
        (tmp_path / "a").mkdir()
        for name in ("list.txt", "list_check.txt", "a/list.txt"):
            (tmp_path / name).write_text("v.mp4 0\n")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["check_dataset.py", *arguments])
        before = signal.getsignal(signal.SIGTERM)
        try:
            with pytest.raises(InputError) as caught:
                check_dataset.main()
        finally:
            signal.signal(signal.SIGTERM, before)
        assert message in str(caught.value) and len(str(caught.value).splitlines()) == 1
        assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "list.txt", "list_check.txt"]


def test_no_epoch_and_no_test_adds_to_the_packet_index(tmp_path: Path) -> None:
    """Training and validation lists lie in folders of their own; one video is in both."""
    names = [f"{number}.mp4" for number in range(5)]
    for number, name in enumerate(names):
        media.make_video(tmp_path / "videos" / name, 9, size=(64 + 2 * number, 48))
    for folder, listed in (("train", names[:3]), ("val", names[2:])):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "list.txt").write_text("".join(f"{name} {n % 2}\n" for n, name in enumerate(listed)))
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\nroot = "videos"\nstorage = "videos"\nnum_classes = 2\n'
        'train_list = "train/list.txt"\nval_list = "val/list.txt"\n'
    )
    source = ("mine", "--dataset_config", "mine.toml")
    assert check(*source, cwd=tmp_path).returncode == 1  # both lists name a video
    lists = [tmp_path / folder for folder in ("train", "val")]
    before = [media.tree(folder) for folder in lists]
    assert all(NAME in files for files in before)
    small = ("--num_segments", "2", "--input_size", "32", "-j", "1")
    result = run_script("main.py", *source[:1], "RGB", *source[1:], *small, "--arch", "resnet10", "--model", "tsn",
                        "--pretrain", "none", "--epochs", "1", "-b", "2", "--suffix", "x", cwd=tmp_path)  # fmt: skip
    assert result.returncode == 0, result.stderr
    (weights,) = tmp_path.glob("checkpoint/*/last.pth.tar")
    result = run_script("test_models_center_crop.py", *source, "--weights", str(weights), "--output_dir", "results",
                        "-j", "1", cwd=tmp_path)  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert [media.tree(folder) for folder in lists] == before
    for folder, listed in zip(lists, (names[:3], names[2:]), strict=True):
        rows_of = sqlite3.connect(folder / NAME).execute("SELECT path FROM files ORDER BY path")
        assert set(listed) <= {path for (path,) in rows_of}
