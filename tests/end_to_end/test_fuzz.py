"""Input that nobody wrote on purpose: it ends in a result or in the documented error, one line that names the file.

A few hundred examples, always the same ones; ``make test-fuzz`` tries more than 10,000, other ones each time.
"""

import functools
import io
import json
import pickle
import resource
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from torch import nn

import test_models_center_crop as centre_script
import test_models_three_crops as three_script
from ops.checkpoints.description import describe
from ops.checkpoints.file import read_checkpoint
from ops.checkpoints.filling import load_weights, tune_from
from ops.data.dataset import VideoSource
from ops.data.dataset_config import DatasetOptions, DatasetSpec, read_class_names, resolve_dataset
from ops.data.video_list import VideoRecord, check_first_video, read_list
from ops.evaluation.measurement import Checkpoint, Measurement
from ops.evaluation.score_files.score_journal import ScoreJournal
from ops.evaluation.score_files.score_pickle import read_view, view_path, write_view
from ops.runtime.errors import InputError
from ops.settings.command_lines import parse_results, parse_test, parse_train
from ops.settings.results import ResultsConfig
from ops.settings.saved import config_dict
from ops.settings.testing import TestConfig
from ops.settings.training import TrainConfig
from ops.video.reader import VideoError, choose_decoder
from tests.clip_files import make_spec

