"""scripts/convert_checkpoint.py, run as its users run it where that matters."""

import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ops.checkpoints.file import read_checkpoint
from ops.checkpoints.filling import load_weights
from ops.export.conversion import convert
from ops.models.build import build_model
from ops.models.names import FRAMES_PER_SEGMENT, NETWORKS
from ops.runtime.errors import InputError
from tests.commands import run_script
from tests.golden_weights import fill
from tests.oracle.msn_oracle import MSNOracle
from tests.oracle.networks import ORACLES

CLASSES, SEGMENTS = 7, 2


def _run(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    return run_script("scripts/convert_checkpoint.py", str(source), str(target), cwd=source.parent)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as the reference writes them."""
    path = tmp_path_factory.mktemp("reference") / "best.pth.tar"
    state = fill(MSNOracle("resnet50", CLASSES, SEGMENTS)).state_dict()
    content = {
        "epoch": 51,
        "arch": "resnet50",
        "state_dict": {f"module.{name}": value for name, value in state.items()},
        "optimizer": {"state": {}, "param_groups": []},
        "best_prec1": torch.tensor(47.5),
    }
    torch.save(content, path)
    return path


@pytest.fixture(scope="module")
def converted(reference: Path) -> tuple[Path, str]:
    """The converted checkpoint, and what the script said."""
    target = reference.parent / "converted.pth.tar"
    run = _run(reference, target)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    return target, run.stdout


class TestConvertCheckpoint:
    def test_gives_the_same_logits(self, reference, converted):
        clips = torch.randn((1, SEGMENTS, 5, 3, 32, 32), generator=torch.Generator().manual_seed(0))
        logits = []
        for path in (reference, converted[0]):
            model = build_model("resnet50", CLASSES, SEGMENTS).eval()
            load_weights(model, path)
            with torch.no_grad():
                logits.append(model(clips))
        assert torch.equal(*logits)

    @pytest.mark.parametrize("network", NETWORKS)
    def test_of_each_network(self, network, tmp_path):
        """A bare state, as some of them are passed on."""
        torch.save(fill(ORACLES[network]("resnet50", CLASSES, SEGMENTS)).state_dict(), tmp_path / "in.pth")
        said = convert(tmp_path / "in.pth", tmp_path / "out.pth")
        assert f"network:    {network.upper()} with a resnet50, 7 classes" in said
        clips = torch.randn((1, SEGMENTS, FRAMES_PER_SEGMENT[network], 3, 32, 32))
        logits = []
        for name in ("in.pth", "out.pth"):
            model = build_model("resnet50", CLASSES, SEGMENTS, model=network).eval()
            load_weights(model, tmp_path / name)
            with torch.no_grad():
                logits.append(model(clips))
        assert torch.equal(*logits)

    def test_from_and_to_safetensors(self, tmp_path):
        """The ending says the form; the weights are the same."""
        state = fill(MSNOracle("resnet14", CLASSES, SEGMENTS)).state_dict()
        torch.save(state, tmp_path / "in.pth")
        save_file(state, tmp_path / "in.safetensors")
        found = []
        for name in ("in.pth", "in.safetensors"):
            convert(tmp_path / name, tmp_path / f"{name}.safetensors")
            found.append(load_file(tmp_path / f"{name}.safetensors"))
        assert found[0].keys() == found[1].keys() and all(torch.equal(found[1][k], v) for k, v in found[0].items())

    def test_keeps_what_is_known_and_makes_nothing_up(self, converted):
        content = read_checkpoint(converted[0])
        with torch.device("meta"):
            names = set(build_model("resnet50", CLASSES, SEGMENTS).state_dict())
        assert set(content.pop("state_dict")) == names
        assert content == {"arch": "resnet50", "epoch": 51, "best_prec1": 47.5}

    def test_says_what_it_did(self, converted):
        """By the list of the reference's names: 948 of them, see golden/README.md."""
        said = dict(line.split(":", 1) for line in converted[1].splitlines()[1:])
        said = {key: value.strip() for key, value in said.items()}
        biases = 1 + 6 * 3 + 2 + 13 * (3 + 4) + 3  # stem, layer1 twice, downsamples, motion blocks
        assert said["folded"].startswith(f"{biases} biases")
        assert said["dropped"].startswith("10 without effect: base_model.conv1_temp.weight")
        assert said["renamed"].startswith(f"{948 - biases - 10} parameters")
        assert said["head"] == "7 classes, 2048 features"
        assert (said["arch"], said["epoch"], said["best_prec1"]) == ("resnet50", "51", "47.5")
        assert said["not kept"] == "optimizer"

    def test_refuses_to_overwrite(self, reference, tmp_path):
        target = tmp_path / "mine.pth"
        target.write_text("mine")
        run = _run(reference, target)
        assert run.returncode == 2 and run.stdout == ""
        assert run.stderr == f"error: {target}: expected the name of a new file, got one that exists\n"
        assert target.read_text() == "mine"

    def test_refuses_what_is_converted_already(self, converted, tmp_path):
        with pytest.raises(InputError, match=r"converted\.pth\.tar: .*got one that is already in this project's form"):
            convert(converted[0], tmp_path / "again.pth")
        assert not list(tmp_path.iterdir())

    def test_refuses_other_weights(self, tmp_path):
        source = tmp_path / "other.pth"
        torch.save(nn.Linear(3, 3).state_dict(), source)
        with pytest.raises(
            InputError,
            match=r"expected a published checkpoint .*, got other weights \(weight, \.\.\.\)",
        ):
            convert(source, tmp_path / "out.pth")
        assert list(tmp_path.iterdir()) == [source]

    def test_refuses_weights_of_another_arch_than_the_file_says(self, tmp_path):
        source = tmp_path / "liar.pth"
        state = fill(MSNOracle("resnet14", CLASSES, SEGMENTS)).state_dict()
        torch.save({"arch": "resnet50", "state_dict": state}, source)
        with pytest.raises(
            InputError, match=r"of a resnet50, as the checkpoint says, got those of MSN with a resnet14"
        ):
            convert(source, tmp_path / "out.pth")
        assert list(tmp_path.iterdir()) == [source]

    def test_refuses_weights_without_a_head(self, tmp_path):
        torch.save({"base_model.conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "in.pth")
        with pytest.raises(InputError, match=r"expected a head \(new_fc or base_model\.fc\), got none"):
            convert(tmp_path / "in.pth", tmp_path / "out.pth")

    def test_bare_weights_of_an_unknown_arch_convert_too(self, tmp_path):
        torch.save(fill(MSNOracle("resnet14", CLASSES, SEGMENTS)).state_dict(), tmp_path / "bare.pth")
        said = convert(tmp_path / "bare.pth", tmp_path / "out.pth")
        assert "arch:       not in the file" in said and "not kept:   nothing" in said
        assert set(read_checkpoint(tmp_path / "out.pth")) == {"state_dict"}
