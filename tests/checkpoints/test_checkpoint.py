"""Checkpoint files: what can be wrong with them, atomic writes, and the conversion of the reference's."""

import os
import pickle
from argparse import Namespace
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ops.checkpoints.file import read_checkpoint, write_checkpoint
from ops.checkpoints.filling import load_state_dict, load_weights, tune_from
from ops.checkpoints.published.recognition import convert_reference, is_reference
from ops.models.build import build_model
from ops.models.names import ARCHS
from ops.models.recognizer import Recognizer
from ops.runtime.errors import InputError
from tests.golden_weights import GOLDEN, fill, read_shapes, relative_error, shapes_of
from tests.oracle.msn_oracle import MSNOracle

FLOAT32 = 1e-4
TINY, CLASSES = "resnet14", 5
State = dict[str, Tensor]


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """An arch of one bottleneck a stage, which only the tests know."""
    monkeypatch.setitem(ARCHS, TINY, (ARCHS["resnet50"][0], (1, 1, 1, 1)))


@pytest.fixture(scope="module")
def oracle() -> MSNOracle:
    """T = 2."""
    return fill(MSNOracle(TINY, CLASSES, 2)).eval()


@pytest.fixture
def reference(oracle: MSNOracle) -> State:
    """A state dict as the reference names it, for tests to change."""
    return dict(oracle.state_dict())


def _build(num_segments: int = 2, arch: str = TINY, classes: int = CLASSES, **options: object) -> Recognizer:
    return build_model(arch, classes, num_segments, **options).eval()


def _clips(segments: int, videos: int = 1) -> Tensor:
    return torch.randn((videos, segments, 5, 3, 32, 32), generator=torch.Generator().manual_seed(0))


def _error(model: nn.Module, oracle: nn.Module, segments: int = 2) -> float:
    """How far the logits of a video are apart."""
    with torch.no_grad():
        return relative_error(model(_clips(segments)), oracle(_clips(segments)))


def _copy(model: nn.Module) -> State:
    return {name: value.clone() for name, value in model.state_dict().items()}


def _same(one: State, other: State) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


class _Malicious:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable, tuple]:
        return os.mkdir, (str(self.path),)


class TestReadCheckpoint:
    def _fails(self, path: Path) -> str:
        with pytest.raises(InputError) as caught:
            read_checkpoint(path)
        message = str(caught.value)
        assert "\n" not in message and message.startswith(f"{path}: expected a checkpoint")
        return message

    def test_returns_what_was_saved(self, tmp_path):
        torch.save({"epoch": 3, "state_dict": {"a": torch.ones(2)}}, tmp_path / "a.pth")
        content = read_checkpoint(str(tmp_path / "a.pth"))
        assert content["epoch"] == 3 and torch.equal(content["state_dict"]["a"], torch.ones(2))

    def test_nothing_there(self, tmp_path):
        assert self._fails(tmp_path / "none.pth").endswith("got nothing there")

    def test_a_folder(self, tmp_path):
        assert self._fails(tmp_path).endswith("or a folder with model.safetensors, got a folder without it")

    @pytest.mark.parametrize(
        "text", ["", "hello world\n", "epoch: 3\n", "best\n", "(a)\n", "run 1\n", "arch,lr\n", "\n", "<html></html>"]
    )
    def test_a_text_file(self, tmp_path, text):
        path = tmp_path / "notes.txt"
        path.write_text(text)
        self._fails(path)

    @pytest.mark.parametrize("new_format", [True, False])
    def test_a_truncated_file(self, tmp_path, new_format):
        path = tmp_path / "half.pth"
        torch.save({"a": torch.ones(9)}, path, _use_new_zipfile_serialization=new_format)
        whole = path.read_bytes()
        for size in range(0, len(whole), 29):
            path.write_bytes(whole[:size])
            self._fails(path)

    @pytest.mark.parametrize("content", [[1, 2], torch.ones(2), 3])
    def test_something_other_than_a_dict(self, tmp_path, content):
        path = tmp_path / "list.pth"
        torch.save(content, path)
        assert self._fails(path).endswith(f"(a dict), got {type(content).__name__}")

    @pytest.mark.parametrize("by_torch", [True, False])
    def test_a_malicious_file_does_nothing(self, tmp_path, by_torch):
        path, trace = tmp_path / "evil.pth", tmp_path / "trace"
        content = {"state_dict": _Malicious(trace)}
        if by_torch:
            torch.save(content, path)
        else:
            path.write_bytes(pickle.dumps(content, protocol=2))
        self._fails(path)
        assert not trace.exists()
        torch.load(path, weights_only=False) if by_torch else pickle.loads(path.read_bytes())
        assert trace.exists()  # so it would have


