"""Writing a run's state: under which names, and on which process."""

from ops.runtime import exchange
from ops.training.nonfinite import FiniteUpdates
from ops.training.saving.checkpoint_contents import Position, RunState
from ops.training.saving.checkpoint_names import BEST, LAST, drop_epochs, epoch_name, name_again, write_run


def names_of(position: Position) -> tuple[str, ...]:
    """What the state at a position is called beside ``last.pth.tar``."""
    if position.step or not position.epoch:
        return ()
    best = (BEST,) if position.epoch == position.best_epoch else ()
    return (epoch_name(position.epoch), *best)


class Saver:
    """Writes the state of a run, on the first process; every process must call it.

    Args:
        state: what is written.
        updates: of its weights, which are finite before they are written.
        steps_per_epoch: steps of an epoch.
    """

    def __init__(self, state: RunState, updates: FiniteUpdates, steps_per_epoch: int) -> None:
        self.state = state
        self.updates = updates
        self.steps_per_epoch = steps_per_epoch

    def __call__(self) -> tuple[str, ...]:
        """Write the state; returns its names.

        Raises:
            InputError: too many updates were not finite, or it cannot be written.
        """
        position = self.state.position
        position.left_out_steps = self.updates.check(self.steps_per_epoch, position.left_out_steps)
        names = names_of(position)
        exchange.on_main(lambda: self._write(names))
        return (*names, LAST)

    def _write(self, names: tuple[str, ...]) -> None:
        config = self.state.config
        write_run(config.model_dir, self.state.content(), names)
        if config.keep is not None:
            drop_epochs(config.model_dir, config.keep)

    def complete(self, name: str) -> None:
        """Give a checkpoint of the state as it is now the names that it lost in a crash."""
        path, names = self.state.config.model_dir / name, names_of(self.state.position)
        exchange.on_main(lambda: name_again(path, names))
