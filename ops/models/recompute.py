"""Gradient checkpointing (Chen et al., 2016): a stage's inner features are computed again in the backward pass."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def recomputed(stage: nn.Module, x: Tensor) -> Tensor:
    """``stage(x)``, of which only x and the result are kept; nothing in the stage may be random."""

    def contexts() -> tuple[AbstractContextManager, AbstractContextManager]:
        return nullcontext(), _statistics_kept(stage)

    return checkpoint(stage, x, use_reentrant=False, preserve_rng_state=False, context_fn=contexts)


@contextmanager
def _statistics_kept(stage: nn.Module) -> Iterator[None]:
    """While this lasts, BatchNorms that train do not count the batch, which they have counted before."""
    norms = [module for module in stage.modules() if isinstance(module, _BatchNorm) and module.training]
    tracking = [norm.track_running_stats for norm in norms]
    try:
        for norm in norms:
            norm.track_running_stats = False
        yield
    finally:
        for norm, before in zip(norms, tracking, strict=True):
            norm.track_running_stats = before