class TestWriteCheckpoint:
    def test_can_be_read_back(self, tmp_path):
        path = tmp_path / "a.pth"
        write_checkpoint({"epoch": 1}, path)
        write_checkpoint({"epoch": 2, "state_dict": {"a": torch.ones(2)}}, path)
        assert read_checkpoint(path)["epoch"] == 2
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize("failing", ["os.replace", "os.fsync", "torch.save"])
    def test_a_failure_leaves_the_old_file_and_nothing_else(self, tmp_path, monkeypatch, failing):
        path = tmp_path / "a.pth"
        write_checkpoint({"epoch": 1}, path)

        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(failing, full)
        with pytest.raises(InputError, match=r"a\.pth: expected to write a checkpoint, got .*No space left"):
            write_checkpoint({"epoch": 2}, path)
        monkeypatch.undo()
        assert read_checkpoint(path) == {"epoch": 1}
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
    def test_an_interruption_leaves_the_old_file_and_nothing_else(self, tmp_path, monkeypatch, interruption):
        path = tmp_path / "a.pth"
        write_checkpoint({"epoch": 1}, path)

        def interrupted(*_: object) -> None:
            raise interruption

        monkeypatch.setattr(os, "fsync", interrupted)
        with pytest.raises(interruption):
            write_checkpoint({"epoch": 2}, path)
        assert read_checkpoint(path) == {"epoch": 1}
        assert list(tmp_path.iterdir()) == [path]

    def test_what_cannot_be_saved_leaves_nothing(self, tmp_path):
        with pytest.raises((InputError, pickle.PicklingError, AttributeError, TypeError)):
            write_checkpoint({"schedule": lambda epoch: epoch}, tmp_path / "a.pth")
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_that_is_not_there(self, tmp_path):
        with pytest.raises(InputError, match=r"expected to write a checkpoint, got .*No such file"):
            write_checkpoint({}, tmp_path / "none" / "a.pth")


class _Unknown:
    """Of a class that only its own code knows."""


