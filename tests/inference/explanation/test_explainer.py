"""Explanations against what is computed in the plainest way from networks whose BatchNorms are not folded."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ops.evaluation.score_averaging import softmax
from ops.inference.explanation.class_activation import choose_layer
from ops.inference.explanation.explainer import Explainer, find_label
from ops.inference.explanation.explanation import Explanation
from ops.inference.explanation.observation import choose_blocks
from ops.inference.predictor import Predictor
from ops.models.build import build_model
from ops.models.deformable import portable
from ops.models.names import NETWORKS
from ops.models.recognizer import Recognizer
from ops.runtime.errors import InputError
from tests.inference.explanation.random_networks import CLASSES, NAMES, SEGMENTS, make_clip, random_network, save
from tests.oracle.tdn_oracle import LongTermDifference

CLOSE = 1e-4  # of the largest value: what folding BatchNorms changes in float32
LABEL = 3


class Explained(NamedTuple):
    """A network, its checkpoint, a video, its explanation (of LABEL, all blocks), and the clip (1, T, F, 3, s, s)."""

    model: Recognizer
    checkpoint: Path
    video: Path
    explanation: Explanation
    clip: Tensor


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Explained]:
    folder = tmp_path_factory.mktemp("explained")
    video, found = make_clip(folder), {}

    def explain(network: str) -> Explained:
        if network not in found:
            model = random_network(network)
            checkpoint = save(model, folder / f"{network}.pth.tar")
            explanation = Explainer(Predictor(checkpoint), NAMES[LABEL], blocks=("all",))(video)
            clip = torch.from_numpy(explanation.clip.pixels).permute(0, 1, 4, 2, 3)[None]
            found[network] = Explained(model, checkpoint, video, explanation, clip)
        return found[network]

    return explain


def assert_close(found: np.ndarray, expected: Tensor) -> None:
    assert found.shape == expected.shape
    assert np.abs(found - expected.numpy()).max() < CLOSE * expected.abs().max()


def input_of(model: Recognizer, module: torch.nn.Module, clip: Tensor) -> Tensor:
    """What goes into a module in a forward pass."""
    kept: list[Tensor] = []
    hook = module.register_forward_pre_hook(lambda module, inputs: kept.append(inputs[0].clone()))
    with torch.no_grad():
        model(clip)
    hook.remove()
    return kept[0]


@pytest.mark.parametrize("network", NETWORKS)
class TestEveryNetwork:
    def test_scores_of_segments_average_to_the_answer(self, explained, network: str) -> None:
        model, _, _, explanation, clip = explained(network)
        scores = explanation.scores
        assert scores.shape == (SEGMENTS, CLASSES) and np.abs(scores[0] - scores[1]).max() > CLOSE
        with torch.no_grad():
            assert_close(scores.mean(axis=0, keepdims=True), model(clip))
            model.consensus = "identity"
            assert_close(scores[None], model(clip))
            model.consensus = "avg"
        assert np.abs(softmax(scores.mean(axis=0)[None])[0] - explanation.answer.probabilities).max() < 1e-6
        assert explanation.class_name == NAMES[LABEL]

    def test_the_answer_is_the_predictor_s(self, explained, network: str) -> None:
        """Which reads the video in another way."""
        _, checkpoint, video, explanation, _ = explained(network)
        assert np.abs(Predictor(checkpoint)(video).probabilities - explanation.answer.probabilities).max() < 1e-6

    @pytest.mark.parametrize("layer", ["layer2", "layer4"])
    def test_class_maps_are_those_of_naive_autograd(self, explained, network: str, layer: str) -> None:
        model, checkpoint, video, _, clip = explained(network)
        explanation = Explainer(Predictor(checkpoint), str(LABEL), layer)(video)
        kept: list[Tensor] = []
        module = model.backbone.get_submodule(layer)
        hook = module.register_forward_hook(lambda module, inputs, output: kept.append(output))
        floats = ((clip - model.image_mean) / model.image_std).requires_grad_()
        logit = model(floats)[0, LABEL]
        hook.remove()
        (features,) = kept
        (gradient,) = torch.autograd.grad(logit, features)
        expected = torch.zeros(SEGMENTS, *features.shape[2:])
        for segment in range(SEGMENTS):
            for channel in range(features.shape[1]):
                weight = gradient[segment, channel].mean()
                expected[segment] += weight * features[segment, channel].detach()
        assert_close(explanation.class_maps, expected)
        if layer == "layer4":  # only means and the head come behind it: the maps are all of the logit but its bias
            total = explanation.class_maps.sum() + float(model.head.bias[LABEL])
            assert total == pytest.approx(float(logit.detach()), abs=1e-4)


class TestMSN:
    def test_branches_are_those_of_a_naive_pyramid(self, explained) -> None:
        model, _, _, explanation, clip = explained("msn")
        stem = model.backbone.stpme
        f = ((clip[0] - model.image_mean[0]) / model.image_std[0]).unbind(dim=1)  # five (T, 3, s, s)

        def pool(x: Tensor) -> Tensor:
            return F.max_pool2d(x, 3, 2, 1)

        def embed(frame: Tensor) -> Tensor:
            return F.conv2d(frame, stem.embed.weight, stride=2, padding=3)

        def long(frame: Tensor) -> Tensor:
            return F.conv2d(embed(frame), stem.long_conv.weight, padding=2)

        steps = torch.cat([f[i + 1] - f[i] for i in range(4)], dim=1)
        p1 = stem.short_bn(F.conv2d(pool(steps), stem.short_conv.weight, stride=2, padding=3)).relu()
        pairs = torch.cat([embed(f[4]) - embed(f[2]), embed(f[2]) - embed(f[0])], dim=1)
        p2 = stem.middle_bn(F.conv2d(pool(pairs), stem.middle_conv.weight, padding=2)).relu()
        p3 = pool(long(f[4]) - long(f[0]))
        for found, expected in zip(explanation.branches, (p1, p2, p3), strict=True):
            assert_close(found, expected)

    def test_offsets_are_those_that_the_convolutions_got(self, explained, monkeypatch: pytest.MonkeyPatch) -> None:
        _, checkpoint, video, explanation, _ = explained("msn")
        got: list[Tensor] = []
        real = portable.deform_conv2d

        def spy(x: Tensor, offset: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
            got.append(offset)
            return real(x, offset, weight, bias)

        monkeypatch.setattr(portable, "deform_conv2d", spy)
        Predictor(checkpoint)(video)
        assert [(o.block, o.kernel_size) for o in explanation.offsets] == [
            (f"layer{stage}.0", size) for stage in (2, 3, 4) for size in (3, 5)
        ]
        for found, expected in zip(explanation.offsets, got, strict=True):
            size = found.kernel_size
            assert found.read.tolist() == [1, 2, 3] and found.moved.shape[1:3] == (size * size, 2)
            assert np.abs(found.moved).max() > 1e-3
            assert_close(found.moved.reshape(len(found.moved), -1, *found.moved.shape[3:]), expected)

    def test_gates_are_what_the_features_are_multiplied_by(self, explained) -> None:
        model, _, _, explanation, clip = explained("msn")
        for gates in explanation.gates:
            dsme = model.backbone.get_submodule(gates.block).motion.dsme
            x = input_of(model, dsme.reduce, clip)
            with torch.no_grad():
                out = dsme(x)
            assert gates.factors.shape == x.shape[:2] and gates.maps == {}
            for segment, channel in np.ndindex(gates.factors.shape):
                alive = x[segment, channel] > 0.01
                found = (out[segment, channel] / x[segment, channel])[alive]
                assert np.allclose(found, gates.factors[segment, channel], atol=CLOSE)

    def test_windows_of_offsets(self, tmp_path: Path) -> None:
        """Segments that begin a window are aligned with nothing."""
        path = save(random_network("msn", motion_window=2), tmp_path / "a.pth.tar")
        explanation = Explainer(Predictor(path))(make_clip(tmp_path))
        assert {tuple(offsets.read) for offsets in explanation.offsets} == {(1, 3)}
        assert {len(offsets.moved) for offsets in explanation.offsets} == {2}


class TestTDN:
    def test_gates_are_those_of_the_oracle(self, explained) -> None:
        model, _, _, explanation, clip = explained("tdn")
        parts = {"conv1": "reduce", "bn1": "reduce_bn", "conv2": "align", "conv3": "expand", "bn3": "expand_bn"}
        for number, scale in ((2, "half"), (4, "full")):
            parts |= {f"{p}3_smallscale{number}": f"{scale}_scale{q}" for p, q in (("conv", ""), ("bn", "_bn"))}
        for gates in explanation.gates:
            ltdm = model.backbone.get_submodule(gates.block).motion.ltdm
            oracle = LongTermDifference(ltdm.reduce.in_channels, SEGMENTS).eval()
            for theirs, ours in parts.items():
                oracle.get_submodule(theirs).load_state_dict(ltdm.get_submodule(ours).state_dict())
            x = input_of(model, ltdm, clip)
            with torch.no_grad():
                z = oracle.bn1(oracle.conv1(x))
                q = oracle.conv2(z)
                ahead, back = torch.zeros_like(z), torch.zeros_like(z)
                for t in range(SEGMENTS - 1):
                    ahead[t] = q[t + 1] - z[t]
                    back[t + 1] = q[t] - z[t + 1]
                change = {"ahead": oracle.gate(ahead) / 2, "back": oracle.gate(back) / 2}
            change["gate"] = change["ahead"] + change["back"]
            assert_close(gates.factors - 1, change["gate"].mean(dim=(2, 3)))
            for name, expected in change.items():
                assert_close(gates.maps[name], expected.abs().mean(dim=1))


class TestWithoutMotion:
    @pytest.mark.parametrize("network", ["tsm", "tsn"])
    def test_there_are_no_motion_pictures(self, explained, network: str) -> None:
        explanation = explained(network).explanation
        assert explanation.branches is None and explanation.gates == () == explanation.offsets


class TestChoices:
    def test_frames_and_their_numbers(self, explained) -> None:
        """The middle frame of each segment is in the middle of its part of the video: 26 places in four parts."""
        clip = explained("msn").explanation.clip
        assert clip.frames[:, 0].tolist() == [3, 9, 16, 22] and clip.num_frames == 30
        assert clip.middle_frames.tolist() == [5, 11, 18, 24]
        assert (clip.middle_pictures == clip.pixels[:, 2]).all()

    def test_layers_that_are_fine_enough(self) -> None:
        sizes = {32: "layer2", 64: "layer3", 96: "layer3", 112: "layer4", 224: "layer4"}
        assert {size: choose_layer(size) for size in sizes} == sizes

    def test_classes_by_name_or_number(self) -> None:
        assert (find_label("right", NAMES), find_label("4", NAMES), find_label("1", ("2", "1"))) == (3, 4, 1)
        for wanted in ("5", "-1", "Up"):
            with pytest.raises(InputError, match=r"expected --class NAME or a number from 0 to 4 \(up, down"):
                find_label(wanted, NAMES)

    def test_blocks(self) -> None:
        model = build_model("resnet18", 2, 2, model="tdn")
        assert list(choose_blocks(model, None)) == ["layer2.1", "layer3.1", "layer4.1"]
        assert list(choose_blocks(model, ("all",))) == [f"layer{s}.{i}" for s in (2, 3, 4) for i in (0, 1)]
        assert list(choose_blocks(model, ("layer3.0",))) == ["layer3.0"]
        with pytest.raises(InputError, match=r"expected --blocks of all, layer2\.0.*, got layer1\.0"):
            choose_blocks(model, ("layer1.0",))
        with pytest.raises(InputError, match="this network has no motion module with gates, got layer2"):
            choose_blocks(build_model("resnet10", 2, 2, model="tsn"), ("layer2",))

    def test_without_a_class_the_most_probable_one_is_explained(self, explained) -> None:
        _, checkpoint, video, _, _ = explained("tsn")
        explanation = Explainer(Predictor(checkpoint))(video)
        assert explanation.label == explanation.answer.top(1)[0].label and explanation.layer == "layer3"
