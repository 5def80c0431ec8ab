"""A video with answers written on it: names of classes, bars and percentages in a corner."""

from bisect import bisect
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from ops.inference import Caption, Source, timed_pictures
from ops.visual.video_file import even_size, write_video

WIDEST = 0.62  # of the picture
PANEL, TRACK = (16, 20, 26, 200), (70, 78, 88, 220)
TEXT, FAINT, BAR, BEST = (255, 255, 255), (200, 207, 215), (140, 156, 173), (255, 176, 32)
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


def write_overlay(source: Source, captions: Sequence[Caption], path: Path) -> None:
    """Write a video with its answers on it; with windows, each picture has that of the window whose middle is nearest.

    Raises:
        InputError: it cannot be written.
        VideoError: the source cannot be read.
    """
    write_video(path, _captioned(source, captions))


def _captioned(source: Source, captions: Sequence[Caption]) -> Iterator[tuple[float, Image.Image]]:
    middles = [((one.start or 0) + (one.end or 0) + (two.start or 0) + (two.end or 0)) / 4
               for one, two in pairwise(captions)]  # fmt: skip
    size, panels = None, {}
    for seconds, picture in timed_pictures(source):
        size = size or even_size(picture.shape[1], picture.shape[0])
        place = bisect(middles, seconds)
        if place not in panels:
            panels = {place: draw_panel(captions[place], size)}
        image = Image.fromarray(picture)
        image = image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)
        panel = panels[place]
        image.paste(panel, (panel.height // 12, size[1] - panel.height - panel.height // 12), panel)
        yield seconds, image


def draw_panel(caption: Caption, size: tuple[int, int]) -> Image.Image:
    """The classes of a caption, a line each, with transparent ground, for a picture of ``size`` (width, height)."""
    letters = max(12, min(size) // 24)
    font, line, pad = _font(letters), round(letters * 1.5), letters // 2
    percent = round(font.getlength("100.0 %"))
    bar = 4 * letters
    room = max(4 * letters, round(WIDEST * size[0]) - percent - bar - 4 * pad)
    names = [shortened(guess.name, font, room) for guess in caption.guesses]
    width = round(max(font.getlength(name) for name in names)) + percent + bar + 4 * pad
    panel = Image.new("RGBA", (width, line * len(names) + 2 * pad))
    draw = ImageDraw.Draw(panel)
    draw.rounded_rectangle((0, 0, panel.width - 1, panel.height - 1), radius=pad, fill=PANEL)
    for row, (guess, name) in enumerate(zip(caption.guesses, names, strict=True)):
        middle = pad + line * row + line // 2
        colour = TEXT if row == 0 else FAINT
        draw.text((pad + percent, middle), f"{100 * guess.probability:.1f} %", colour, font, anchor="rm")
        left = 2 * pad + percent
        draw.rectangle((left, middle - letters // 3, left + bar, middle + letters // 3), fill=TRACK)
        if filled := round(bar * guess.probability):
            right, fill = left + filled, BEST if row == 0 else BAR
            draw.rectangle((left, middle - letters // 3, right, middle + letters // 3), fill=fill)
        draw.text((left + bar + pad, middle), name, colour, font, anchor="lm")
    return panel


@cache
def _font(size: int) -> Any:
    """DejaVu Sans, which comes with matplotlib."""
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), size)


def shortened(name: str, font: Any, room: int) -> str:
    """A name that takes at most ``room`` pixels."""
    if font.getlength(name) <= room:
        return name
    while name and font.getlength(name + ELLIPSIS) > room:
        name = name[:-1]
    return name.rstrip() + ELLIPSIS