class _Call:
    """Pickles as a call of a function."""

    def __init__(self, function: Callable, *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple:
        return self.function, self.arguments


NUMBERS = (
    np.float64(1.5), np.float32(-2), np.int64(7), np.bool_(True), np.float16(0.5), np.uint8(3), np.complex64(1 + 2j),
    np.str_("text"),
)  # fmt: skip
ARRAYS = (np.arange(6).reshape(2, 3), np.asfortranarray(np.eye(3, 2)), np.zeros((0, 4), ">i2"), np.array(["a", "bc"]))


@pytest.mark.parametrize("new_format", [True, False])
class TestOtherCode:
    """What training scripts leave in their checkpoints besides weights."""

    def _read(self, tmp_path: Path, new_format: bool, **more: object) -> dict:
        content = {"state_dict": {"a": torch.ones(2)}, "epoch": 3, **more}
        torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=new_format)
        found = read_checkpoint(tmp_path / "a.pth")
        assert found["epoch"] == 3 and torch.equal(found["state_dict"]["a"], torch.ones(2))
        return found

    def _fails(self, tmp_path: Path, new_format: bool, value: object) -> str:
        with pytest.raises(InputError) as caught:
            self._read(tmp_path, new_format, value=value)
        message = str(caught.value)
        assert message.startswith(f"{tmp_path / 'a.pth'}: expected a checkpoint")
        assert message.isprintable()  # neither lines nor colours
        return message

    def test_settings_are_plain_data(self, tmp_path, new_format):
        settings = {"lr": 0.1, "arch": "resnet50", "steps": [30], "more": Namespace(a=1), "best": np.float64(53.25)}
        for kind in (Namespace, SimpleNamespace):
            found = self._read(tmp_path, new_format, args=kind(**settings))["args"]
            assert type(found) is type(found["more"]) is dict and found == {**settings, "more": {"a": 1}}

    def test_numpy_numbers(self, tmp_path, new_format):
        found = self._read(tmp_path, new_format, numbers=list(NUMBERS))["numbers"]
        assert found == list(NUMBERS) and [type(n) for n in found] == [type(n) for n in NUMBERS]

    def test_numpy_arrays(self, tmp_path, new_format):
        state = np.random.RandomState(3).get_state()
        found = self._read(tmp_path, new_format, arrays=list(ARRAYS), random=state)
        for ours, theirs in zip(ARRAYS, found["arrays"], strict=True):
            assert type(theirs) is np.ndarray and theirs.dtype == ours.dtype.newbyteorder("=")
            assert ours.shape == theirs.shape and ours.tolist() == theirs.tolist()
        assert found["random"][1].tolist() == state[1].tolist()

    def test_paths_dates_and_default_dicts(self, tmp_path, new_format):
        now, counts = datetime(2024, 5, 6, 7, 8), defaultdict(list, a=[1])
        paths = {"p": Path("runs") / "a b", "w": PureWindowsPath("C:/runs"), "none": Path()}
        found = self._read(tmp_path, new_format, paths=paths, now=now, took=timedelta(seconds=3), counts=counts)
        assert found["paths"] == {"p": PurePosixPath("runs/a b"), "w": paths["w"], "none": PurePosixPath()}
        assert (found["now"], found["took"], found["counts"]) == (now, timedelta(seconds=3), {"a": [1]})

    @pytest.mark.parametrize(
        ("value", "name"),
        [(_Unknown(), "_Unknown"), (nn.Linear(2, 2), "torch.nn.modules.linear.Linear"),
         (torch.optim.SGD, "torch.optim.sgd.SGD"), (Fraction(1, 2), "fractions.Fraction")],
        ids=["class", "network", "optimiser", "fraction"],
    )  # fmt: skip
    def test_others_are_named_with_advice(self, tmp_path, new_format, value, name):
        message = self._fails(tmp_path, new_format, value)
        assert "of tensors and plain data, got an object of " in message and name in message
        assert "weights_only=False" in message and "state_dict()" in message

    @pytest.mark.parametrize(
        "value",
        [np.array([{}], dtype=object), np.zeros(2, "f4,i4"), np.dtype(object), _Call(np.ndarray, (10**13,)),
         _Call(np.dtype, "O"), _Call(getattr, "text", "upper")],
        ids=["objects", "records", "type of objects", "array of any size", "type", "function"],
    )  # fmt: skip
    def test_admitted_names_make_nothing_but_numbers(self, tmp_path, new_format, value):
        self._fails(tmp_path, new_format, value)


