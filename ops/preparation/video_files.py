"""Video files in a folder, recognised by the endings of their names."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from ops.runtime import plural
from ops.video import is_video_name


def find_videos(source: Path, out: Path | None = None) -> tuple[list[Path], Counter[str]]:
    """Paths of the videos in ``source``, relative to it and in order, and how many other files have which ending.

    Hidden files and folders and the folder ``out`` are skipped; links to folders are followed, each folder once.
    """
    found: list[tuple[list[str], str]] = []
    top = os.fspath(source)
    others: Counter[str] = Counter()
    seen = {out.resolve()} if out is not None else set()
    for folder, subfolders, names in os.walk(source, followlinks=True):
        fresh = []
        for name in sorted(subfolders):
            real = Path(folder, name).resolve()
            if not name.startswith(".") and real not in seen:
                seen.add(real)
                fresh.append(name)
        subfolders[:] = fresh
        parts = [] if folder == top else os.path.relpath(folder, top).split(os.sep)
        for name in names:
            if is_video_name(name) and not name.startswith("."):
                found.append((parts, name))
            elif not name.startswith("."):
                others[os.path.splitext(name)[1].lower()] += 1
    return [Path(*parts) for parts in sorted([*folders, name] for folders, name in found)], others


def describe_skipped(others: Mapping[str, int], most: int = 8) -> str:
    """``skipped 3 files without a video ending (2 .txt, 1 .csv)``."""
    ranked = sorted(others.items(), key=lambda entry: (-entry[1], entry[0]))
    named = [f"{count:,} {suffix or 'with none'}" for suffix, count in ranked[:most]]
    more = [f"{sum(count for _, count in ranked[most:]):,} others"] if len(ranked) > most else []
    return f"skipped {plural(sum(others.values()), 'file')} without a video ending ({', '.join(named + more)})"
