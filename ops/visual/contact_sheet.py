"""Draws a contact sheet: for each video the whole frame, when and where it is looked at, and what the network sees.

A view is drawn as a table of pictures, a segment a row, in its own colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

PAPER, INK, GREY, FAINT = "#ffffff", "#1c2430", "#68737f", "#d8dde3"
COLOURS = ("#d1571b", "#1f66b3", "#2c7f4e", "#7a4fa3")  # of the training view and the test crops
MARGIN, GAP, LINE = 24, 2, 18  # pixels: around, between pictures, of text
HEAD = 48  # what is above the pictures
OVERVIEW = 176  # width of a video's own column
ROW_LABEL = 58
BETWEEN = 26  # from a view to the next

Picture = np.ndarray  # (H, W, 3) uint8


@dataclass(frozen=True)
class View:
    """What the network sees of a video in one way of looking.

    Args:
        title: what way that is.
        remark: what became of the clip, like its new label.
        pixels: (T, F, H, W, 3) uint8.
        frames: (T, F) frames of the video, from 0.
        box: left, top, right, bottom of what is seen, as parts of the whole frame, 0 to 1.
    """

    title: str
    remark: str
    pixels: np.ndarray
    frames: np.ndarray
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Card:
    """A video and its views.

    Args:
        label: its class.
        path: as its list has it.
        num_frames: L.
        picture: its first frame of those that were read, whole.
        views: ways of looking.
    """

    label: str
    path: str
    num_frames: int
    picture: Picture
    views: tuple[View, ...]

    @property
    def size(self) -> str:
        return f"{self.picture.shape[1]} x {self.picture.shape[0]}"


def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib and knows most alphabets."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", name)), size)


class Sheet:
    """A picture that cards are drawn on.

    Args:
        heading: of the whole.
        cards: one a video.
        cell: width of a picture of a view.
    """

    def __init__(self, heading: str, cards: Sequence[Card], cell: int) -> None:
        self.cell = cell
        self.widths = [self._view_width(view) for view in cards[0].views]
        width = 2 * MARGIN + OVERVIEW + sum(BETWEEN + view_width for view_width in self.widths)
        tops = np.cumsum([MARGIN + 34, *(self._card_height(card) + MARGIN for card in cards)]).tolist()
        self.image = Image.new("RGB", (width, tops[-1]), PAPER)
        self.draw = ImageDraw.Draw(self.image)
        self.normal, self.small = font(12), font(11)
        self.bold, self.large = font(12, bold=True), font(15, bold=True)
        self._text((MARGIN, MARGIN - 6), heading, self.normal, GREY, width - 2 * MARGIN)
        for card, top in zip(cards, tops[:-1], strict=True):
            self.draw.line((MARGIN, top - 14, width - MARGIN, top - 14), FAINT)
            self._card(card, top)

    def _view_width(self, view: View) -> int:
        return ROW_LABEL + view.pixels.shape[1] * (self.cell + GAP) - GAP

    def _card_height(self, card: Card) -> int:
        rows = card.views[0].pixels.shape[0] * (self.cell + GAP) - GAP
        own = HEAD + thumbnail_height(card.picture) + LINE * (2 + len(card.views))
        return max(HEAD + rows, own)

    def _text(self, place: tuple[int, int], text: str, kind: ImageFont.FreeTypeFont, fill: str, width: int) -> None:
        """Writes a line, cut where ``width`` pixels end."""
        while kind.getlength(text) > width:
            text = text.removesuffix("…")[:-1] + "…"
        self.draw.text(place, text, fill, kind)

    def _card(self, card: Card, top: int) -> None:
        self._text((MARGIN, top), card.label, self.large, INK, OVERVIEW)
        self._text((MARGIN, top + LINE + 3), card.path, self.small, GREY, OVERVIEW)
        height = self._overview(card, top + HEAD)
        self._timeline(card, top + HEAD + height + 10)
        left = MARGIN + OVERVIEW + BETWEEN
        for view, width, colour in zip(card.views, self.widths, COLOURS, strict=False):
            self._view(view, left, top, width, colour)
            left += width + BETWEEN

    def _overview(self, card: Card, top: int) -> int:
        """The whole frame, with what each view sees of it; returns its height."""
        height = thumbnail_height(card.picture)
        self.image.paste(
            Image.fromarray(card.picture).resize((OVERVIEW, height), Image.Resampling.LANCZOS), (MARGIN, top)
        )
        scale = np.array([OVERVIEW - 1, height - 1] * 2)
        for view, colour in reversed(list(zip(card.views, COLOURS, strict=False))):
            left, upper, right, lower = (np.array(view.box).clip(0, 1) * scale).round().astype(int).tolist()
            corners = (MARGIN + left, top + upper, MARGIN + right, top + lower)
            self.draw.rectangle(corners, outline=colour, width=2)
        return height

    def _timeline(self, card: Card, top: int) -> None:
        """Which of the video's frames each view takes."""
        scale = OVERVIEW / card.num_frames
        for row, (view, colour) in enumerate(zip(card.views, COLOURS, strict=False)):
            line = top + row * LINE
            self.draw.rectangle((MARGIN, line, MARGIN + OVERVIEW - 1, line + 8), fill="#eef1f4")
            for frame in np.unique(view.frames).tolist():
                start, end = MARGIN + frame * scale, MARGIN + (frame + 1) * scale
                self.draw.rectangle((round(start), line, max(round(end) - 1, round(start)), line + 8), fill=colour)
        below = top + len(card.views) * LINE - 5
        last = str(card.num_frames)
        self.draw.text((MARGIN, below), "1", GREY, self.small)
        self.draw.text((MARGIN + OVERVIEW, below), last, GREY, self.small, anchor="ra")
        self.draw.text((MARGIN + OVERVIEW // 2, below), f"frames of {card.size}", GREY, self.small, anchor="ma")

    def _view(self, view: View, left: int, top: int, width: int, colour: str) -> None:
        start = left + ROW_LABEL
        self._text((start, top + 2), view.title, self.bold, colour, width - ROW_LABEL)
        self._text((start, top + LINE + 3), view.remark, self.normal, INK, width - ROW_LABEL)
        for row, (pictures, frames) in enumerate(zip(view.pixels, view.frames, strict=True)):
            upper = top + HEAD + row * (self.cell + GAP)
            numbers = f"{frames[0] + 1}–{frames[-1] + 1}"
            self.draw.text((start - 8, upper + self.cell // 2), numbers, GREY, self.small, anchor="rm")
            for column, picture in enumerate(pictures):
                cell = Image.fromarray(picture).resize((self.cell, self.cell), Image.Resampling.LANCZOS)
                self.image.paste(cell, (start + column * (self.cell + GAP), upper))


def thumbnail_height(picture: Picture) -> int:
    """Height of the whole frame in its column; a tall one is shortened, its shape being of no matter there."""
    return min(round(OVERVIEW * picture.shape[0] / picture.shape[1]), 2 * OVERVIEW)
