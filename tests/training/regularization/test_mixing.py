"""Mixed clips against a naive loop, their loss, and that any number of processes mixes alike."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ops.runtime import distributed
from ops.settings.command_lines import parse_train
from ops.settings.training import TrainConfig
from ops.training.epoch import _mixed
from ops.training.losses import clip_loss
from ops.training.mixing import Mixed, draw_mixture, mix
from tests.processes.gloo import in_processes

K = 5


def batch(videos: int = 8) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (videos, 2, 1, 3, 32, 40), dtype=torch.uint8, generator=generator)
    return pixels, torch.randint(0, K, (videos,), generator=generator)


def config_of(*options: str) -> TrainConfig:
    return parse_train((
        "mine", "RGB", "--storage", "videos", "--root_path", ".", "--train_list", "a", "--val_list", "a",
        "--num_class", str(K), *options,
    ))  # fmt: skip


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.2, 0), (0, 1), (0.8, 1)])
class TestMix:
    def test_naive(self, mixup: float, cutmix: float) -> None:
        pixels, labels = batch(16)
        mixtures = [draw_mixture(mixup, cutmix, 0, step=3, pair=pair) for pair in range(8)]
        mixed = mix(pixels, labels, K, mixtures)
        kinds = set()
        for video in range(16):
            other, mixture = video ^ 1, mixtures[video // 2]
            own, foreign = pixels[video].double(), pixels[other].double()
            kinds.add(mixture.box is None)
            if mixture.box is None:
                share = mixture.share
                expected = share * own + (1 - share) * foreign
                assert (mixed.pixels[video] - expected).abs().max() <= 0.501
            else:
                top, bottom, left, right = mixture.box
                expected = own.clone()
                rows, columns = slice(round(top * 32), round(bottom * 32)), slice(round(left * 40), round(right * 40))
                expected[..., rows, columns] = foreign[..., rows, columns]
                assert torch.equal(mixed.pixels[video].double(), expected)
                share = 1 - (rows.stop - rows.start) * (columns.stop - columns.start) / (32 * 40)
            target = torch.zeros(K)
            target[labels[video]] += share
            target[labels[other]] += 1 - share
            assert torch.allclose(mixed.targets[video], target, atol=1e-6)
            assert mixed.labels[video] == (labels[video] if share >= 0.5 else labels[other])
        assert kinds == ({True} if not cutmix else {False} if not mixup else {True, False})

    def test_loss_is_that_of_both_labels(self, mixup: float, cutmix: float) -> None:
        pixels, labels = batch(2)
        mixed = mix(pixels, labels, K, [draw_mixture(mixup, cutmix, 0, 0, 0)])
        logits = torch.randn(2, 3, K, generator=torch.Generator().manual_seed(2))
        share = mixed.targets[0, labels[0]] if labels[0] != labels[1] else torch.tensor(1.0)
        own = F.cross_entropy(logits.flatten(0, 1), labels.repeat_interleave(3))
        other = F.cross_entropy(logits.flatten(0, 1), labels.flip(0).repeat_interleave(3))
        assert clip_loss(logits, mixed.targets, "nll").item() == pytest.approx(
            (share * own + (1 - share) * other).item()
        )


class TestDraws:
    def test_follow_from_seed_step_and_pair(self) -> None:
        draws = {
            (seed, step, pair): draw_mixture(0.4, 1, seed, step, pair)
            for seed in range(2) for step in range(3) for pair in range(3)
        }  # fmt: skip
        assert len(set(draws.values())) == len(draws)
        assert all(draw_mixture(0.4, 1, *key) == mixture for key, mixture in draws.items())

    def test_shares_are_of_the_beta_distribution(self) -> None:
        shares = torch.tensor([draw_mixture(2, 0, 0, step, 0).share for step in range(2000)])
        assert shares.mean().item() == pytest.approx(0.5, abs=0.02)
        assert shares.var().item() == pytest.approx(1 / 20, abs=0.005)  # 1 / (4 (2 alpha + 1))


class TestSmoothing:
    def test_naive(self) -> None:
        logits, labels = torch.randn(4, K, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 4, 2])
        target = 0.9 * F.one_hot(labels, K) + 0.1 / K
        expected = -(target * logits.log_softmax(1)).sum(1).mean()
        assert clip_loss(logits, labels, "nll", 0.1).item() == pytest.approx(expected.item())
        assert clip_loss(logits, F.one_hot(labels, K).float(), "nll", 0.1).item() == pytest.approx(expected.item())
        assert torch.equal(clip_loss(logits, labels, "nll"), F.cross_entropy(logits, labels))


OPTIONS = ("--mixup", "0.4", "--cutmix", "1")


def step_of_one_process() -> Mixed:
    pixels, labels = batch(8)
    return _mixed(pixels, labels, config_of(*OPTIONS, "-b", "8"), 7, 1)


def joined(parts: list[Mixed]) -> Mixed:
    return Mixed(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


def assert_same(one: Mixed, other: Mixed) -> None:
    assert all(torch.equal(*pair) for pair in zip(one, other, strict=True))


def share_of_a_step(rank: int, folder: str) -> None:
    """A process's half of the videos, mixed."""
    pixels, labels = batch(8)
    own = slice(4 * rank, 4 * rank + 4)
    assert distributed.world_size() == 2
    torch.save(tuple(_mixed(pixels[own], labels[own], config_of(*OPTIONS, "-b", "4"), 7, 1)), f"{folder}/{rank}.pt")


class TestProcesses:
    def test_two_mix_as_one(self, tmp_path: Path) -> None:
        in_processes(2, share_of_a_step, str(tmp_path))
        assert_same(joined([Mixed(*torch.load(tmp_path / f"{rank}.pt")) for rank in range(2)]), step_of_one_process())

    def test_accumulated_batches_mix_as_one(self) -> None:
        pixels, labels = batch(8)
        config = config_of(*OPTIONS, "-b", "2", "--accumulate", "4")
        parts = [
            _mixed(pixels[2 * n : 2 * n + 2], labels[2 * n : 2 * n + 2], config, 7, n + 1) for n in range(4)
        ]  # fmt: skip
        assert_same(joined(parts), step_of_one_process())
