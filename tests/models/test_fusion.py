"""A network folded for testing gives the network's results, and compiles and exports as one graph."""

import copy
from itertools import product
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ops.checkpoints.filling import load_weights
from ops.models.build import build_model
from ops.models.fusion import fuse_for_inference
from ops.models.msn import DSME
from ops.models.names import ARCHS, FRAMES_PER_SEGMENT, NETWORKS
from ops.models.recognizer import Recognizer
from ops.models.temporal_shift import TemporalShift
from tests.golden_weights import fill, relative_error
from tests.oracle.networks import ORACLES

TOLERANCE = 2e-5
BATCH_NORMS = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """An arch of one bottleneck a stage, which only the tests know."""
    monkeypatch.setitem(ARCHS, "resnet14", (ARCHS["resnet50"][0], (1, 1, 1, 1)))


def _model(arch: str = "resnet10", segments: int = 4, **settings) -> Recognizer:
    """A network of random weights, statistics and offsets."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    model = build_model(arch, 5, segments, **settings)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, BATCH_NORMS):
                module.running_mean.uniform_(-0.2, 0.2, generator=generator)
                module.running_var.uniform_(0.5, 1.5, generator=generator)
                module.weight.uniform_(0.5, 1, generator=generator)
                module.bias.uniform_(-0.2, 0.2, generator=generator)
            elif isinstance(module, TemporalShift):
                module.weight.uniform_(-0.5, 0.5, generator=generator)
            elif isinstance(module, DSME):
                for align in (module.align3, module.align5):
                    align.offset.weight.uniform_(-0.1, 0.1, generator=generator)
    return model.eval()


def _clips(network: str = "msn", segments: int = 4, size: tuple[int, int] = (32, 48)) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    shape = (2, segments, FRAMES_PER_SEGMENT[network], 3, *size)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


class TestFuseForInference:
    @pytest.mark.parametrize(
        "settings",
        [
            {},
            {"arch": "resnet50", "segments": 2},
            {"arch": "resnet18", "consensus": "identity"},
            {"motion": ()},
            {"motion": ("stpme", "shift")},
            {"motion_window": 2},
            {"model": "tdn"},
            {"model": "tdn", "arch": "resnet50", "segments": 2},
            {"model": "tdn", "motion": ("ltdm",)},
            {"model": "tsm"},
            {"model": "tsm", "arch": "resnet50", "segments": 2},
            {"model": "tsn", "arch": "resnet50"},
        ],
        ids=str,
    )
    def test_same_results(self, settings: dict) -> None:
        model = _model(**settings)
        clips = _clips(settings.get("model", "msn"), settings.get("segments", 4))
        with torch.no_grad():
            assert relative_error(fuse_for_inference(model)(clips), model(clips)) < TOLERANCE

    @pytest.mark.parametrize("network", NETWORKS)
    def test_like_the_oracle(self, network: str) -> None:
        oracle = fill(ORACLES[network]("resnet50", 7, 3)).eval()
        model = build_model("resnet50", 7, 3, model=network)
        load_weights(model, {"state_dict": oracle.state_dict()})
        shape = (1, 3, FRAMES_PER_SEGMENT[network], 3, 64, 64)
        clips = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            assert relative_error(fuse_for_inference(model)(clips), oracle(clips)) < 1e-4

    @pytest.mark.parametrize("network", NETWORKS)
    def test_only_the_temporal_batch_norms_of_msn_stay(self, network: str) -> None:
        model = _model("resnet50", 2, model=network)
        left = [name for name, m in fuse_for_inference(model).named_modules() if isinstance(m, BATCH_NORMS)]
        assert len(left) == (4 + 6 + 3 if network == "msn" else 0)
        assert all(name.endswith("dsme.temporal_bn") for name in left)

    def test_the_network_itself_stays_as_it_was(self) -> None:
        model = _model().train()
        before = copy.deepcopy(model.state_dict())
        fuse_for_inference(model)
        assert model.training
        assert all(p.requires_grad for p in model.parameters())
        after = model.state_dict()
        assert list(after) == list(before)
        assert all(torch.equal(after[name], before[name]) for name in before)

    def test_weights_lie_with_channels_innermost(self) -> None:
        fused = fuse_for_inference(_model())
        for module in fused.modules():
            if isinstance(module, nn.Conv2d):
                assert module.weight.is_contiguous(memory_format=torch.channels_last)


# Each module of a network, and each kind of block, by default; all pairs with the slow tests.
QUICK = {("msn", "resnet14"), ("tdn", "resnet10"), ("tsm", "resnet14")}
PAIRS = [pair if pair in QUICK else pytest.param(*pair, marks=pytest.mark.slow)
         for pair in product(NETWORKS, ("resnet10", "resnet14"))]  # fmt: skip


@pytest.mark.parametrize(("network", "arch"), PAIRS)
class TestGraphs:
    @pytest.fixture(autouse=True)
    def nothing_compiled(self) -> None:
        """torch.compile gives up on code that it has compiled for many other networks."""
        torch.compiler.reset()

    def test_compiles_without_graph_breaks(self, network: str, arch: str) -> None:
        fused, clips = fuse_for_inference(_model(arch, model=network)), _clips(network)
        compiled = torch.compile(fused, fullgraph=True, backend="eager")
        with torch.no_grad():
            assert relative_error(compiled(clips), fused(clips)) < TOLERANCE

    def test_trains_compiled_without_graph_breaks(self, network: str, arch: str) -> None:
        model, clips = _model(arch, model=network, dropout=0.0).train(), _clips(network)
        gradients = []
        for network in (model, torch.compile(copy.deepcopy(model), fullgraph=True, backend="eager")):
            network(clips).square().sum().backward()
            gradients.append([p.grad for p in network.parameters()])
        for got, expected in zip(*gradients, strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-6)

    @pytest.mark.filterwarnings("ignore")
    def test_exports_to_onnx(self, network: str, arch: str, tmp_path: Path) -> None:
        for package in ("onnx", "onnxscript"):
            pytest.importorskip(package)
        onnxruntime = pytest.importorskip("onnxruntime")
        fused, clips = fuse_for_inference(_model(arch, model=network)), _clips(network)
        with torch.no_grad():
            batch = ({0: torch.export.Dim("N", min=1)},)  # of any size
            program = torch.onnx.export(fused, (clips,), dynamo=True, verbose=False, dynamic_shapes=batch)
        assert program is not None
        program.save(str(tmp_path / "network.onnx"))
        session = onnxruntime.InferenceSession(str(tmp_path / "network.onnx"))
        for some in (clips, clips[:1], clips[[0, 1, 1, 0, 1]]):
            got = session.run(None, {session.get_inputs()[0].name: some.numpy()})[0]
            with torch.no_grad():
                assert relative_error(torch.from_numpy(got), fused(some)) < TOLERANCE