class TestLoadStateDict:
    @pytest.mark.parametrize(
        "prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "module.module."]
    )
    @pytest.mark.parametrize("key", [None, "state_dict", "model", "model_state", "model_state_dict"])
    def test_wrappers_and_keys_of_other_code(self, prefix, key):
        state = {f"{prefix}a.module.weight": torch.ones(2), f"{prefix}b._orig_mod.c": torch.zeros(1)}
        content = state if key is None else {key: state, "epoch": 2}
        assert load_state_dict(content, "file").keys() == {"a.module.weight", "b.c"}

    def test_a_weight_with_and_without_its_prefix(self):
        with pytest.raises(InputError, match=r"^file: expected each weight once"):
            load_state_dict({"a": torch.ones(1), "module.a": torch.ones(1)}, "file")

    def test_one_of_several_keys(self):
        content = {"model": {"b": torch.ones(1)}, "state_dict": {"a": torch.ones(1)}}
        assert load_state_dict(content, "file").keys() == {"a"}
        assert load_state_dict({"model": "resnet50", "model_state": {"a": torch.ones(1)}}, "file").keys() == {"a"}

    @pytest.mark.parametrize("prefix", ["", "module."])
    @pytest.mark.parametrize("bare", [True, False])
    def test_bare_or_not_with_prefixes_or_without(self, prefix, bare):
        state = {f"{prefix}a.module.weight": torch.ones(2)}
        content = state if bare else {"state_dict": state, "epoch": 2}
        assert load_state_dict(content, "file").keys() == {"a.module.weight"}

    @pytest.mark.parametrize(
        "content",
        [{}, {"state_dict": {}}, {"epoch": 3}, {"state_dict": [1]}, {"state_dict": 1}, {"a": torch.eye(2).to_sparse()},
         {"a": torch.empty(2, device="meta")}],
    )  # fmt: skip
    def test_no_weights(self, content):
        with pytest.raises(InputError, match="state_dict of named tensors"):
            load_state_dict(content, "file")


class TestLoadWeights:
    @pytest.mark.parametrize("prefix", ["", "module."])
    @pytest.mark.parametrize("bare", [True, False])
    def test_of_this_project(self, tmp_path, prefix, bare):
        torch.manual_seed(1)
        saved, model = _build(), _build()
        state = {prefix + name: value for name, value in saved.state_dict().items()}
        torch.save(state if bare else {"state_dict": state, "epoch": 4, "arch": TINY}, tmp_path / "a.pth")
        rest = load_weights(model, tmp_path / "a.pth")
        assert _same(model.state_dict(), saved.state_dict())
        assert rest == ({} if bare else {"epoch": 4, "arch": TINY})

    def test_counters_of_batches_may_lack(self):
        saved, model = _build(), _build()
        state = {k: v for k, v in saved.state_dict().items() if not k.endswith("num_batches_tracked")}
        load_weights(model, {"state_dict": state})
        assert torch.equal(model.head.weight, saved.head.weight)

    def test_counters_of_batches_are_kept(self):
        saved, model = _build(), _build()
        saved.backbone.bn1.num_batches_tracked.fill_(17)
        load_weights(model, {"state_dict": saved.state_dict()})
        assert model.backbone.bn1.num_batches_tracked == 17

    def _fails(self, model: nn.Module, content: dict) -> str:
        before = _copy(model)
        with pytest.raises(InputError) as caught:
            load_weights(model, content)
        assert _same(before, model.state_dict())
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def test_missing_unexpected_and_misshapen_are_named_and_nothing_is_loaded(self):
        torch.manual_seed(1)
        state = _build().state_dict()
        del state["backbone.conv1.weight"], state["backbone.layer3.0.motion.shift.weight"]
        state["backbone.surprise"] = torch.zeros(1)
        state["head.bias"] = torch.zeros(9)
        message = self._fails(_build(), {"state_dict": state})
        assert "2 missing: backbone.conv1.weight, backbone.layer3.0.motion.shift.weight" in message
        assert "1 unexpected: backbone.surprise" in message
        assert "1 misshapen: head.bias expected (5,) got (9,)" in message

    def test_long_lists_are_cut(self):
        message = self._fails(_build(), {"state_dict": {"backbone.conv1.weight": torch.zeros(64, 3, 7, 7)}})
        assert message.endswith(", ...") and len(message) < 1000

    def test_another_arch_is_said(self):
        content = {"state_dict": _build(arch="resnet10").state_dict(), "arch": "resnet10"}
        message = self._fails(_build(), content)
        wanted, got = (f"MSN with a {arch}, {CLASSES} classes" for arch in (TINY, "resnet10"))
        assert message == f"checkpoint: expected the weights of {wanted}, got those of {got}"

    def test_other_motion_modules_do_not_fit(self):
        message = self._fails(_build(motion=("stpme", "dsme")), {"state_dict": _build().state_dict()})
        assert "unexpected: backbone.layer2.0.motion.shift.weight" in message

    def test_the_file_is_named(self, tmp_path):
        torch.save({"state_dict": {"a": torch.ones(1)}}, tmp_path / "a.pth")
        with pytest.raises(InputError, match=r"/a\.pth: expected the weights of this model"):
            load_weights(_build(), tmp_path / "a.pth")

    @pytest.mark.parametrize("load", [load_weights, tune_from])
    def test_a_file_without_weights_is_named(self, tmp_path, load):
        torch.save({"epoch": 3}, tmp_path / "a.pth")
        with pytest.raises(InputError, match=r"/a\.pth: "):
            load(_build(), tmp_path / "a.pth")


