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
    """While this lasts, BatchNorms count batches in copies of their statistics: they have counted this one before."""
    norms = [module for module in stage.modules() if isinstance(module, _BatchNorm) and module.training]
    counted = [dict(norm._buffers) for norm in norms]
    try:
        for norm in norms:
            norm._buffers.update(
                {name: value if value is None else value.clone() for name, value in norm._buffers.items()}
            )
        yield
    finally:
        for norm, before in zip(norms, counted, strict=True):
            norm._buffers.update(before)
