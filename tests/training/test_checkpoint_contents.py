"""What a checkpoint holds: in the form in which it was always written, and taken back from it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ops.models.build import build_model
from ops.models.recognizer import Recognizer
from ops.runtime.errors import InputError
from ops.runtime.precision import grad_scaler
from ops.settings.command_lines import parse_train
from ops.settings.saved import config_dict
from ops.settings.training import TrainConfig
from ops.training.optim import build_optimizer
from ops.training.saving.checkpoint_contents import Position, RunState, SampleOrder, progress, saved_position
from ops.training.saving.checkpoint_names import find
from ops.training.saving.resume import Start, choose_start
from tests.log_lines import log_lines

CPU = torch.device("cpu")
ORDER = SampleOrder(4, 0, 16)
OPTIONS = (
    "--arch", "resnet10", "--num_segments", "2", "--input_size", "32", "--pretrain", "none", "-b", "4", "--epochs", "3"
)  # fmt: skip
# As the first version of this project wrote it; data set and paths are put in.
OLD_CONFIG = {
    "model": {
        "arch": "resnet10", "num_segments": 2, "motion": ["stpme", "dsme", "shift"], "motion_window": None,
        "dropout": 0.5, "consensus": "avg",
    },
    "pretrain": "none", "tune_from": None, "resume": None, "evaluate": False, "epochs": 3, "start_epoch": None,
    "batch_size": 4, "accumulate": 1, "lr": 0.01, "lr_batch_size": None, "lr_scheduler": "step",
    "lr_steps": [30, 45, 55], "lr_decay_rate": 0.1, "warmup_epoch": 0, "warmup_multiplier": 100, "momentum": 0.9,
    "weight_decay": 0.0005, "clip_gradient": None, "param_groups": "single", "partialbn": False, "loss_type": "nll",
    "input_size": 32, "dense_sample": False, "decoder": "pyav", "on_bad_video": "error", "max_bad": 0.01,
    "clip_timeout": 300, "workers": 8, "gpus": None, "amp": None, "channels_last": False, "compile": False, "seed": 0,
    "print_freq": 20, "eval_freq": 1, "save_every": None, "keep": None, "skip_nonfinite": 0, "root_log": "log",
    "root_model": "checkpoint", "suffix": None,
}  # fmt: skip


def network(seed: int) -> Recognizer:
    torch.manual_seed(seed)
    return build_model("resnet10", 8, 2)


def old_checkpoint(config: TrainConfig) -> dict[str, Any]:
    """Written by the first version after one epoch and two steps, but for the numbers in its tensors."""
    model = network(1)
    torch.manual_seed(2)
    momentum = {i: {"momentum_buffer": torch.randn_like(p)} for i, p in enumerate(model.parameters())}
    group = {
        "name": "all", "lr_mult": 1.0, "weight_decay": 0.0005, "lr": 0.01, "momentum": 0.9, "dampening": 0,
        "nesterov": False, "maximize": False, "foreach": None, "differentiable": False, "fused": True,
        "params": list(momentum),
    }  # fmt: skip
    return {
        "state_dict": model.state_dict(),
        "arch": "resnet10",
        "epoch": 1,
        "best_prec1": 14.285714285714286,
        "optimizer": {"state": momentum, "param_groups": [group]},
        "scaler": {},
        "position": {
            "epoch": 1, "step": 2, "best_top1": 14.285714285714286, "best_epoch": 1, "left_out_steps": 3,
            "global_batch_size": 4, "seed": 0, "num_videos": 16,
        },
        "config": {"dataset": config_dict(config)["dataset"], **OLD_CONFIG},
    }  # fmt: skip


def new_state(config: TrainConfig, start: Start) -> RunState:
    model = network(3)
    optimizer = build_optimizer(model, "single", 0.01, 0.9, 5e-4)
    return RunState(config, model, optimizer, grad_scaler(CPU, None), start.position(), ORDER)


def equal(one: Any, other: Any) -> bool:
    """The same keys in the same order, the same kinds, the same numbers."""
    if isinstance(one, dict):
        return list(one) == list(other) and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return torch.equal(one, other) if isinstance(one, Tensor) else type(one) is type(other) and one == other


@pytest.fixture
def config(motion_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(motion_folder / "data")
    return parse_train(["motion", "RGB", *OPTIONS, "--resume", "auto"])


class TestOldCheckpoints:
    def test_are_resumed_inside_an_epoch_and_written_as_they_were(self, config: TrainConfig) -> None:
        old = old_checkpoint(config)
        config.model_dir.mkdir(parents=True)
        path = config.model_dir / "last.pth.tar"
        torch.save(old, path)
        (config.model_dir / "best.pth.tar").touch()
        start = choose_start(config, ORDER)
        assert start == Start(path, 1, 2, keeps_best=True, same_run=True, whole=True)
        state = new_state(config, start)
        saved = torch.load(path, weights_only=True)
        state.model.load_state_dict(saved["state_dict"])
        state.restore(saved, path, start.keeps_best)
        assert state.position == Position(1, 2, 14.285714285714286, 1, 3)
        now = state.content()
        assert list(now) == [*old, "about"] and now.pop("about")["accuracy"] is None
        del now["config"], old["config"]
        old["optimizer"]["param_groups"][0]["params"] = now["optimizer"]["param_groups"][0]["params"]
        assert equal(now, {**old, "state_dict": type(now["state_dict"])(old["state_dict"])})

    def test_their_settings_are_compared(self, config: TrainConfig) -> None:
        """What has been added since then is no change."""
        old = old_checkpoint(config)
        old["config"]["lr"] = 0.02
        state = new_state(config, Start(Path("x"), 1, 2))
        with log_lines() as lines:
            state.restore(old, Path("x"), False)
        assert lines == ["resuming from x after 1 epoch and 2 steps", "settings changed since then: lr 0.02 -> 0.01"]
        assert (state.position.best_top1, state.position.best_epoch) == (None, None)


class TestSavedPosition:
    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ({"w": torch.ones(1)}, "x: expected a checkpoint with an optimiser, got weights only; pass it as --tune"),
            ({"state_dict": {"w": torch.ones(1)}, "position": {}, "optimizer": {}}, "the position of a run"),
            ({"state_dict": {}}, "x: expected a checkpoint's state_dict"),
        ],
    )
    def test_of_no_run(self, content: dict, words: str) -> None:
        with pytest.raises(InputError) as caught:
            saved_position(content, Path("x"))
        assert words in str(caught.value)


class TestPosition:
    def test_best(self) -> None:
        position = Position()
        for epoch, top1 in ((1, 40.0), (2, 40.0), (3, 41.0), (4, 12.0)):
            position.note_validation(epoch, top1)
        assert (position.best_top1, position.best_epoch) == (41.0, 3)

    def test_an_accuracy_is_that_of_these_weights(self) -> None:
        position = Position(2, 0, accuracy={"epoch": 2, "top1": 40.0})
        assert position.accuracy_here == {"epoch": 2, "top1": 40.0} and "accuracy" not in position.to_dict()
        for trained_on in (Position(2, 1, accuracy=position.accuracy), Position(3, 0, accuracy=position.accuracy)):
            assert trained_on.accuracy_here is None

    def test_in_words(self) -> None:
        words = [progress(*place) for place in ((0, 0), (1, 0), (2, 1), (0, 12))]
        assert words == ["0 epochs", "1 epoch", "2 epochs and 1 step", "0 epochs and 12 steps"]


class TestSampleOrder:
    def test_steps_per_epoch(self) -> None:
        assert [order.steps_per_epoch for order in (SampleOrder(8, 0, 35), SampleOrder(8, 0), SampleOrder())] == [
            4, None, None
        ]  # fmt: skip

    def test_found_in_a_file(self, tmp_path: Path, config: TrainConfig) -> None:
        torch.save(old_checkpoint(config), tmp_path / "old.pth.tar")
        assert find(tmp_path / "old.pth.tar").order == ORDER
