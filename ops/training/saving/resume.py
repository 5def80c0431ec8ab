"""Where a run starts: one decision, from facts alone, and the gathering of these facts."""

from dataclasses import dataclass
from pathlib import Path

from ops.runtime import InputError, distributed, exchange, this_process
from ops.settings import TrainConfig
from ops.training.saving.checkpoint_contents import Position, SampleOrder, progress
from ops.training.saving.checkpoint_names import BEST, Found, find, has_checkpoints, newest_checkpoint

AUTO = "auto"  # --resume auto
_ANOTHER = "--suffix NAME to start a run with another name"


@dataclass(frozen=True)
class Facts:
    """What the decision depends on.

    Args:
        resume: what --resume says: nothing, ``auto`` or a file.
        evaluate: nothing is trained; the network is only validated.
        start_epoch: what --start-epoch says.
        restarted: torchrun restarted this process after one of its processes failed.
        folder: of the run's checkpoints.
        occupied: whether it holds checkpoints, whole or not.
        has_best: whether it holds the best checkpoint.
        newest: the newest whole checkpoint in it.
        named: the checkpoint that --resume names; not looked into to evaluate it.
        order: what decides the order of samples now.
        batches: videos of one batch over all processes, of which --accumulate makes a step.
    """

    resume: str | None
    evaluate: bool
    start_epoch: int | None
    restarted: bool
    folder: Path
    occupied: bool
    has_best: bool
    newest: Found | None
    named: Found | None
    order: SampleOrder
    batches: int


@dataclass(frozen=True)
class Start:
    """Where a run starts.

    Args:
        checkpoint: the one to resume or evaluate; None starts a new run.
        epoch: epochs done.
        step: steps done of the next epoch.
        keeps_best: whether the best validation so far is one of this folder, and counts.
        same_run: whether the run of this folder continues, log included.
        whole: whether the checkpoint's position is the run's: the other names that it lost in a crash are restored.
    """

    checkpoint: Path | None
    epoch: int = 0
    step: int = 0
    keeps_best: bool = False
    same_run: bool = False
    whole: bool = False

    def position(self) -> Position:
        """Of a run that starts here, before its first validation."""
        return Position(self.epoch, self.step)


def decide(facts: Facts) -> Start:
    """Where a run starts.

    Raises:
        InputError: it would mix two runs, repeat or skip samples, or there is nothing to evaluate.
    """
    if facts.evaluate:
        return _decide_evaluation(facts)
    found = _source(facts)
    if found is None:
        return Start(None, facts.start_epoch or 0, same_run=facts.restarted)
    here = found.path.parent == facts.folder
    # A restart resumes at the run's newest checkpoint, wherever the command line made it start.
    resumes_itself = facts.restarted and here and found.epoch >= (facts.start_epoch or 0)
    moved = facts.start_epoch is not None and not resumes_itself
    epoch, step = (facts.start_epoch or 0, 0) if moved else (found.epoch, found.step)
    if not (facts.resume == AUTO or facts.restarted) or facts.start_epoch is not None:
        _refuse_other_run(facts, found.path, (epoch, step))
    whole = here and (epoch, step) == (found.epoch, found.step)
    is_best = found.best_epoch == epoch and not step
    return Start(
        found.path,
        epoch,
        _step_in_order(found, step, facts),
        keeps_best=whole and (facts.has_best or is_best),
        same_run=here,
        whole=whole,
    )


def _decide_evaluation(facts: Facts) -> Start:
    if facts.resume != AUTO:
        return Start(None if facts.resume is None else Path(facts.resume))
    if facts.newest is None:
        raise InputError(f"{facts.folder}: expected a complete checkpoint to evaluate, got none")
    return Start(facts.newest.path)


def _source(facts: Facts) -> Found | None:
    """The checkpoint to resume; a fresh run refuses a folder that holds another's."""
    if (facts.resume == AUTO or facts.restarted) and facts.newest is not None:
        return facts.newest
    if facts.resume is None and facts.occupied and not facts.restarted:
        raise InputError(
            f"{facts.folder}: expected no checkpoints, got those of an earlier run; pass --resume auto to resume it or "
            f"{_ANOTHER}"
        )
    return facts.named


