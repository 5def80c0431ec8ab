"""The contact sheet of show_clips.py: which videos of a list are on it, and its file."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ops.data import DatasetSpec, VideoSource, read_list
from ops.models import FRAMES_PER_SEGMENT
from ops.runtime import InputError, plural, print_any_name, write_atomically
from ops.video import choose_decoder
from ops.visual.contact_sheet import Sheet
from ops.visual.traced_clips import Clips, ClipSettings

LARGEST_CELL = 96  # pixels, unless another size is asked for


@dataclass(frozen=True)
class SheetOptions:
    """What a contact sheet shows, and how.

    Args:
        num_videos: how many videos are drawn at random, if ``videos`` is None.
        videos: positions in the list, from 1.
        cell: width of a picture in pixels; None for its own, at most LARGEST_CELL.
        palette: reduce the file to 256 colours.
        out: the PNG file.
    """

    num_videos: int
    videos: Sequence[int] | None
    cell: int | None
    palette: bool
    out: Path

    def __post_init__(self) -> None:
        if self.out.suffix.lower() != ".png":
            raise InputError(f"expected --out FILE.png, got {self.out}")

    def choose(self, count: int, seed: int) -> list[int]:
        """Positions in a list of ``count`` videos, from 0."""
        if self.videos is None:
            return sorted(np.random.default_rng(seed).permutation(count)[: self.num_videos].tolist())
        for position in self.videos:
            if position > count:
                raise InputError(f"expected --videos from 1 to {count}, the length of the list, got {position}")
        return [position - 1 for position in self.videos]


def show_clips(spec: DatasetSpec, path: Path, decoder: str, settings: ClipSettings, options: SheetOptions) -> None:
    """Draw what the network sees of some videos of the list ``path``, and print what was written.

    Raises:
        InputError: a video cannot be read, or the file cannot be written.
    """
    print_any_name()
    records = read_list(path, spec)
    decoder = choose_decoder(decoder) if spec.storage == "videos" else decoder
    clips = Clips(spec, VideoSource(spec, records, decoder), settings)
    cards = [clips.card(video) for video in options.choose(len(records), settings.seed)]
    heading = (
        f"{spec.name}, {path.name}: what {settings.model} sees, {settings.num_segments} segments of "
        f"{plural(FRAMES_PER_SEGMENT[settings.model], 'frame')}, {settings.input_size} x {settings.input_size} pixels, "
        f"seed {settings.seed}"
    )
    image = Sheet(heading, cards, options.cell or min(settings.input_size, LARGEST_CELL)).image
    png = io.BytesIO()
    (image.quantize(256) if options.palette else image).save(png, format="png", optimize=True)
    write_atomically(options.out, png.getvalue())
    print(f"{options.out}: {image.width} x {image.height} pixels, {len(png.getvalue()) / 1000:.0f} kB")
