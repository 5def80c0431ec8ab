"""Top-k counts against scikit-learn, and weighted means against NumPy."""

import numpy as np
import pytest
import torch
from sklearn.metrics import top_k_accuracy_score

from ops.evaluation.metrics import RunningMean, topk_hits


class TestTopkHits:
    @pytest.mark.parametrize("classes", [3, 5, 6, 20, 174])
    @pytest.mark.parametrize("seed", range(3))
    def test_like_scikit_learn(self, classes: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        logits = torch.randn(57, classes, generator=generator)
        labels = torch.randint(classes, (57,), generator=generator)
        ks = (1, 2, 5)
        hits = topk_hits(logits, labels, ks)
        for k, got in zip(ks, hits, strict=True):
            if k >= classes:
                assert got == 57
                continue
            expected = top_k_accuracy_score(labels, logits, k=k, labels=range(classes), normalize=False)
            assert got == expected

    def test_fewer_classes_than_k(self) -> None:
        logits, labels = torch.tensor([[2.0, 1.0], [2.0, 1.0]]), torch.tensor([0, 1])
        assert [int(h) for h in topk_hits(logits, labels)] == [1, 2]

    def test_k_in_any_order(self) -> None:
        logits, labels = torch.eye(8), (torch.arange(8) + 1) % 8
        forwards, backwards = topk_hits(logits, labels, (1, 5)), topk_hits(logits, labels, (5, 1))
        assert [int(h) for h in forwards] == [int(h) for h in reversed(backwards)]

    def test_stays_a_tensor_on_the_device(self) -> None:
        assert all(isinstance(h, torch.Tensor) and h.dim() == 0 for h in topk_hits(torch.eye(6), torch.arange(6)))


class TestRunningMean:
    def test_weighted(self) -> None:
        rng = np.random.default_rng(0)
        values, counts = rng.normal(size=20), rng.integers(1, 9, 20)
        mean = RunningMean()
        for value, count in zip(values, counts, strict=True):
            mean.add(float(value), int(count))
        assert mean.mean == pytest.approx(np.average(values, weights=counts))

    def test_counts_once_by_default_and_is_zero_when_empty(self) -> None:
        mean = RunningMean()
        assert mean.mean == 0
        mean.add(2)
        mean.add(4)
        assert mean.mean == 3
