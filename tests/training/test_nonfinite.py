"""Steps that a non-finite loss or gradient must not reach, against a run that never made them; in two processes too."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ops.runtime.errors import InputError
from ops.training.nonfinite import FiniteUpdates
from ops.training.optim import build_optimizer
from tests.processes.gloo import in_processes

NAMES = [f"v{i}.mp4" for i in range(100)]
BAD_LOSSES = (math.nan, math.inf, -math.inf)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))


def build(model: nn.Module, tolerated: int, scaler: torch.amp.GradScaler | None = None) -> FiniteUpdates:
    optimizer = build_optimizer(model, "single", 0.1, 0.9, 1e-2)
    scaler = scaler or torch.amp.GradScaler("cpu", enabled=False)
    return FiniteUpdates(model, optimizer, scaler, NAMES.__getitem__, tolerated)


def step(
    updates: FiniteUpdates, network: nn.Module, number: int, bad_loss: float | None = None, bad_gradient: bool = False,
    batches: int = 1, max_norm: float | None = 1.0, rank: int = 0,
) -> None:  # fmt: skip
    """One update from ``batches`` batches of two videos, the last of which is bad."""
    updates.begin()
    for batch in range(batches):
        generator = torch.Generator().manual_seed(1000 * rank + 10 * number + batch)
        loss = network(torch.randn(8, 4, generator=generator)).square().mean()
        if batch == batches - 1:
            if bad_loss is not None:
                loss = loss * 0 + bad_loss
            if bad_gradient:
                loss.register_hook(lambda gradient: gradient * math.inf)
        first = 10 * rank + 4 * number + 2 * batch
        updates.backward(loss, (first, first + 1), batches)
    updates.update(number, max_norm)


def state(updates: FiniteUpdates) -> list[Tensor]:
    """Parameters, batch statistics and momentum."""
    momentum = [s["momentum_buffer"] for s in updates.optimizer.state.values()]
    return [t.detach().clone() for t in (*updates.model.state_dict().values(), *momentum)]


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


class TestOneProcess:
    @pytest.mark.parametrize("bad", [*({"bad_loss": loss} for loss in BAD_LOSSES), {"bad_gradient": True}], ids=str)
    @pytest.mark.parametrize("max_norm", [1.0, None])
    @pytest.mark.parametrize("at", [0, 2])
    def test_a_bad_step_changes_nothing(self, bad: dict, max_norm: float | None, at: int) -> None:
        """The first step of all included, which makes the momentum."""
        spoiled, clean = build(network(), 1), build(network(), 1)
        for number in range(4):
            if number == at:
                before = state(spoiled)
                step(spoiled, spoiled.model, number, max_norm=max_norm, **bad)
                assert same(state(spoiled), before)
            else:
                step(spoiled, spoiled.model, number, max_norm=max_norm)
                step(clean, clean.model, number, max_norm=max_norm)
        assert same(state(spoiled), state(clean))
        assert not same(state(clean), state(build(network(), 1)))
        assert spoiled.check(100, 0) == 1 and clean.check(100, 0) == 0

    def test_like_plain_sgd_where_all_is_finite(self) -> None:
        """Clipping and momentum by the formula."""
        updates, plain = build(network(), 0), network()
        optimizer = torch.optim.SGD(plain.parameters(), 0.1, momentum=0.9, weight_decay=1e-2)
        for number in range(3):
            step(updates, updates.model, number)
            optimizer.zero_grad()
            generator = torch.Generator().manual_seed(10 * number)
            plain(torch.randn(8, 4, generator=generator)).square().mean().backward()
            nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
            optimizer.step()
        for a, b in zip(updates.model.state_dict().values(), plain.state_dict().values(), strict=True):
            assert torch.allclose(a, b, rtol=1e-6, atol=1e-7)

    def test_names_the_videos_of_the_bad_batch_alone(self) -> None:
        updates = build(network(), 0)
        step(updates, updates.model, 11, batches=2)
        step(updates, updates.model, 12, batches=2, bad_loss=math.inf)
        with pytest.raises(InputError) as caught:
            updates.check(10, 0)
        said = str(caught.value)
        assert said.startswith("epoch 2 step 3: expected a finite loss, got inf for the videos v50.mp4, v51.mp4;")
        assert "--skip_nonfinite" in said

    def test_names_all_videos_of_bad_gradients(self) -> None:
        updates = build(network(), 0)
        step(updates, updates.model, 1, batches=2, bad_gradient=True)
        with pytest.raises(
            InputError, match=r"finite gradients, got NaN or infinity for the videos v4\.mp4, v5\.mp4, v6\.mp4"
        ):
            updates.check(10, 0)

    def test_tolerates_so_many_of_a_run(self) -> None:
        updates = build(network(), 3)
        for number in (0, 1):
            step(updates, updates.model, number, bad_loss=math.nan)
        assert updates.check(10, 1) == 3
        step(updates, updates.model, 2)
        assert updates.check(10, 3) == 3
        step(updates, updates.model, 3, bad_loss=math.nan)
        with pytest.raises(InputError, match="epoch 1 step 4"):
            updates.check(10, 3)

    def test_a_scaler_deals_with_gradients_itself(self) -> None:
        """fp16: infinite gradients lower the scale and do not count; a bad loss does."""
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, enabled=True)
        updates = build(network(), 1, scaler)
        before = state(updates)[:4]
        step(updates, updates.model, 0, bad_gradient=True)
        assert scaler.get_scale() == 512 and updates.check(10, 0) == 0
        assert same(state(updates)[:2], before[:2])
        step(updates, updates.model, 1, bad_loss=math.nan)
        assert updates.check(10, 0) == 1
        assert same(state(updates)[:2], before[:2])
        step(updates, updates.model, 2)
        assert not same(state(updates)[:2], before[:2])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
class TestOnAGPU:
    @pytest.mark.parametrize("tolerated", [0, 1])
    def test_no_step_waits_for_the_device(self, tolerated: int) -> None:
        """Nor do bad steps change anything there."""
        updates = build(network().cuda(), tolerated)
        clips = torch.randn(8, 4, device="cuda")
        before = [p.detach().clone() for p in updates.model.parameters()]
        torch.cuda.set_sync_debug_mode("error")
        try:
            for factor in (1.0, math.nan):
                updates.begin()
                updates.backward(updates.model(clips).square().mean() * factor, (0, 1), 1)
                after = [p.detach().clone() for p in updates.model.parameters()]
                updates.update(0, 1.0)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert same(list(updates.model.parameters()), after) and not same(before, after)


def train_with_a_bad_batch(rank: int, folder: str) -> None:
    """Three steps in two processes; the second is bad in rank 1 only."""
    plain = network()
    model = nn.parallel.DistributedDataParallel(plain)
    updates = build(plain, 1)
    after = []
    for number in range(3):
        bad = math.nan if number == 1 and rank == 1 else None
        step(updates, model, number, bad_loss=bad, rank=rank)
        after.append([p.detach().clone() for p in plain.parameters()])
    skipped = updates.check(10, 0)
    step(updates, model, 3, bad_loss=math.inf if rank == 1 else None, rank=rank)
    try:
        updates.check(10, skipped)
    except InputError as error:
        torch.save({"after": after, "skipped": skipped, "said": str(error)}, f"{folder}/{rank}.pth")


class TestTwoProcesses:
    def test_all_skip_what_was_bad_in_one(self, tmp_path: Path) -> None:
        in_processes(2, train_with_a_bad_batch, str(tmp_path))
        first, second = (torch.load(tmp_path / f"{rank}.pth") for rank in range(2))
        assert first["skipped"] == second["skipped"] == 1
        assert all(same(a, b) for a, b in zip(first["after"], second["after"], strict=True))
        assert same(first["after"][0], first["after"][1]) and not same(first["after"][1], first["after"][2])
        expected = "epoch 1 step 4: expected a finite loss, got inf for the videos v22.mp4, v23.mp4;"
        assert first["said"].startswith(expected) and first["said"] == second["said"]
