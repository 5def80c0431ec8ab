"""A step, against plain PyTorch."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ops.data.loaders import Batch
from ops.runtime.progress import Clock
from ops.settings.command_lines import parse_train
from ops.training.epoch import train_step
from ops.training.nonfinite import FiniteUpdates
from ops.training.optim import build_optimizer

CLASSES = 7


class Tiny(nn.Module):
    """Logits from the mean colour of a clip (N, T, F, 3, s, s)."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Linear(3, CLASSES)

    def forward(self, clips: Tensor) -> Tensor:
        return self.head(clips.float().mean(dim=(1, 2, 4, 5)) / 255)  # (N, K)


def batches(count: int, videos: int) -> list[Batch]:
    generator = torch.Generator().manual_seed(1)
    return [
        Batch(
            torch.randint(0, 256, (videos, 2, 5, 3, 8, 8), dtype=torch.uint8, generator=generator),
            torch.randint(0, CLASSES, (videos,), generator=generator),
            tuple(range(videos)),
            (),
            (),
        )
        for _ in range(count)
    ]


class TestTrainStep:
    @pytest.mark.parametrize("accumulate", [1, 3])
    def test_one_update_of_the_mean_loss(self, motion_folder: Path, accumulate: int) -> None:
        root = str(motion_folder / "data/motion")
        options = ("--root_path", root, "--accumulate", str(accumulate), "--gd", "0.05", "-b", "4")
        config = parse_train(["motion", "RGB", *options])
        model, plain = Tiny(), Tiny()
        scaler = torch.amp.GradScaler("cpu", enabled=False)
        updates = FiniteUpdates(model, build_optimizer(model, "single", 0.1, 0.9, 1e-2), scaler, str, 0)
        optimizer = torch.optim.SGD(plain.parameters(), 0.1, momentum=0.9, weight_decay=1e-2)
        made = batches(2 * accumulate, 4)
        given = iter(made)
        for step in range(2):
            clock = Clock()
            clock.start()
            sums = train_step(model, updates, given, step, config, clock)
            share = made[step * accumulate : (step + 1) * accumulate]
            pixels, labels = (torch.cat(parts) for parts in zip(*(batch[:2] for batch in share), strict=True))
            optimizer.zero_grad()
            logits = plain(pixels)
            loss = F.cross_entropy(logits, labels)
            loss.backward()
            nn.utils.clip_grad_norm_(plain.parameters(), 0.05)
            optimizer.step()
            ranked = logits.argsort(dim=1, descending=True)
            hits = [(ranked[:, :k] == labels[:, None]).any(dim=1).sum().item() for k in (1, 5)]
            videos = 4 * accumulate
            assert sums.tolist() == pytest.approx([loss.item() * videos, *hits, videos], rel=1e-5)
            for one, other in zip(model.parameters(), plain.parameters(), strict=True):
                assert torch.allclose(one, other, rtol=1e-5, atol=1e-6)
        assert next(given, None) is None