class TestReference:
    """Checkpoints under the reference's names give the logits of the oracle, which loads them strictly."""

    @pytest.mark.parametrize("prefix", ["", "module."])
    def test_equal_logits(self, oracle, reference, prefix, tmp_path):
        state = {prefix + name: value for name, value in reference.items()}
        torch.save({"state_dict": state, "epoch": 60, "arch": "resnet50", "best_prec1": 50.0}, tmp_path / "a.pth")
        model = _build()
        assert load_weights(model, tmp_path / "a.pth") == {"epoch": 60, "arch": "resnet50", "best_prec1": 50.0}
        assert _error(model, oracle) < FLOAT32

    def test_a_resnet101(self):
        other = fill(MSNOracle("resnet101", CLASSES, 2)).eval()
        model = _build(arch="resnet101")
        load_weights(model, {"state_dict": other.state_dict()})
        assert _error(model, other) < FLOAT32

    def test_16_frames_in_windows_of_8(self):
        other = fill(MSNOracle(TINY, CLASSES, 16, window=8)).eval()
        model = _build(16, motion_window=8)
        load_weights(model, {"state_dict": other.state_dict()})
        assert _error(model, other, 16) < FLOAT32

    def test_a_head_named_fc_as_with_dropout_0(self, oracle, reference):
        for leaf in ("weight", "bias"):
            reference[f"base_model.fc.{leaf}"] = reference.pop(f"new_fc.{leaf}")
        model = _build()
        load_weights(model, {"state_dict": reference})
        assert _error(model, oracle) < FLOAT32

    def test_without_biases_in_front_of_batch_norms(self, reference):
        """Nothing is folded then, and the oracle agrees once its biases are zero."""
        conversion = convert_reference(reference)
        without = {name: v for name, v in reference.items() if name not in conversion.folded}
        assert convert_reference(without).folded == ()
        other, model = MSNOracle(TINY, CLASSES, 2).eval(), _build()
        other.load_state_dict(without | {name: torch.zeros_like(reference[name]) for name in conversion.folded})
        load_weights(model, {"state_dict": without})
        assert _error(model, other) < FLOAT32

    def test_biases_matter_before_they_are_folded(self, oracle, reference):
        other = MSNOracle(TINY, CLASSES, 2).eval()
        zero = {name: torch.zeros_like(reference[name]) for name in convert_reference(reference).folded}
        other.load_state_dict(reference | zero)
        assert _error(other, oracle) > 0.01

    def test_what_is_dropped_has_no_effect(self, oracle, reference):
        dropped = convert_reference(reference).dropped
        assert {name.split(".")[1] for name in dropped} == {"conv1_temp", "conv1_5", "conv_1", "conv_2"}
        other = MSNOracle(TINY, CLASSES, 2).eval()
        other.load_state_dict(reference | {k: v + 1 for k, v in reference.items() if k in dropped})
        assert _error(other, oracle) < FLOAT32

    def test_the_given_weights_are_left_alone(self, reference):
        before = {name: value.clone() for name, value in reference.items()}
        convert_reference(reference)
        assert _same(reference, before)

    def test_all_names_of_a_resnet50_find_their_place(self):
        shapes = read_shapes(GOLDEN / "msn_resnet50_reference_keys.tsv.gz")
        with torch.device("meta"):
            own = shapes_of(_build(8, "resnet50", 174))
        state = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
        conversion = convert_reference(state)
        assert {name: tuple(value.shape) for name, value in conversion.state_dict.items()} == own
        assert len(conversion.state_dict) + len(conversion.folded) + len(conversion.dropped) == len(state)

    def test_a_bias_without_its_batch_norm(self, reference):
        del reference["base_model.bn1.running_mean"]
        with pytest.raises(InputError, match=r"expected base_model\.bn1\.running_mean for base_model\.conv1\.bias"):
            convert_reference(reference)

    @pytest.mark.parametrize("bias", [torch.zeros(3), torch.zeros(64, dtype=torch.bool)])
    def test_a_bias_that_does_not_fit_its_batch_norm(self, reference, bias, tmp_path):
        reference["base_model.conv1.bias"] = bias
        torch.save(reference, tmp_path / "a.pth")
        with pytest.raises(
            InputError, match=r"a\.pth: expected base_model\.conv1\.bias like base_model\.bn1\.running_mean"
        ):
            load_weights(_build(), tmp_path / "a.pth")

    def test_is_recognised_by_its_names(self, reference):
        assert is_reference(reference) and not is_reference(_build().state_dict())

    def test_missing_parameters_are_said_by_this_projects_names(self, reference):
        del reference["base_model.layer2_bak.0.motion_layer.time_conv.weight"]
        with pytest.raises(InputError, match=r"1 missing: backbone\.layer2\.0\.motion\.dsme\.temporal\.weight"):
            load_weights(_build(), {"state_dict": reference})


