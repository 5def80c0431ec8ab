"""make_lists.py on miniature versions of the official layouts: lists, class names, TOML, and malformed files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import av
import pytest

from ops.data.dataset_config import DatasetOptions, DatasetSpec, resolve_dataset
from ops.data.video_list import read_list
from ops.preparation.annotations import readers
from ops.runtime.errors import InputError
from tests import media

SOMETHING = (
    "Pushing something from left to right",
    "Pushing something from right to left",
    "Lifting something up completely, then letting it drop down",
    "Pretending to put something [into] a café",
)
FIRST, SECOND, THIRD, FOURTH = SOMETHING
OTHERS = tuple(f"Zooming in on something, {number:03d}" for number in range(170))


def make(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return media.run("make_lists.py", *arguments, cwd=cwd)


def read(dataset: str, folder: Path) -> object:
    """The annotations as make_lists.py reads them."""
    return {**readers.SINGLE, **readers.SEVERAL}[dataset](folder)


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Text files in a folder."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def frame_folders(folder: Path, counts: Mapping[str, int], template: str = "{:05d}.jpg", start: int = 1) -> None:
    """Folders of empty images."""
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for number in range(start, start + count):
            (folder / name / template.format(number)).touch()


def video_files(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def resolved(name: str, cwd: Path, monkeypatch: pytest.MonkeyPatch, **options: object) -> list[DatasetSpec]:
    """The data set as training takes it, by its name alone and by its dataset.toml."""
    monkeypatch.chdir(cwd)
    toml = str(Path("data", name, "dataset.toml"))
    return [resolve_dataset(DatasetOptions(name, dataset_config=config, **options)) for config in (None, toml)]  # type: ignore[arg-type]


def semicolon_files(prefix: str) -> dict[str, str]:
    return {
        f"{prefix}-labels.csv": "".join(f"{name}\n" for name in (*OTHERS, *reversed(SOMETHING))),
        f"{prefix}-train.csv": f"12;{FIRST}\n7;{THIRD}\n300;{FOURTH}\n",
        f"{prefix}-validation.csv": f"8;{SECOND}\r\n\r\n9;{FIRST}\r\n",
        f"{prefix}-test.csv": "77\n78\n",
    }


class TestSomething:
    @pytest.mark.parametrize(("name", "prefix"), [("something", "something-something-v1"), ("jester", "jester-v1")])
    def test_v1_and_jester(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, prefix: str) -> None:
        root = tmp_path / "data" / name
        write(root / "annotations", semicolon_files(prefix))
        frame_folders(root / "frames", {"12": 3, "7": 40, "8": 1, "9": 2, "300": 5})
        result = make(name, root / "annotations", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        assert lines(root / "classes.txt") == [THIRD, FOURTH, FIRST, SECOND, *OTHERS]  # alphabetical
        assert lines(root / "train.txt") == ["frames/12 3 2", "frames/7 40 0", "frames/300 5 1"]
        assert lines(root / "val.txt") == ["frames/8 1 3", "frames/9 2 2"]
        assert not (root / "test.txt").exists()
        assert "no test.txt: 2 videos without a label" in result.stdout
        for spec in resolved(name, tmp_path, monkeypatch):
            assert (spec.storage, spec.num_classes) == ("frames", 174)
            assert spec.mirror_labels() == (0, 1, 3, 2, *range(4, 174))
            assert [record.num_frames for record in read_list(spec.train_list, spec)] == [3, 40, 5]
            assert (spec.root / read_list(spec.val_list, spec)[0].path).is_dir()

    def test_v2_takes_the_numbers_of_the_labels_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        root = tmp_path / "data" / "somethingv2"
        prefix = "something-something-v2-"
        names = [FIRST, SECOND, THIRD, *OTHERS]
        files = {
            f"{prefix}labels.json": json.dumps({name: str(number) for number, name in enumerate(names)}),
            f"{prefix}train.json": json.dumps(
                [
                    {"id": "5", "label": "x", "template": "Pushing [something] from right to left", "placeholders": []},
                    {"id": "6", "template": "Lifting [something] up completely, then letting it drop down"},
                ],
                indent=1,
            ),
            f"{prefix}validation.json": json.dumps([{"id": 7, "template": "Pushing [something] from left to right"}]),
            f"{prefix}test.json": json.dumps([{"id": "1"}, {"id": "2"}]),
        }
        write(root / "annotations", files)
        frame_folders(root / "frames", {"5": 3, "6": 4, "7": 5, "1": 2})
        result = make("somethingv2", root / "annotations", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        assert lines(root / "classes.txt") == names
        assert lines(root / "train.txt") == ["frames/5 3 1", "frames/6 4 2"]
        assert lines(root / "val.txt") == ["frames/7 5 0"]
        assert "no test.txt: 2 videos without a label" in result.stdout
        write(root / "annotations", {"test-answers.csv": f"1;{THIRD}\n2;{FIRST}\n"})
        assert make("somethingv2", root / "annotations", cwd=tmp_path).returncode == 0
        assert lines(root / "test.txt") == ["frames/1 2 2"]
        for spec in resolved("somethingv2", tmp_path, monkeypatch):
            assert spec.class_names == tuple(names) and len(read_list(spec.train_list, spec)) == 2

    def test_missing_and_unusable_folders_are_counted_and_not_listed(self, tmp_path: Path) -> None:
        root = tmp_path / "data" / "something"
        write(root / "annotations", semicolon_files("something-something-v1"))
        frame_folders(root / "frames", {"12": 3, "8": 1, "9": 0})
        frame_folders(root / "frames", {"7": 4}, "img_{:05d}.jpg")
        result = make("something", root / "annotations", cwd=tmp_path)
        assert result.returncode == 1
        assert lines(root / "train.txt") == ["frames/12 3 2"] and lines(root / "val.txt") == ["frames/8 1 3"]
        assert "train.txt: 1 of 3 videos listed, 1 missing, 1 unusable" in result.stdout
        assert "missing in data/something/frames: 300" in result.stdout
        assert "7: no image 00001.jpg, but img_00001.jpg (--image_tmpl)" in result.stderr
        assert "9: no image 00001.jpg" in result.stderr

    def test_images_are_counted_by_the_template(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        root = tmp_path / "data" / "something"
        write(root / "annotations", semicolon_files("something-something-v1"))
        frame_folders(root / "frames", {"12": 3, "7": 9, "300": 11}, "img_{:05d}.jpg")
        frame_folders(root / "frames", {"8": 4}, "img_{:05d}.jpg", start=0)
        (root / "frames" / "12" / "flow_x_00001.jpg").touch()
        (root / "frames" / "300" / "img_00007.jpg").unlink()
        result = make("something", root / "annotations", "--image_tmpl", "img_{:05d}.jpg", cwd=tmp_path)
        assert result.returncode == 1
        assert lines(root / "train.txt") == ["frames/12 3 2", "frames/7 9 0"]
        assert lines(root / "val.txt") == ["frames/8 4 3"]
        assert "300: image img_00007.jpg is missing, 10 others are there" in result.stderr
        assert resolved("something", tmp_path, monkeypatch)[1].image_tmpl == "img_{:05d}.jpg"


class TestKinetics:
    HEADER = "label,youtube_id,time_start,time_end,split\n"

    def test_flat_and_in_class_folders(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        root = tmp_path / "data" / "kinetics"
        train = (
            'playing "air", guitar',
            self.HEADER
            + '"playing ""air"", guitar",-abc_DEF123,0,10,train\n'
            + "abseiling,AAAAAAAAAAA,105,115,train\nabseiling,BBBBBBBBBBB,3,13,train\n",
        )
        val = (
            self.HEADER + "zumba (not in a café),CCCCCCCCCCC,12.0,22.0,validate\nabseiling,DDDDDDDDDDD,0,10,validate\n"
        )
        test = "youtube_id,time_start,time_end,split\nEEEEEEEEEEE,1,11,test\n"
        write(root / "annotations", {"train.csv": train[1], "validate.csv": "\ufeff" + val, "test.csv": test})
        video_files(
            root / "videos",
            "-abc_DEF123_000000_000010.mp4",
            "train/abseiling/AAAAAAAAAAA_000105_000115.mkv",
            "zumba_(not_in_a_café)/CCCCCCCCCCC_000012_000022.webm",
            "train/zumba (not in a café)/DDDDDDDDDDD_000000_000010.mp4",  # another class's folder
        )
        result = make("kinetics", root / "annotations", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        assert lines(root / "classes.txt") == ["abseiling", train[0], "zumba (not in a café)"]
        assert lines(root / "train.txt") == [
            "videos/-abc_DEF123_000000_000010.mp4 1",
            "videos/train/abseiling/AAAAAAAAAAA_000105_000115.mkv 0",
        ]
        assert lines(root / "val.txt") == ["videos/zumba_(not_in_a_café)/CCCCCCCCCCC_000012_000022.webm 2"]
        assert "train.txt: 2 of 3 videos listed, 1 missing" in result.stdout
        assert "val.txt: 1 of 2 videos listed, 1 missing" in result.stdout
        assert "3 classes (the full set has 400)" in result.stdout
        assert "no test.txt: 1 video without a label" in result.stdout
        for spec in resolved("kinetics", tmp_path, monkeypatch):
            assert (spec.storage, len(read_list(spec.train_list, spec))) == ("videos", 2)

    def test_one_file_with_labelled_test_videos_elsewhere(self, tmp_path: Path) -> None:
        rows = "".join(
            f"a b,{letter * 11},0,10,{split}\n" for letter, split in zip("ABC", ("train", "val", "test"), strict=True)
        )
        write(tmp_path, {"all.csv": self.HEADER + rows})
        video_files(tmp_path / "store", *(f"a_b/{letter * 11}_000000_000010.mp4" for letter in "ABC"))
        result = make("kinetics", "all.csv", "--root", "k", "--media", "store", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        assert lines(tmp_path / "k" / "test.txt") == [f"{tmp_path}/store/a_b/CCCCCCCCCCC_000000_000010.mp4 0"]


def ucf101(root: Path) -> None:
    files = {"classInd.txt": "1 Yo Yo\n2 Archery\n3 Fencing, épée\n"}
    for split in (1, 2, 3):
        files[f"trainlist{split:02d}.txt"] = (
            f"Yo Yo/v_YoYo_g0{split}_c01.avi 1\nArchery/v_Archery_g0{split}_c01.avi 2\r\n"
            f"Fencing, épée/v_Fencing_g0{split}_c01.avi 3\n"
        )
        files[f"testlist{split:02d}.txt"] = f"Archery/v_Archery_g1{split}_c01.avi\nYo Yo/v_YoYo_g1{split}_c01.avi\n"
    write(root / "lists", files)


def hmdb51(root: Path) -> None:
    files = {}
    for split in (1, 2):
        files[f"brush_hair_test_split{split}.txt"] = "#20_a&b_f_nm_(0).avi 1 \nold.movie.avi 2 \nc.avi 0 \n"
        files[f"wave_test_split{split}.txt"] = "c.avi 1 \nd.avi 2 \n"
    write(root / "lists", files)


class TestSeveralSplits:
    def test_ucf101(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        root = tmp_path / "data" / "ucf101"
        ucf101(root)
        for split in (1, 2, 3):
            video_files(root / "videos", f"Yo Yo/v_YoYo_g0{split}_c01.avi", f"Archery/v_Archery_g1{split}_c01.mp4")
        frame_folders(root / "frames", {f"v_{name}_c01": 2 for name in ("YoYo_g01", "Archery_g11", "Fencing_g01")})
        result = make("ucf101", root / "lists", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        assert lines(root / "classes.txt") == ["Yo Yo", "Archery", "Fencing, épée"]  # numbered by the official file
        assert lines(root / "train_videos_split2.txt") == ["videos/Yo Yo/v_YoYo_g02_c01.avi 0"]
        assert lines(root / "val_videos_split3.txt") == ["videos/Archery/v_Archery_g13_c01.mp4 1"]
        assert "train_videos_split1.txt: 1 of 3 videos listed, 2 missing" in result.stdout
        (root / "lists" / "trainlist02.txt").unlink()
        (root / "lists" / "trainlist03.txt").unlink()
        (root / "lists" / "testlist02.txt").unlink()
        (root / "lists" / "testlist03.txt").unlink()
        result = make("ucf101", root / "lists", "--storage", "frames", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        assert lines(root / "train_frames_split1.txt") == ["frames/v_YoYo_g01_c01 2 0", "frames/v_Fencing_g01_c01 2 2"]
        for storage, split, count in (("videos", 3, 1), ("frames", 1, 2)):
            for spec in resolved("ucf101", tmp_path, monkeypatch, storage=storage, split=split):
                assert len(read_list(spec.train_list, spec)) == count

    def test_hmdb51(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        root = tmp_path / "data" / "hmdb51"
        hmdb51(root)
        video_files(
            root / "videos",
            *(
                "brush_hair/#20_a&b_f_nm_(0).avi",
                "brush_hair/old.movie.avi",
                "brush_hair/c.avi",
                "wave/c.avi",
                "wave/d.mp4",
            ),
        )
        result = make("hmdb51", root / "lists", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        assert lines(root / "classes.txt") == ["brush_hair", "wave"]
        assert lines(root / "train_videos_split1.txt") == [
            "videos/brush_hair/#20_a&b_f_nm_(0).avi 0",
            "videos/wave/c.avi 1",
        ]
        assert lines(root / "val_videos_split2.txt") == ["videos/brush_hair/old.movie.avi 0", "videos/wave/d.mp4 1"]
        for spec in resolved("hmdb51", tmp_path, monkeypatch, split=2):
            assert len(read_list(spec.val_list, spec)) == 2


class TestFolders:
    NAMES = tuple(f"{name}/clip {i}.mp4" for name in ("jump, [high]", "weiß 跳", "run") for i in range(10))

    def test_seeded_split_within_each_class(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        root = tmp_path / "data" / "mine"
        video_files(root, *self.NAMES)
        result = make("folders", root, "--val_fraction", "0.3", "--test_fraction", "0.1", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        parts = {split: lines(root / f"{split}.txt") for split in ("train", "val", "test")}
        assert {split: len(found) for split, found in parts.items()} == {"train": 18, "val": 9, "test": 3}
        classes = ["jump, [high]", "run", "weiß 跳"]
        assert lines(root / "classes.txt") == classes
        listed = [line for found in parts.values() for line in found]
        assert sorted(listed) == sorted(f"{name} {classes.index(name.split('/')[0])}" for name in self.NAMES)
        assert [sum(line.endswith(f" {label}") for line in parts["val"]) for label in range(3)] == [3, 3, 3]
        monkeypatch.chdir(tmp_path)
        spec = resolve_dataset(DatasetOptions("mine", dataset_config="data/mine/dataset.toml"))
        assert (spec.num_classes, spec.storage, len(read_list(spec.train_list, spec))) == (3, "videos", 18)
        assert "main.py mine RGB --dataset_config" in result.stdout

    def test_the_seed_decides(self, tmp_path: Path) -> None:
        video_files(tmp_path / "v", *self.NAMES)
        found = []
        for number, seed in enumerate(("0", "0", "1")):
            make("folders", "v", "--root", f"r{number}", "--name", "n", "--seed", seed, cwd=tmp_path)
            found.append(lines(tmp_path / f"r{number}" / "val.txt"))
        assert found[0] == found[1] != found[2]
        assert len(found[0]) == 6

    def test_frames_and_given_splits(self, tmp_path: Path) -> None:
        frame_folders(tmp_path / "v", {"train/a/x": 3, "train/b/y": 4, "validation/b/z": 5})
        result = make("folders", "v", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        assert lines(tmp_path / "v" / "train.txt") == ["train/a/x 3 0", "train/b/y 4 1"]
        assert lines(tmp_path / "v" / "val.txt") == ["validation/b/z 5 1"]

    def test_everything_that_pyav_opens_is_listed_and_the_rest_counted(self, tmp_path: Path) -> None:
        codecs = {
            "MTS": "mpeg2video", "m2ts": "libx264", "gif": "gif", "Mpg": "mpeg1video", "ogv": "libvpx",
            "divx": "mpeg4", "wmv": "msmpeg4", "3g2": "mpeg4", "nut": "mjpeg", "ivf": "libvpx-vp9",
            "vob": "mpeg2video", "mxf": "mpeg2video",
        }  # fmt: skip
        for number, (ending, codec) in enumerate(codecs.items()):
            formats = {"MTS": "mpegts", "divx": "avi", "wmv": "asf", "ogv": "ogg"}
            media.make_video(
                tmp_path / "v" / "ab"[number % 2] / f"{number}.{ending}", 5, (352, 288), codec=codec, options={},
                pix_fmt={"gif": "rgb8", "mjpeg": "yuvj420p"}.get(codec, "yuv420p"), form=formats.get(ending),
            )  # fmt: skip
        write(tmp_path / "v" / "a", {"notes.txt": "", "more.TXT": "", "README": "", ".hidden.xyz": ""})
        result = make("folders", "v", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        listed = sorted(
            line.split()[0] for split in ("train", "val") for line in lines(tmp_path / "v" / f"{split}.txt")
        )
        assert listed == sorted(f"{'ab'[number % 2]}/{number}.{ending}" for number, ending in enumerate(codecs))
        assert "skipped 3 files without a video ending (2 .txt, 1 with none)" in result.stdout
        for name in listed:
            with av.open(str(tmp_path / "v" / name)) as container:
                assert container.streams.video, name

    @pytest.mark.parametrize(
        ("names", "message"),
        [
            (["a/x.mp4", "y.mp4"], "y.mp4: expected videos in the folders of their classes, got one outside of them"),
            (["a/x.mp4", "b/notes.txt"], "b: expected videos or images of this class, got none"),
            (["a/x.mp4", "b/y/00001.jpg"], "expected videos or images in its folders, got both; choose with --storage"),
            (
                ["a/notes.txt"],
                "expected videos or images in its folders, got neither: skipped 1 file without",
            ),
            (["a/x.mp4", "b/y.mp4"], "expected videos for val.txt, got none"),
        ],
    )
    def test_bad_folders(self, tmp_path: Path, names: Sequence[str], message: str) -> None:
        video_files(tmp_path / "v", *names)
        result = make("folders", "v", cwd=tmp_path)
        assert result.returncode == 2 and message in result.stderr
        assert len(result.stderr.splitlines()) == 1
        assert not (tmp_path / "v" / "train.txt").exists()

    def test_names_that_a_list_cannot_hold(self, tmp_path: Path) -> None:
        video_files(tmp_path / "v", *self.NAMES, "run/line\nbreak.mp4", " b/z.mp4")
        result = make("folders", "v", cwd=tmp_path)
        assert result.returncode == 2 and "expected a class name in one line, got ' b'" in result.stderr
        shutil.rmtree(tmp_path / "v" / " b")
        result = make("folders", "v", cwd=tmp_path)
        assert result.returncode == 1 and "its name has a line break" in result.stderr
        assert len(lines(tmp_path / "v" / "train.txt") + lines(tmp_path / "v" / "val.txt")) == 30


class TestFiles:
    def test_dry_run_and_nothing_is_overwritten(self, tmp_path: Path) -> None:
        video_files(tmp_path / "v", *TestFolders.NAMES)
        result = make("folders", "v", "--dry-run", cwd=tmp_path)
        assert result.returncode == 0 and "train.txt: 24 of 24 videos listed" in result.stdout
        assert not list((tmp_path / "v").glob("*.t*"))
        assert make("folders", "v", cwd=tmp_path).returncode == 0
        before = lines(tmp_path / "v" / "val.txt")
        assert make("folders", "v", cwd=tmp_path).returncode == 0
        result = make("folders", "v", "--seed", "5", cwd=tmp_path)
        assert result.returncode == 2 and "expected no file or the same content" in result.stderr
        assert lines(tmp_path / "v" / "val.txt") == before
        assert make("folders", "v", "--seed", "5", "--overwrite", cwd=tmp_path).returncode == 0
        assert lines(tmp_path / "v" / "val.txt") != before


def something(root: Path) -> None:
    write(root / "lists", semicolon_files("something-something-v1"))


def somethingv2(root: Path) -> None:
    prefix = "something-something-v2-"
    entries = '[\n{"id": "1", "template": "[A] b"},\n{"id": "2", "template": "c"}\n]'
    labels = '{"A b": "0",\n"c": "1"}'
    write(
        root / "lists",
        {f"{prefix}labels.json": labels, f"{prefix}train.json": entries, f"{prefix}validation.json": entries},
    )


def kinetics(root: Path) -> None:
    text = TestKinetics.HEADER + "a,AAAAAAAAAAA,0,10,train\nb,BBBBBBBBBBB,0,10,validate\n"
    write(root / "lists", {"train.csv": text})


V1, V2 = "something-something-v1-", "something-something-v2-"
PREPARE: dict[str, Callable[[Path], None]] = {
    "something": something,
    "somethingv2": somethingv2,
    "kinetics": kinetics,
    "ucf101": ucf101,
    "hmdb51": hmdb51,
}
MALFORMED: list[tuple[str, str, str, str, str]] = [  # data set, file, a part of it, what replaces that, error
    ("something", f"{V1}train.csv", "7;", "7,", "line 2: expected 'id;class name', got '7,Lifting"),
    ("something", f"{V1}train.csv", f"7;{THIRD}", "7;Juggling", "line 2: expected a class of the labels"),
    ("something", f"{V1}train.csv", "300;", "12;", "line 3: expected each video once, got '12' again"),
    ("something", f"{V1}validation.csv", "\n9;", "\n;", "line 3: expected 'id;class name'"),
    ("something", f"{V1}labels.csv", SECOND, FIRST, "line 174: expected each class once, got 'Pushing"),
    ("somethingv2", f"{V2}labels.json", '"c": "1"', '"c": "0"', "line 2: expected a new number in 0..1"),
    ("somethingv2", f"{V2}labels.json", '"c": "1"}', '"c" "1"}', "line 2: expected JSON, got Expecting"),
    ("somethingv2", f"{V2}labels.json", '{"A b": "0",\n"c": "1"}', "[1, 2]", "line 1: expected an object"),
    ("somethingv2", f"{V2}train.json", '"c"}', '"d"}', "line 3: expected a template that"),
    ("somethingv2", f"{V2}train.json", '"template": "c"', '"label": "c"', 'line 3: expected an object with'),
    ("somethingv2", f"{V2}train.json", '"id": "2"', '"id": "1"', "line 3: expected each video once"),
    ("somethingv2", f"{V2}train.json", "},\n{", "}\n{", "line 3: expected ',' or ']', got '{'"),
    ("somethingv2", f"{V2}train.json", "\n]", "", "line 3: expected ',' or ']', got the end of the file"),
    ("somethingv2", f"{V2}train.json", '"2",', '"2"', "line 3: expected JSON"),
    ("somethingv2", f"{V2}train.json", "\n]", "\n]\n[{}] x", "line 5: expected the end of the file, got '[{}] x'"),
    ("somethingv2", f"{V2}train.json", "\n]", ",\n]", "line 4: expected JSON, got Expecting value"),
    ("kinetics", "train.csv", "label,youtube_id", "label,id", "line 1: expected a header with label,youtube_id"),
    ("kinetics", "train.csv", "0,10,validate", "0,10,more,validate", "line 3: expected 5 fields, got 6"),
    ("kinetics", "train.csv", "0,10,validate", "-1,10,validate", "line 3: expected a time in seconds, got '-1'"),
    ("kinetics", "train.csv", "0,10,validate", "zero,10,validate", "line 3: expected a time in seconds"),
    ("kinetics", "train.csv", "validate", "valid", "line 3: expected a split train, validate or test"),
    ("kinetics", "train.csv", "b,BBBB", ",BBBB", "line 3: expected a class name in one line, got ''"),
    ("kinetics", "train.csv", "BBBBBBBBBBB", "", "line 3: expected a youtube_id, got none"),
    ("kinetics", "train.csv", "b,BBB", '"b"x,BBB', "line 3: expected CSV, got"),
    ("ucf101", "classInd.txt", "2 Archery", "3 Archery", "line 2: expected '2 ClassName', got '3 Archery'"),
    ("ucf101", "classInd.txt", "2 Archery", "2 Yo Yo", "line 2: expected each class once, got 'Yo Yo' again"),
    ("ucf101", "trainlist01.txt", "c01.avi 2", "c01.avi 1", "line 2: expected the number 2 of Archery"),
    ("ucf101", "trainlist01.txt", "Archery/", "", "line 2: expected 'ClassName/video.avi'"),
    ("ucf101", "testlist02.txt", "Archery/", "Bowling/", "line 1: expected 'ClassName/video.avi' with a class"),
    ("hmdb51", "wave_test_split2.txt", "d.avi 2", "d.avi 3", "line 2: expected 'video.avi 0', 1 or 2"),
    ("hmdb51", "wave_test_split2.txt", "d.avi 2", "c.avi 2", "line 2: expected each video once"),
]  # fmt: skip


class TestMalformed:
    @pytest.mark.parametrize(("dataset", "name", "old", "new", "message"), MALFORMED)
    def test_the_line_is_named(self, tmp_path: Path, dataset: str, name: str, old: str, new: str, message: str) -> None:
        PREPARE[dataset](tmp_path)
        path = tmp_path / "lists" / name
        text = path.read_bytes().decode()
        assert text.count(old) >= 1
        path.write_bytes(text.replace(old, new).encode())
        with pytest.raises(InputError) as caught:
            read(dataset, tmp_path / "lists")
        assert f"{path}, {message}" in str(caught.value)

    @pytest.mark.parametrize("name", ["labels", "train"])
    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ("[" * 100_000, "too many brackets within brackets"),
            ("[" * 900 + "]" * 900, "[...]"),  # Python reads it; to print it all could be too deep
            ("9" * 5000, "99999"),  # more digits than Python converts
        ],
        ids=["endless", "deep", "digits"],
    )
    def test_json_that_python_would_stumble_over(self, tmp_path: Path, name: str, value: str, message: str) -> None:
        somethingv2(tmp_path)
        path = tmp_path / "lists" / f"{V2}{name}.json"
        old, line = ('"1"', 2) if name == "labels" else ('"c"', 3)
        path.write_text(path.read_text().replace(old, value))
        with pytest.raises(InputError) as caught:
            read("somethingv2", tmp_path / "lists")
        text = str(caught.value)
        assert text.startswith(f"{path}, line ") and message in text and len(text) < len(str(path)) + 200
        assert f"line {line}: " in text or name == "labels"  # an object is read as a whole

    @pytest.mark.parametrize("name", ["\\ud800", "a\\u007fb", "a\\u0000"])
    def test_class_names_that_no_text_file_can_hold(self, tmp_path: Path, name: str) -> None:
        somethingv2(tmp_path)
        path = tmp_path / "lists" / f"{V2}labels.json"
        path.write_text(path.read_text().replace('": "1"', f'{name}": "1"'))
        with pytest.raises(InputError, match=r", line 2: expected a class name in one line"):
            read("somethingv2", tmp_path / "lists")

    @pytest.mark.parametrize("harm", ["class", "folder", "name"])
    def test_nothing_is_written_where_one_file_cannot_be(self, tmp_path: Path, harm: str) -> None:
        root = tmp_path / ("a\x7f" if harm == "name" else "mine")
        for letter in "ab":
            video_files(root / letter, "1.mp4", "2.mp4")
        if harm == "class":
            (root / "b").rename(root / os.fsdecode(b"b\xff"))
        elif harm == "folder":
            (root / "train.txt").mkdir()
        result = make("folders", root, "--val_fraction", "0.5", cwd=tmp_path)
        assert (result.returncode, result.stderr.count("\n")) == (2, 1), result.stderr
        assert [path.name for path in root.iterdir() if path.suffix] == (["train.txt"] if harm == "folder" else [])
        assert list(root.glob(".*")) == []

    def test_a_folder_in_the_place_of_the_last_file(self, tmp_path: Path) -> None:
        video_files(tmp_path / "v", *TestFolders.NAMES)
        (tmp_path / "root" / "dataset.toml").mkdir(parents=True)
        result = make("folders", "v", "--root", "root", "--overwrite", cwd=tmp_path)
        assert (result.returncode, result.stderr.count("\n")) == (2, 1), result.stderr
        assert [path.name for path in (tmp_path / "root").iterdir()] == ["dataset.toml"]

    def test_an_image_template_that_toml_cannot_hold(self, tmp_path: Path) -> None:
        frame_folders(tmp_path / "v", {f"{letter}/{number}": 1 for letter in "ab" for number in (1, 2)}, "\x7f{}.jpg")
        result = make("folders", "v", "--image_tmpl", "\x7f{}.jpg", cwd=tmp_path)
        assert (result.returncode, result.stderr.count("\n")) == (2, 1), result.stderr
        assert "expected --image_tmpl without control characters, got '\\x7f{}.jpg'" in result.stderr
        assert not (tmp_path / "v" / "dataset.toml").exists()

    @pytest.mark.parametrize("dataset", PREPARE)
    def test_unchanged_they_are_fine(self, tmp_path: Path, dataset: str) -> None:
        PREPARE[dataset](tmp_path)
        read(dataset, tmp_path / "lists")

    @pytest.mark.parametrize("dataset", PREPARE)
    def test_not_utf8_and_empty(self, tmp_path: Path, dataset: str) -> None:
        PREPARE[dataset](tmp_path)
        for path in sorted((tmp_path / "lists").iterdir()):
            if "test.csv" in path.name:
                continue
            original = path.read_bytes()
            path.write_bytes(original.rstrip() + b"\n\xff\xfe\n")
            line = original.rstrip().count(b"\n") + 2
            with pytest.raises(InputError, match=rf", line {line}: expected UTF-8, got the byte 0xff"):
                read(dataset, tmp_path / "lists")
            path.write_bytes(b"")
            with pytest.raises(InputError, match=r", line 1: expected "):
                read(dataset, tmp_path / "lists")
            path.write_bytes(original)

    def test_missing_files_and_media(self, tmp_path: Path) -> None:
        something(tmp_path)
        (tmp_path / "frames").mkdir()
        for arguments, message in (
            (
                ("something", "lists"),
                "data/something/frames: expected the folder of the frames (--media), got no such folder",
            ),
            (
                ("something", "lists", "--media", "frames"),
                "expected frames for train.txt, got none of 3 videos, like 12",
            ),
            (("something", "frames", "--media", "frames"), "expected the file something-something-v1-labels.csv"),
            (("kinetics", "frames", "--media", "frames"), "expected CSV files, got none"),
            (("ucf101", "lists", "--media", "frames"), "expected the file classInd.txt"),
            (("hmdb51", "lists", "--media", "frames"), "expected files <class>_test_split1.txt"),
            (("charades", "lists"), "invalid choice: 'charades'"),
            (("folder", "lists"), "did you mean 'folders'?"),
        ):
            result = make(*arguments, cwd=tmp_path)
            assert result.returncode == 2 and message in result.stderr, result.stderr
            assert len(result.stderr.splitlines()) == 1