def _refuse_other_run(facts: Facts, path: Path, position: tuple[int, int]) -> None:
    """A run that resumes ``path`` at ``position`` must not mix its checkpoints with those of another run."""
    newest = facts.newest
    if newest is not None and (newest[:2] > position or path.parent != facts.folder):
        raise InputError(
            f"{facts.folder}: expected no newer checkpoint than {path} and none of another run, got "
            f"{newest.path.name} (after {progress(newest.epoch, newest.step)}); "
            f"pass --resume auto to resume it or {_ANOTHER}"
        )


def _step_in_order(found: Found, step: int, facts: Facts) -> int:
    """The step of an epoch at which the run resumes: the order of its samples must be what it was.

    Where only the validation is left of the epoch, the order no longer matters.
    """
    was, now = found.order, facts.order
    if step and was.steps_per_epoch is not None and step >= was.steps_per_epoch:
        assert now.steps_per_epoch is not None
        return now.steps_per_epoch
    if not step:
        return 0
    expected = f"{found.path}: expected"
    inside = f"to resume after {progress(found.epoch, step)}, within an epoch"
    if was.global_batch_size not in (None, now.global_batch_size):
        raise InputError(
            f"{expected} {was.global_batch_size} videos per step (--batch-size x processes x --accumulate) {inside}, "
            f"got {now.global_batch_size}; {_way_out(was.global_batch_size, facts.batches)}"
        )
    if was.seed not in (None, now.seed):
        raise InputError(f"{expected} --seed {was.seed} {inside}, got {now.seed}; change it after the epoch's end")
    if was.num_videos not in (None, now.num_videos):
        raise InputError(
            f"{expected} a training list of {was.num_videos} videos {inside}, got {now.num_videos}; change it after "
            f"the epoch's end"
        )
    return step


def _way_out(step_videos: int | None, batch_videos: int) -> str:
    """How to get the same number of videos per step."""
    accumulate, rest = divmod(step_videos or 0, batch_videos)
    until = "keep the old batch size until the epoch's end"
    return f"pass --accumulate {accumulate}, or {until}" if accumulate and not rest else until


def gather_facts(config: TrainConfig, order: SampleOrder) -> Facts:
    """Look at the run's folder and at the checkpoint that --resume names, reading no more than the decision needs.

    Raises:
        InputError: the named checkpoint cannot be resumed.
    """
    folder, restarted = config.model_dir, distributed.is_restart()
    needs_newest = config.resume == AUTO if config.evaluate else config.resume is not None or restarted
    newest = newest_checkpoint(folder) if needs_newest else None
    named = None
    if config.resume not in (None, AUTO) and not config.evaluate and not (restarted and newest):
        named = find(_in_folder(Path(config.resume), folder))
    return Facts(
        resume=config.resume,
        evaluate=config.evaluate,
        start_epoch=config.start_epoch,
        restarted=restarted,
        folder=folder,
        occupied=has_checkpoints(folder),
        has_best=(folder / BEST).exists(),
        newest=newest,
        named=named,
        order=order,
        batches=config.batch_size * distributed.world_size(),
    )


def _in_folder(path: Path, folder: Path) -> Path:
    """The path as the run's folder names it, if it lies there."""
    return folder / path.name if path.parent.resolve() == folder.resolve() else path


def choose_start(config: TrainConfig, order: SampleOrder) -> Start:
    """Where this run starts, as the first process finds: the same in all of them.

    Raises:
        InputError: it cannot start there.
    """
    start = exchange.on_main(lambda: decide(gather_facts(config, order)))
    if start.checkpoint is None and (config.resume == AUTO or distributed.is_restart()):
        _require_no_run_elsewhere(config.model_dir)
    return start


def _require_no_run_elsewhere(folder: Path) -> None:
    """A run must not start anew because another machine than the one with its checkpoints has become the first."""
    is_elsewhere = distributed.is_first_of_another_machine() and has_checkpoints(folder)
    found = [place for place in exchange.from_all(this_process() if is_elsewhere else None) if place is not None]
    if found:
        raise InputError(
            f"{folder}: expected the run's checkpoints on the first machine, got them on that of {found[0]}; make it "
            f"the first one, copy the folder, or pass {_ANOTHER}"
        )
