"""From what the makers of data sets distribute to a step of training: extract or resize, make_lists, main.py's engine.

Miniatures of the official layouts, with class names and videos of the awkward kinds. The scripts that need processes
run as such, once each; the rest runs in this one, which has imported torch already.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from ops.data.dataset import VideoSource
from ops.data.video_list import read_list
from ops.settings.command_lines import parse_train
from ops.settings.training import TrainConfig
from ops.training.run import train
from ops.video.reader import choose_decoder
from scripts.preparation import make_lists
from tests import media
from tests.clip_files import write_folder

SMALL = (
    "--arch", "resnet10", "--num_segments", "2", "--input_size", "32", "--pretrain", "none", "-b", "2", "-j", "0",
    "--epochs", "1", "--print-freq", "1",
)  # fmt: skip
UNEVEN = {"times": [0, 10, 11, 40, 90, 91, 95, 99], "time_base": Fraction(1, 100), "options": {"bf": "0"}}


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def semicolons(root: Path, prefix: str, names: tuple[str, ...]) -> None:
    """CSV files of Something-Something V1's style, and frames as they are distributed: two to train on, one more."""
    write(root / "annotations" / f"{prefix}-labels.csv", "".join(f"{name}\n" for name in names))
    write(root / "annotations" / f"{prefix}-train.csv", f"12;{names[0]}\n7;{names[1]}\n")
    write(root / "annotations" / f"{prefix}-validation.csv", f"9;{names[2]}\n")
    for number, size in (("12", (64, 48)), ("7", (48, 64)), ("9", (65, 47))):
        write_folder(root / "frames" / number, 9, "{:05d}.jpg", size=size)


# Each puts a data set below ``root`` as its makers distribute it, and prepares it as docs/datasets.md says. Returns
# the source for make_lists.py, options for main.py, the classes, and a size that a frame of the training list has.
Prepared = tuple[str, tuple[str, ...], tuple[str, ...], tuple[int, int]]


def something(root: Path) -> Prepared:
    names = ("Pushing something from left to right", "Holding [something] up, then letting go", "Tasting a café")
    semicolons(root, "something-something-v1", names)
    return "annotations", (), tuple(sorted(names)), (48, 64)


def jester(root: Path) -> Prepared:
    names = ("Swiping Left", "Swiping Right", "Doing other things")
    semicolons(root, "jester-v1", names)
    return "annotations", (), tuple(sorted(names)), (64, 48)


def somethingv2(root: Path) -> Prepared:
    prefix = "annotations/something-something-v2"
    names = ("Putting something into a café", "Lifting something, then letting it drop")
    write(root / f"{prefix}-labels.json", json.dumps({name: str(n) for n, name in enumerate(names)}))
    train = [(n, name.replace("something", "[something]")) for n, name in ((1, names[0]), (2, names[1]), (3, names[0]))]
    write(root / f"{prefix}-train.json", json.dumps([{"id": str(n), "template": text} for n, text in train]))
    write(root / f"{prefix}-validation.json", json.dumps([{"id": "4", "template": train[0][1]}]))
    fast = {"cpu-used": "8", "deadline": "realtime"}
    media.make_video(root / "videos" / "1.webm", 9, codec="libvpx-vp9", options=fast)
    media.make_video(root / "videos" / "2.webm", 9, (48, 64), codec="libvpx-vp9", options=fast)
    media.make_sound(root / "videos" / "3.mp4")
    media.make_video(root / "videos" / "4.webm", 9, codec="libvpx-vp9", options=fast)
    result = media.run("extract_frames.py", root / "videos", root / "frames", "-j", "2")
    assert result.returncode == 1 and "3.mp4: expected a video, got only audio" in result.stderr
    return "annotations", (), names, (48, 64)


def kinetics(root: Path) -> Prepared:
    names = ("abseiling", 'playing "air", guitar', "zumba (not in a café)")
    rows = ('"playing ""air"", guitar",-abc_DEF123,0,10', "abseiling,AAAAAAAAAAA,105,115", "abseiling,GGGGGGGGGGG,0,10")
    write(root / "annotations" / "train.csv", "".join(
        f"{row}\n" for row in ("label,youtube_id,time_start,time_end,split", *(f"{row},train" for row in rows),
                               "zumba (not in a café),CCCCCCCCCCC,12,22,validate")))  # fmt: skip
    original = root / "original"
    turned = media.make_video(original / "-abc_DEF123_000000_000010.mp4", 9)
    media.turn_by_metadata(turned, media.QUARTER_TURN)
    media.make_video(original / "abseiling" / "AAAAAAAAAAA_000105_000115.mp4", 8, sound=True, **UNEVEN)
    media.make_video(original / "zumba_(not_in_a_café)" / "CCCCCCCCCCC_000012_000022.avi", 9, (65, 47), codec="mpeg4")
    result = media.run("resize_videos.py", original, root / "videos", "--short_side", "40", "-j", "2")
    assert result.returncode == 0, result.stderr
    return "annotations", (), names, (40, 54)


