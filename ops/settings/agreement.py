"""What the processes of a run must have in common, wherever it lies on their machines: settings, lists and videos."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ops.data import DatasetSpec, VideoList, video_path
from ops.runtime import Fact, require_agreement
from ops.settings.saved import config_dict
from ops.video import require_same_frames

# What each machine may have in a place, or in a number, of its own: files are compared by content.
_OF_ONE_MACHINE = {
    "dataset.root", "dataset.train_list", "dataset.val_list", "workers", "gpus", "pretrain", "tune_from", "resume",
    "root_log", "root_model", "weights", "output_dir", "csv_file", "read_from",
}  # fmt: skip


class UsedList(NamedTuple):
    """A list of a run: what messages call it, its file, its videos."""

    name: str
    path: Path
    records: VideoList


def require_same_run(config: Any, data: DatasetSpec, lists: Sequence[UsedList]) -> None:
    """Compare settings, lists, and what is known of their videos, over all processes; every process calls it.

    Args:
        config: settings of the script.
        data: the data set of the lists.

    Raises:
        InputError: one differs.
    """
    require_agreement([*_facts(config), *(Fact(used.name, used.records.digest(), str(used.path)) for used in lists)])

    def videos() -> Iterator[Path]:
        return (video_path(record, data) for used in lists for record in used.records)

    if data.storage == "videos":
        require_same_frames([used.path for used in lists], data.root, videos)


def _facts(config: Any) -> list[Fact]:
    """The settings that all processes of a run must have in common."""

    def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
        for name, value in values.items():
            if isinstance(value, Mapping):
                yield from flat(value, f"{prefix}{name}.")
            elif prefix + name not in _OF_ONE_MACHINE:
                yield prefix + name, value

    settings = dict(flat(config_dict(config)))
    names = settings.pop("dataset.class_names")
    place = f"{config.dataset.root / 'classes.txt'} or --class_names"
    return [*(Fact(name, value) for name, value in settings.items()), Fact("class names", names, place)]