SPARE_BYTES = 6 << 30
in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture(autouse=True, scope="module")
def bounded_memory() -> Iterator[None]:
    """What asks for more than it should fails, and not the machine."""
    with open("/proc/self/statm") as file:
        in_use = int(file.read().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (in_use + SPARE_BYTES, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def answer(function: Callable[[], Any], path: Path | None = None) -> Any:
    """The result, or None where it ends in the documented error."""
    try:
        return function()
    except InputError as error:
        message = str(error)
        assert message and len(message) < 20_000
        assert path is None or str(path) in message or path.stem in message, message
        return None


def damaged(content: bytes) -> st.SearchStrategy[bytes]:
    """A valid file with some bytes changed, cut, or put in."""
    place = st.integers(0, len(content))

    @st.composite
    def change(draw: st.DrawFn) -> bytes:
        changed = bytearray(content)
        for _ in range(draw(st.integers(1, 6))):
            at = draw(place) % max(len(changed), 1)
            kind = draw(st.sampled_from(["set", "set", "set", "cut", "insert", "remove"]))
            if kind == "set" and changed:
                changed[at] = draw(st.integers(0, 255))
            elif kind == "cut":
                del changed[at:]
            elif kind == "insert":
                changed[at:at] = draw(st.binary(max_size=9))
            elif kind == "remove":
                del changed[at : at + draw(st.integers(1, 40))]
        return bytes(changed)

    return change()


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=8,
)

# --- lists and class names

odd_numbers = st.sampled_from(["1e3", "07", "+1", "٣", "²", "1_0", "9" * 30, "9" * 5000, "-", ""])
numbers = st.integers(-3, 12) | st.integers() | odd_numbers
odd_words = st.sampled_from(["a", "a b", "v.mp4", "../x", "/", ".", "~", "x" * 300, "\0", "\x85", "ü", "a/b.avi"])
words = odd_words | st.text(max_size=8)
lines = st.lists(words | numbers.map(str), max_size=4).map(" ".join)
list_files = (
    st.lists(lines, max_size=5).map(lambda parts: "\n".join(parts).encode("utf-8", "surrogatepass"))
    | st.binary(max_size=60)
    | damaged(b"videos/a b.mp4 0\nframes/1 48 3\n\n/somewhere/else 9 2\n")
)


class TestLists:
    @given(content=list_files, storage=st.sampled_from(["frames", "videos"]))
    @in_one_folder
    def test_a_list(self, tmp_path: Path, content: bytes, storage: str) -> None:
        path = tmp_path / "list.txt"
        path.write_bytes(content)
        spec = make_spec(tmp_path, storage)
        records = answer(lambda: read_list(path, spec), path)
        for record in records or []:
            assert 0 <= record.label < spec.num_classes
            assert record.path and (record.num_frames is None) == (storage == "videos")
        if records:
            answer(lambda: check_first_video(records, spec, skip=True))
            source = VideoSource(spec, records, choose_decoder("pyav"))
            for index in range(len(records)):
                with suppress(VideoError):
                    source.open(index).get_frames(np.arange(3))

    @given(content=st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
    @in_one_folder
    def test_class_names(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "classes.txt"
        path.write_bytes(content)
        names = answer(lambda: read_class_names(path), path)
        assert names is None or (names and all(name.strip() for name in names))


# --- data set descriptions

TOML = b"""name = "mine"
storage = "frames"
root = "."
train_list = "train.txt"
val_list = "val.txt"
num_classes = 4
class_names = ["left", "right", "up", "down"]
image_tmpl = "{:05d}.jpg"
mirror_pairs = [[0, 1]]
"""
KEYS = ("name", "storage", "root", "train_list", "val_list", "num_classes", "class_names", "image_tmpl", "mirror_pairs")
templates = st.sampled_from(
    ["{:05d}.jpg", "{}", "{0}{0}", "{:9999999999d}", "{:.999999999f}", "{0:{0}}", "{0.__class__}", "{", "{x}", "%05d"]
)
values = (
    st.sampled_from(["mine", "frames", "videos", ".", "x" * 400, "\0", 4, 0, -1, 10**12, True, 4.0, [[0, 1]], [[0, 9]],
                     [[0]], [["a", "b"]], ["a", "b", "c", "d"], [1], []])
    | templates
    | st.text(max_size=8)
    | anything
)  # fmt: skip


def as_toml(table: dict[str, Any]) -> bytes:
    """A table of values as TOML, near enough: JSON's strings, numbers and lists are TOML's too."""
    texts = (f"{key} = {json.dumps(value)}" for key, value in table.items())
    return "\n".join(texts).encode("utf-8", "surrogatepass")


TABLE = {"storage": "frames", "root": ".", "train_list": "t", "val_list": "v", "num_classes": 4}
tables = st.dictionaries(st.sampled_from(KEYS), values, max_size=9).map(lambda changes: as_toml(TABLE | changes))


class TestDataSets:
    @given(content=tables | damaged(TOML) | st.binary(max_size=40))
    @example(content=TOML)
    @example(content=TOML.replace(b"{:05d}", b"{:9999999999d}"))
    @example(content=TOML.replace(b"num_classes = 4", b"num_classes = 1000000000000").replace(b"class_names", b"#"))
    @in_one_folder
    def test_a_toml_file(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "mine.toml"
        path.write_bytes(content)
        options = DatasetOptions("mine", dataset_config=str(path))
        spec = answer(lambda: resolve_dataset(options))
        if spec is not None:
            assert isinstance(spec, DatasetSpec)
            assert len(spec.mirror_labels()) == spec.num_classes
            assert spec.image_tmpl.format(1) != spec.image_tmpl.format(2)
            json.dumps(config_dict(spec))


# --- score files

MEASURED = Measurement(
    "tiny", "val.txt", 3, 3, (8,), ("stpme,dsme",), (8,), 1, 1, "even", 256, 224, (Checkpoint("a.pth", 3, "0" * 16),)
)
SCORES = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
PICKLES = [pickle.dumps([[row[None], label] for label, row in enumerate(SCORES)], protocol) for protocol in range(6)]
arrays = st.builds(
    lambda kind, shape: np.ones(shape, kind),
    st.sampled_from(["f4", "f8", "i8", "u1", "c8", "U3", "O", "?"]),
    st.lists(st.integers(0, 4), max_size=3),
)
rows = st.lists(st.lists(arrays | anything, max_size=3) | anything, max_size=4)


def beside(folder: Path) -> bytes:
    write_view(folder, 0, 0, SCORES, [0, 1, 2], ["a", "b", "c"], MEASURED)
    return (folder / "0_crop0.json").read_bytes()


class TestScores:
    @given(content=st.one_of(*map(damaged, PICKLES)) | rows.map(pickle.dumps) | st.binary(max_size=60))
    @in_one_folder
    def test_a_pickle(self, tmp_path: Path, content: bytes) -> None:
        path = view_path(tmp_path, 0, 0)
        path.write_bytes(content)
        view = answer(lambda: read_view(path), path)
        if view is not None:
            assert view.scores.dtype == np.float32 and np.isfinite(view.scores).all()
            assert view.scores.shape[0] == len(view.labels)
            assert 0 <= view.labels.min() <= view.labels.max() < view.scores.shape[1]

    @given(data=st.data())
    @in_one_folder
    def test_what_lies_beside_it(self, tmp_path: Path, data: st.DataObject) -> None:
        original = beside(tmp_path)
        content = json.loads(original)
        key = st.sampled_from(list(content["measurement"]))
        changed = st.dictionaries(key, anything, max_size=3).map(
            lambda changes: json.dumps({**content, "measurement": {**content["measurement"], **changes}}).encode()
        )
        replaced = st.dictionaries(st.sampled_from(list(content)), anything, max_size=2).map(
            lambda changes: json.dumps({**content, **changes}).encode()
        )
        other = anything.map(lambda value: json.dumps(value).encode())
        path = tmp_path / "0_crop0.json"
        path.write_bytes(data.draw(changed | replaced | damaged(original) | other))
        view = answer(lambda: read_view(path.with_suffix(".pkl")), path)
        if view is not None and view.measurement is not None:
            line = view.measurement.line()
            assert line.isprintable() and line.encode()
            assert Measurement.from_dict(json.loads(json.dumps(view.measurement.to_dict()))) == view.measurement

    @given(data=st.data())
    @in_one_folder
    def test_a_journal(self, tmp_path: Path, data: st.DataObject) -> None:
        for old in tmp_path.glob(".some*"):
            old.unlink()
        journal = ScoreJournal(tmp_path, "some", {"a": 1}, (2, 4))
        journal.open(0)
        for video in range(3):
            journal.append(video, np.full((2, 4), video))
        journal.close()
        (path,) = journal.paths()
        path.write_bytes(data.draw(damaged(path.read_bytes())))
        found = answer(journal.read, path)
        for video, scores in (found or {}).items():
            assert video in range(3) and (scores == video).all() and scores.shape == (2, 4)
        if found is not None:
            journal.open(0)
            journal.append(7, np.full((2, 4), 7))
            journal.close()
            assert journal.read().keys() == found.keys() | {7}


# --- checkpoints


class Small(nn.Module):
    """Like a network, with a head."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(3, 2)
        self.head = nn.Linear(2, 2)


def saved(content: Any, new_format: bool = True) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=new_format)
    return file.getvalue()


CONFIG = {"model": {"motion": ["stpme"], "motion_window": None, "num_segments": 2}}
torch.manual_seed(0)
CHECKPOINT = {"state_dict": Small().state_dict(), "epoch": 3, "arch": "resnet10", "config": CONFIG}
tensors = st.builds(
    lambda shape, kind: torch.zeros(shape, dtype=kind),
    st.sampled_from([(2, 3), (2,), (2, 2), (), (0,), (5, 5)]),
    st.sampled_from([torch.float32, torch.int64, torch.complex64, torch.bool, torch.bfloat16]),
) | st.sampled_from([torch.eye(2).to_sparse(), torch.empty(2, 2, device="meta")])
weight_names = st.sampled_from(
    ["body.weight", "body.bias", "head.weight", "head.bias", "module.body.bias", "other", "base_model.x",
     "base_model.bn1.running_mean", "base_model.conv1.bias", ""]
)  # fmt: skip
states = st.dictionaries(weight_names, tensors | anything, max_size=6)
settings_of_models = st.dictionaries(st.sampled_from(list(CONFIG["model"])), anything)
checkpoints = st.builds(
    lambda state, changes: {**CHECKPOINT, "state_dict": {**CHECKPOINT["state_dict"], **state}, **changes},
    states,
    st.dictionaries(st.sampled_from(["state_dict", "epoch", "arch", "config", "more"]), anything | states, max_size=2)
    | settings_of_models.map(lambda model: {"config": {"model": model}}),
)


class TestCheckpoints:
    @given(
        content=damaged(saved(CHECKPOINT))
        | damaged(saved(CHECKPOINT, new_format=False))
        | checkpoints.map(saved)
        | anything.map(saved)
        | st.binary(max_size=60)
    )
    @pytest.mark.filterwarnings("ignore")
    @in_one_folder
    def test_a_checkpoint(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "a.pth"
        path.write_bytes(content)
        read = answer(lambda: read_checkpoint(path), path)
        answer(lambda: tune_from(Small(), path), path)
        if read is not None:
            answer(lambda: load_weights(Small(), read, str(path)), path)
            said = answer(lambda: describe(read, path), path)
            if said is not None:
                numbers = (said.motion_window, said.num_segments)
                assert all(number is None or (isinstance(number, int) and number >= 1) for number in numbers)


# --- command lines

TEST_NEEDS = ["motion", "--weights", "a", "--output_dir", "o"]
SCRIPTS = {
    "train": (parse_train, TrainConfig, ["motion", "RGB"]),
    "centre": (functools.partial(parse_test, centre_script.SCRIPT), TestConfig, TEST_NEEDS),
    "three": (functools.partial(parse_test, three_script.SCRIPT), TestConfig, TEST_NEEDS),
    "results": (parse_results, ResultsConfig, ["--output_dir", "."]),
}
FLAGS = """
    --arch --num_segments --dropout --motion --motion_window --pretrain --resume --epochs -b --accumulate --lr
    --lr_scheduler --lr_steps --warmup_epoch --warmup_multiplier --momentum --wd --gd --param_groups --npb --partialbn
    --input_size --dense_sample --seed -j --gpus --amp --channels_last -e -p --eval-freq --root_log --suffix
    --dataset_config --root_path --train_list --num_class --class_names --image_tmpl --storage --split --decoder
    --on_bad_video --max_bad --clip_timeout --archs --weights --test_segments --coeff --test_crops --num_clips
    --clip_index --clip_sampling --full_res --max_num --batch_size --overwrite --resume_scores --softmax --csv_file
    --multi_segments --output_dir1 --per_class --test_list --start-epoch --local-rank
"""
VALUES = """
    0 1 2 3 8 -1 64 100 0.5 1e9 1e400 nan inf none all auto skip error RGB resnet50 frames videos 1,2 8,16 a,b ,
    {:05d}.jpg step cosine tsn bf16 even random . nowhere
"""
flags = st.sampled_from(FLAGS.split())
arguments = st.sampled_from(VALUES.split()) | st.text(max_size=8)


class TestCommandLines:
    @given(script=st.sampled_from(list(SCRIPTS)), tokens=st.lists(flags | arguments, max_size=7))
    @example(script="train", tokens=["--root_path", "x" * 300])
    @example(script="train", tokens=["--root_path", "\0"])
    @example(script="train", tokens=["--lr", "nan"])
    @example(script="centre", tokens=["--num_clips", "9" * 30, "--clip_index", "all"])
    @in_one_folder
    def test_a_command_line(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, tokens: list[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        parse, kind, needed = SCRIPTS[script]
        config = answer(lambda: parse([*needed, *tokens]))
        if config is not None:
            assert isinstance(config, kind)
            if kind is not ResultsConfig:
                json.dumps(config_dict(config))


class TestReadsWhatIsWhole:
    """That the tests above do not refuse everything."""

    def test_valid_files(self, tmp_path: Path) -> None:
        (tmp_path / "list.txt").write_bytes(b"frames/1 48 3\n")
        assert list(read_list(tmp_path / "list.txt", make_spec(tmp_path, "frames"))) == [VideoRecord("frames/1", 48, 3)]
        beside(tmp_path)
        assert read_view(tmp_path / "0_crop0.pkl").measurement == MEASURED
        for new_format in (True, False):
            (tmp_path / "a.pth").write_bytes(saved(CHECKPOINT, new_format))
            assert load_weights(Small(), tmp_path / "a.pth")["epoch"] == 3
            said = describe(read_checkpoint(tmp_path / "a.pth"), tmp_path / "a.pth")
            assert (said.network, said.num_segments, said.motion_window) == ("msn", 2, None)