def ucf101(root: Path) -> Prepared:
    names = ("Yo Yo", "Archery", "Fencing, épée")
    lists = root / "ucfTrainTestlist"
    write(lists / "classInd.txt", "".join(f"{n} {name}\n" for n, name in enumerate(names, 1)))
    write(lists / "trainlist01.txt", "Yo Yo/v_YoYo_g01_c01.avi 1\nFencing, épée/v_Fencing_g01_c01.avi 3\n")
    write(lists / "testlist01.txt", "Archery/v_Archery_g01_c01.avi\n")
    for name in ("Yo Yo/v_YoYo", "Fencing, épée/v_Fencing", "Archery/v_Archery"):
        media.make_video(root / "videos" / f"{name}_g01_c01.avi", 9, (65, 47), codec="mpeg4")
    return "ucfTrainTestlist", ("--split", "1"), names, (65, 47)


def hmdb51(root: Path) -> Prepared:
    lists = root / "testTrainMulti_7030_splits"
    write(lists / "brush_hair_test_split1.txt", "#20_a&b_f_nm_(0).avi 1 \nold.movie.avi 2 \n")
    write(lists / "wave_test_split1.txt", "c.avi 1 \n")
    for name in ("brush_hair/#20_a&b_f_nm_(0).avi", "brush_hair/old.movie.avi", "wave/c.avi"):
        media.make_video(root / "videos" / name, 9, (80, 48), codec="mpeg4")
    result = media.run("extract_frames.py", root / "videos", root / "frames", "--short_side", "32", "-j", "2")
    assert result.returncode == 0, result.stderr
    return lists.name, ("--split", "1", "--storage", "frames"), ("brush_hair", "wave"), (53, 32)


PREPARE: tuple[Callable[[Path], Prepared], ...] = (something, jester, somethingv2, kinetics, ucf101, hmdb51)


def lists(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Runs make_lists.py here; its exit status."""
    monkeypatch.setattr(sys, "argv", ["make_lists.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        make_lists.main()
    return int(ended.value.code or 0)


def trained(name: str, *options: str) -> TrainConfig:
    """One epoch of main.py, here."""
    config = parse_train([name, "RGB", *SMALL, *options])
    train(config, torch.device("cpu"))
    return config


def sources(config: TrainConfig) -> tuple[VideoSource, VideoSource]:
    """Training and validation videos."""
    spec = config.dataset
    training, validation = (read_list(path, spec) for path in (spec.train_list, spec.val_list))
    return VideoSource(spec, training, choose_decoder("pyav")), VideoSource(spec, validation, choose_decoder("pyav"))


@pytest.mark.parametrize("prepare", PREPARE, ids=lambda prepare: prepare.__name__)
def test_official_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepare: Callable[[Path], Prepared]) -> None:
    monkeypatch.chdir(tmp_path)
    name = prepare.__name__
    source, options, classes, size = prepare(Path("data", name))
    storage = options[options.index("--storage") :] if "--storage" in options else ()
    assert lists(monkeypatch, name, f"data/{name}/{source}", *storage) == 0
    config = trained(name, *options)
    assert config.dataset.class_names == classes
    training, validation = sources(config)
    assert (len(training.records), len(validation.records)) == (2, 1)
    saved = torch.load(config.model_dir / "last.pth.tar", weights_only=True)
    assert saved["position"]["epoch"] == 1 and saved["position"]["best_top1"] is not None
    assert len(saved["state_dict"]["head.bias"]) == len(classes)
    assert "2 training videos" in (config.log_dir / "log.txt").read_text()
    shapes = [training.open(video).get_frames(torch.arange(2).numpy()).shape for video in range(2)]
    assert (2, size[1], size[0], 3) in shapes


def test_class_folders_of_awkward_videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The frames that training reads are those of the video, in order, whatever kind it is."""
    monkeypatch.chdir(tmp_path)
    videos = Path("data/raw")
    media.make_video(videos / "jump, [high]" / "portrait 1.mp4", 9, (48, 64), sound=True)
    media.make_video(videos / "jump, [high]" / "uneven.mp4", 8, **UNEVEN)
    turned = media.make_video(videos / "weiß 跳" / "turned.mp4", 9)
    media.turn_by_metadata(turned, media.HALF_TURN)
    media.make_video(videos / "weiß 跳" / "odd.avi", 9, (65, 47), codec="mpeg4")
    result = media.run("extract_frames.py", videos, "data/mine", "-j", "2")
    assert result.returncode == 0, result.stderr
    assert lists(monkeypatch, "folders", "data/mine", "--val_fraction", "0.5") == 0
    config = trained("mine", "--dataset_config", "data/mine/dataset.toml")
    assert config.dataset.class_names == ("jump, [high]", "weiß 跳")
    seen = {}
    for source in sources(config):
        for video, record in enumerate(source.records):
            reader = source.open(video)
            pictures = list(reader.get_frames(torch.arange(len(reader)).numpy()))
            if "turned" in record.path:
                pictures = [picture[::-1, ::-1] for picture in pictures]
            seen[record.path] = (record.label, media.numbers(pictures))
    assert seen == {
        "jump, [high]/portrait 1": (0, list(range(9))),
        "jump, [high]/uneven": (0, list(range(8))),
        "weiß 跳/odd": (1, list(range(9))),
        "weiß 跳/turned": (1, list(range(9))),
    }
