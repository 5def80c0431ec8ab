"""average_checkpoints.py: the mean of weights, batch statistics measured again, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ops.checkpoints import read_checkpoint
from ops.data import DatasetOptions
from ops.models import build_model
from ops.runtime.errors import InputError
from ops.training import averaging
from ops.training.averaging import AverageOptions, average_checkpoints, mean_weights
from tests.commands import run_script, succeeded

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def checkpoints(trained_folder: Path) -> list[Path]:
    (folder,) = (trained_folder / "checkpoint").glob("MSN_motion_RGB_*segment2")
    return [folder / f"{epoch}_epoch_ckpt.pth.tar" for epoch in (1, 2)]


def options_of(checkpoints: list[Path], out: Path, root: Path, **changes: object) -> AverageOptions:
    data = DatasetOptions(name="", root_path=str(root))
    values = {"checkpoints": checkpoints, "out": out, "weights_kind": "raw", "decoder": "pyav", "num_videos": 8,
              "data": data, "batch_size": 4, "workers": 0, "seed": 0}  # fmt: skip
    return AverageOptions(**values | changes)  # type: ignore[arg-type]


class TestAverage:
    def test_weights_and_statistics(
        self, checkpoints: list[Path], trained_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen = []
        clips_of = averaging._clips
        monkeypatch.setattr(averaging, "_clips", lambda *a: (seen.append(clips) or clips for clips in clips_of(*a)))
        root = trained_folder / "data/motion"
        said = average_checkpoints(options_of(checkpoints, tmp_path / "a.pth.tar", root), CPU)
        assert "the mean of 2 checkpoints (raw weights), batch statistics of 8 training videos" in said
        content = read_checkpoint(tmp_path / "a.pth.tar")
        states = [read_checkpoint(path)["state_dict"] for path in checkpoints]
        got = content["state_dict"]
        for name, value in got.items():
            if "running" not in name and "num_batches" not in name:
                mean = np.mean([state[name].double().numpy() for state in states], axis=0)
                assert np.allclose(value.double().numpy(), mean, atol=1e-6), name
        model = build_model("resnet10", 8, 2).train()
        model.load_state_dict(got)
        inputs: list[torch.Tensor] = []
        model.backbone.bn1.register_forward_hook(lambda module, given, result: inputs.append(given[0].detach()))
        for clips in seen:
            model(clips)
        assert [len(clips) for clips in seen] == [4, 4]
        means = torch.stack([each.mean(dim=(0, 2, 3)) for each in inputs]).mean(0)
        assert torch.allclose(got["backbone.bn1.running_mean"], means, atol=1e-5)
        assert content["about"]["accuracy"] is None and content["about"]["dataset"] == "motion"

    def test_command_and_its_result_is_tested(
        self, checkpoints: list[Path], trained_folder: Path, tmp_path: Path
    ) -> None:
        out = ("--out", str(tmp_path / "a.pth.tar"), "--num_videos", "8", "--batch_size", "4", "-j", "0")
        succeeded(run_script("scripts/average_checkpoints.py", *map(str, checkpoints), *out, cwd=trained_folder))
        test = ("--weights", str(tmp_path / "a.pth.tar"), "--output_dir", str(tmp_path / "scores"), "-j", "0")
        said = succeeded(run_script("test_models_center_crop.py", *test, cwd=trained_folder))
        assert "a.pth.tar (epoch unknown)" in said
        again = run_script("scripts/average_checkpoints.py", str(checkpoints[0]), *out, cwd=trained_folder)
        assert again.returncode == 2 and "expected --out to name a new file" in again.stderr
        assert again.stderr.count("\n") == 1


class TestRefused:
    def test_other_weights(self) -> None:
        with pytest.raises(InputError, match="b: expected weights of the same network and classes as a, got others"):
            mean_weights([{"w": torch.zeros(2)}, {"w": torch.zeros(3)}], [Path("a"), Path("b")])

    def test_no_average(self, checkpoints: list[Path], tmp_path: Path) -> None:
        options = options_of(checkpoints, tmp_path / "a.pth.tar", tmp_path, weights_kind="ema")
        with pytest.raises(InputError, match="expected averaged weights"):
            average_checkpoints(options, CPU)

    def test_no_clips(self, checkpoints: list[Path], tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"train_videos\.txt"):
            average_checkpoints(options_of(checkpoints, tmp_path / "a.pth.tar", tmp_path), CPU)
        assert not list(tmp_path.iterdir())
