"""The body of report.py: scores in, a page out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ops.evaluation import ScoredVideos, names_or_numbers, of_the_same_videos, read_scored_videos
from ops.runtime import InputError, check_writable, plural, print_any_name, report, write_atomically
from ops.settings import ReportConfig
from ops.video import choose_decoder
from ops.visual.report import contents
from ops.visual.report.examples import Group, choose_examples, videos_of
from ops.visual.report.page import render
from ops.visual.report.strips import read_strips, video_at


def write_report(config: ReportConfig) -> int:
    """Make the page, and print what it is; returns the exit status: 0, or 2 where a video could not be read.

    Raises:
        InputError: the scores cannot be read or compared, or the page cannot be written.
    """
    print_any_name()
    check_writable(config.page)
    if config.root_path is not None and not config.root_path.is_dir():
        raise InputError(f"{config.root_path}: expected the folder of the tested videos, got no such folder")
    read = [read_scored_videos(path, config.num_clips, config.num_crops, config.average) for path in config.results]
    parts = of_the_same_videos(read[0], read[1]) if len(read) == 2 else tuple(read)
    known = next((part.class_names for part in parts if part.class_names), ())
    names = names_or_numbers(config.class_names, known, parts[0].num_classes)
    groups = choose_examples(parts, config.shown)
    strips, problems, remark = _strips(config, parts[0], groups)
    for problem in problems:
        report(problem)
    folders = _folder_names(config.results)
    root, ending = _link(config, parts[0])
    page = render(
        "report.html.jinja",
        contents.data_of_videos(parts, names, folders, strips, root, ending),
        **_values(read, parts, names, folders, groups, strips, remark),
    )
    write_atomically(config.page, page)
    print(f"{config.page}: {plural(len(parts[0].labels), 'video')}, {len(page) / 1e6:.1f} MB")
    return 2 if problems else 0


def _values(
    read: Sequence[ScoredVideos], parts: Sequence[ScoredVideos], names: Sequence[str], folders: Sequence[str],
    groups: Sequence[Group], strips: dict[int, str], remark: str,
) -> dict[str, Any]:  # fmt: skip
    """What the template reads."""
    counts = [len(part.labels) for part in read]
    in_common = len(parts[0].labels)
    return {
        "title": " and ".join(folders),
        "dataset": parts[0].dataset,
        "num_videos": in_common,
        "lacking": [f"{n:,} of {name}" for n, name in zip(counts, folders, strict=True) if n != in_common],
        "folders": [
            {"name": name, "protocol": part.protocol, "tiles": contents.tiles(part),
             "pairs": contents.confused_pairs(part), "reliability": contents.reliability(part)}
            for name, part in zip(folders, parts, strict=True)
        ],
        "names": names,
        "rows": contents.class_rows(parts, names),
        "compared": contents.comparison(parts[0], parts[1]) if len(parts) == 2 else None,
        "groups": groups,
        "strips": strips,
        "strips_remark": remark,
    }  # fmt: skip


def _folder_names(paths: Sequence[Path]) -> list[str]:
    """The names of folders, or whole paths where they are called alike."""
    names = [path.resolve().name for path in paths]
    return names if len(set(names)) == len(names) else list(map(str, paths))


def _root(config: ReportConfig, part: ScoredVideos) -> Path | None:
    """The folder of the videos; where none was named, the data set's own, if its first video is there."""
    if config.root_path is not None or part.dataset is None or not part.videos:
        return config.root_path
    root = Path("data") / part.dataset
    first = root / part.videos[0]
    return root if first.is_dir() or Path(video_at(first).name).is_file() else None


def _strips(config: ReportConfig, part: ScoredVideos, groups: Sequence[Group]) -> tuple[dict[int, str], list[str], str]:
    """Frames of videos, what was wrong with some, and what the page says where there are none."""
    root, names = _root(config, part), part.videos
    if names is None:
        return {}, [], "The scores do not say which videos they are of, so no frames are shown."
    if root is None:
        looked = "" if part.dataset is None else f"not in {Path('data') / part.dataset}; "
        return (
            {},
            [],
            f"No frames are shown, as the videos were not found ({looked}--root_path DIR says where they are).",
        )
    wanted = {number: names[number] for number in videos_of(groups)}
    strips, problems = read_strips(root, wanted, choose_decoder(config.decoder))
    if problems and not strips:
        problems = [f"{problems[0]} (nor could any other of {plural(len(problems), 'video')} be read)"]
    return strips, problems, "" if strips else f"No frames are shown: none of these videos could be read in {root}."


def _link(config: ReportConfig, part: ScoredVideos) -> tuple[str | None, str]:
    """The folder of the videos as seen from the page, and what their files have behind their names."""
    root = _root(config, part)
    if root is None or not part.videos:
        return None, ""
    first = root / part.videos[0]
    ending = "" if first.is_dir() or first.suffix else ".mp4"
    return os.path.relpath(root, config.page.parent).replace(os.sep, "/"), ending
