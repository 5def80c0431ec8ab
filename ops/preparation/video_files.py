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
    found: list[tuple[str, ...]] = []
    others: Counter[str] = Counter()
    seen = {out.resolve()} if out is not None else set()
    folders: list[tuple[tuple[str, ...], Path]] = [((), source.resolve())]
    while folders:
        parts, real = folders.pop()
        fresh = []
        for entry in _entries(source.joinpath(*parts)):
            if _is_folder(entry):
                inside = Path(entry).resolve() if entry.is_symlink() else real / entry.name  # asks of links alone
                if inside not in seen:
                    seen.add(inside)
                    fresh.append(((*parts, entry.name), inside))
            elif is_video_name(entry.name):
                found.append((*parts, entry.name))
            else:
                others[os.path.splitext(entry.name)[1].lower()] += 1
        folders += reversed(fresh)
    return [Path(*parts) for parts in sorted(found)], others


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder and not hidden, by name; nothing where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except OSError:
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False


def describe_skipped(others: Mapping[str, int], most: int = 8) -> str:
    """``skipped 3 files without a video ending (2 .txt, 1 .csv)``."""
    ranked = sorted(others.items(), key=lambda entry: (-entry[1], entry[0]))
    named = [f"{count:,} {suffix or 'with none'}" for suffix, count in ranked[:most]]
    more = [f"{sum(count for _, count in ranked[most:]):,} others"] if len(ranked) > most else []
    return f"skipped {plural(sum(others.values()), 'file')} without a video ending ({', '.join(named + more)})"
