"""Renders the set `motion` into a folder: clips in processes, then lists; an interrupted run continues."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from ops.motion_set.clips import SPLITS, Clip, RenderConfig
from ops.runtime import Failure, InputError, attempt, plural, run_tasks, write_atomically


def list_files(config: RenderConfig) -> dict[str, list[str]]:
    """Lines of every list file, by file name."""
    lists = {"classes.txt": list(config.names)}
    for split in SPLITS:
        clips = [clip for clip in config.clips if clip.split == split]
        lists[f"{split}_videos.txt"] = [f"{clip.video} {clip.label}" for clip in clips]
        lists[f"{split}_frames.txt"] = [f"{clip.folder} {config.frames} {clip.label}" for clip in clips]
    return lists


def read_settings(path: Path) -> dict[str, int | str]:
    """The settings an earlier run left in its render.json."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected JSON, got {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: expected a JSON object, got {found!r}")
    return found


def claim_folder(config: RenderConfig) -> None:
    """Makes the folder and its render.json, or checks that what is there was made with these settings."""
    path = config.out / "render.json"
    if path.exists():
        found = read_settings(path)
        for key, value in config.settings().items():
            if found.get(key) != value:
                raise InputError(f"{path}: expected {key} {found.get(key)} as rendered there, got {value}")
        return
    foreign = [name for name in ("videos", "frames", *list_files(config)) if (config.out / name).exists()]
    if foreign:
        raise InputError(f"{config.out}: expected an empty folder or one with render.json, got {foreign[0]} without it")
    try:
        config.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{config.out}: expected a folder to write to, got {error.strerror}") from None
    write_text(path, [json.dumps(config.settings(), indent=2)])


def write_text(path: Path, lines: Sequence[str]) -> None:
    write_atomically(path, "".join(f"{line}\n" for line in lines).encode())


def write_clip(clip: Clip, threads: int) -> None:
    """Work of a process; more threads do not help a clip."""
    clip.write()


def render_clips(clips: Sequence[Clip], jobs: int) -> None:
    """Writes the clips with ``jobs`` processes (one: this one), showing progress on a terminal."""
    here = (attempt(clip, write_clip, 1) for clip in clips)
    with (
        tqdm(total=len(clips), unit="clip", disable=None, dynamic_ncols=True) as progress,
        closing(here if jobs == 1 else run_tasks(clips, write_clip, jobs, timeout=0)) as results,
    ):
        for result in results:
            if isinstance(result, Failure):
                raise InputError(
                    f"{clips[0].config.out}: expected to write {result.name}, got {result.reason}; run the "
                    f"same command to continue"
                )
            progress.update()


def render(config: RenderConfig) -> str:
    """Renders what is missing, then writes the lists. Returns one line that says what was done."""
    started = time.monotonic()
    claim_folder(config)
    clips = config.clips
    missing = [clip for clip in clips if not clip.is_finished()]
    lists = list_files(config)
    unlisted = [name for name in lists if not (config.out / name).exists()]
    if not missing and not unlisted:
        return f"nothing to render: {config.out} is complete ({plural(len(clips), 'clip')} of {config.frames} frames)"
    try:
        render_clips(missing, min(config.jobs, len(missing)) or 1)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"run the same command to continue in {config.out}") from None
    for name, lines in lists.items():
        write_text(config.out / name, lines)
    kept = f" ({plural(len(clips) - len(missing), 'clip')} already rendered)" if len(missing) < len(clips) else ""
    frames, seconds = plural(len(missing) * config.frames, "frame"), time.monotonic() - started
    return f"rendered {plural(len(missing), 'clip')}{kept}, {frames} in {seconds:.1f} s: {config.out}"


def preview(config: RenderConfig, path: Path) -> str:
    """Draws a contact sheet: a row a class, eight frames of its first clip. Returns one line."""
    first = np.linspace(0, config.frames, 4, endpoint=False).astype(int)  # (4,)
    times = np.minimum(np.stack([first, first + 4], axis=1), config.frames - 1).ravel()  # (8,)
    font = ImageFont.load_default(13)
    left, top, gap = 130, 20, 2
    wide, high = config.width + gap, config.height + gap
    sheet = Image.new("RGB", (left + wide * len(times), top + high * len(config.names)), "white")
    pen = ImageDraw.Draw(sheet)
    for column, number in enumerate(times):
        pen.text((left + column * wide, 3), f"frame {number + 1}", "black", font)
    for row, name in enumerate(config.names):
        pen.text((4, top + row * high + config.height // 2 - 8), name, "black", font)
        pictures = list(Clip(config, "train", row).pictures())
        for column, number in enumerate(times):
            sheet.paste(Image.fromarray(pictures[number]), (left + column * wide, top + row * high))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: expected a file to write, got {error.strerror}") from None
    content = io.BytesIO()
    sheet.save(content, format="png")
    write_atomically(path, content.getvalue())
    return f"drew {plural(len(config.names), 'class')}: {path}"