class TestTuneFrom:
    def _save(self, path: Path, model: nn.Module) -> Path:
        torch.save({"state_dict": model.state_dict()}, path)
        return path

    def test_leaves_out_exactly_a_head_of_another_size(self, tmp_path):
        torch.manual_seed(1)
        saved, model = _build(classes=9), _build()
        before = _copy(model)
        assert tune_from(model, self._save(tmp_path / "a.pth", saved)) == ["head.weight", "head.bias"]
        after, expected = model.state_dict(), saved.state_dict()
        assert all(torch.equal(after[k], before[k] if k.startswith("head.") else expected[k]) for k in after)

    def test_takes_a_head_that_fits(self, tmp_path):
        torch.manual_seed(1)
        saved, model = _build(), _build()
        assert tune_from(model, self._save(tmp_path / "a.pth", saved)) == []
        assert _same(model.state_dict(), saved.state_dict())

    def test_takes_a_checkpoint_of_the_reference(self, tmp_path, oracle):
        other = fill(MSNOracle(TINY, 9, 2), seed=1)
        model = _build()
        assert tune_from(model, self._save(tmp_path / "a.pth", other)) == ["head.weight", "head.bias"]
        assert torch.equal(model.backbone.conv1.weight, other.base_model.conv1.weight)

    def test_takes_weights_without_a_head(self, tmp_path):
        torch.manual_seed(1)
        saved, model = _build(), _build()
        head = model.head.weight.clone()
        state = {k: v for k, v in saved.state_dict().items() if not k.startswith("head.")}
        torch.save(state, tmp_path / "a.pth")
        assert tune_from(model, tmp_path / "a.pth") == ["head.weight", "head.bias"]
        assert torch.equal(model.head.weight, head)
        assert torch.equal(model.backbone.conv1.weight, saved.backbone.conv1.weight)

    def test_loads_nothing_where_anything_else_differs(self, tmp_path):
        torch.manual_seed(1)
        state = _build(classes=9).state_dict()
        del state["backbone.bn1.weight"]
        torch.save(state, tmp_path / "a.pth")
        model = _build()
        before = _copy(model)
        with pytest.raises(InputError, match=r"all weights except the head's.* 1 missing: backbone\.bn1\.weight$"):
            tune_from(model, tmp_path / "a.pth")
        assert _same(model.state_dict(), before)
