"""Settings as they are saved beside a run, and what differs when it resumes."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ops.runtime import declared
from ops.settings.training import TrainConfig


def config_dict(config: Any) -> dict[str, Any]:
    """A config dataclass as JSON-able values."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [plain(v) for v in value]
        return str(value) if isinstance(value, Path) else value

    return {key: plain(value) for key, value in asdict(config).items() if key != "given"}


def config_changes(saved: Mapping[str, Any], now: Mapping[str, Any], kind: type = TrainConfig) -> list[str]:
    """Settings that two runs share and that differ, ``epochs 60 -> 80``.

    Args:
        saved, now: as ``config_dict`` gives them.
        kind: their dataclass, which says what may differ from start to start.
    """
    of_one_start = {path for path, setting, *_ in declared(kind) if setting.of_one_start} | {"read_from"}
    return sorted(_changes(saved, now, of_one_start))


def _changes(saved: Mapping[str, Any], now: Mapping[str, Any], ignored: set[str]) -> list[str]:
    changes = []
    for name in now.keys() & saved.keys() - ignored:
        old, new = saved[name], now[name]
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            changes += [f"{name}.{change}" for change in _changes(old, new, set())]
        elif old != new:
            changes.append(f"{name} {_words(old)} -> {_words(new)}")
    return changes


def _words(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(_words, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
