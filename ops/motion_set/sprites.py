"""What objects and grounds of the set `motion` look like: outlines, patterns, colours.

H x W pixels. Colours and canvases are float arrays in grey levels, 0 to 255.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from ops.motion_set.tracks import FloatArray

# Saturation and value, from and to. What moves is lighter than what rests: the sign of a change then tells an edge that
# comes from one that goes, for every class alike.
Tones = tuple[tuple[float, float], tuple[float, float]]
DARK: Tones = ((0.2, 0.1), (1.0, 0.4))
LIGHT: Tones = ((0.0, 0.7), (0.5, 1.0))
SHADING = 0.5
SUPERSAMPLING = 2
FILLED = 15 / 16  # share of a sprite's side; the rest is a transparent rim


def _regular(rng: np.random.Generator) -> FloatArray:
    corners = int(rng.integers(3, 7))
    angle = 2 * np.pi * (np.arange(corners) + rng.uniform(-0.2, 0.2, corners)) / corners
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)  # (corners, 2)


def _star(rng: np.random.Generator) -> FloatArray:
    points = int(rng.integers(4, 7))
    angle = np.pi * np.arange(2 * points) / points
    radius = np.where(np.arange(2 * points) % 2, rng.uniform(0.4, 0.6), 1.0)
    return radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)  # (2 * points, 2)


def _letter_l(rng: np.random.Generator) -> FloatArray:
    arm, foot = rng.uniform(0.7, 0.9, 2)
    return np.array([(0, 0), (arm, 0), (arm, 1.2), (2, 1.2), (2, 1.2 + foot), (0, 1.2 + foot)])


def _letter_t(rng: np.random.Generator) -> FloatArray:
    bar, stem = rng.uniform(0.6, 0.9), rng.uniform(0.35, 0.5)
    return np.array([(-1, 0), (1, 0), (1, bar), (stem, bar), (stem, 2), (-stem, 2), (-stem, bar), (-1, bar)])


def _blob(rng: np.random.Generator) -> FloatArray:
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    waves = np.arange(2, 5)[:, None]
    phase = rng.uniform(0, 2 * np.pi, (3, 1))
    radius = 1 + (rng.uniform(0.05, 0.18, (3, 1)) * np.cos(waves * angle + phase)).sum(0)  # (64,)
    return radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)  # (64, 2)


Outline = Callable[[np.random.Generator], FloatArray]
OUTLINES: tuple[Outline, ...] = (_regular, _star, _letter_l, _letter_t, _blob)


def draw_outline(rng: np.random.Generator) -> FloatArray:
    """(corners, 2) random polygon about its centre of area, its farthest corner at distance 1."""
    corners = OUTLINES[rng.integers(len(OUTLINES))](rng)
    x, y = corners.T
    next_x, next_y = np.roll(corners, -1, axis=0).T
    cross = x * next_y - next_x * y
    centre = np.array([((x + next_x) * cross).sum(), ((y + next_y) * cross).sum()]) / (3 * cross.sum())
    centred = corners - centre
    return centred / np.linalg.norm(centred, axis=1).max()


def unit_grid(shape: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
    """Coordinates from -1 to 1 down (height, 1) and across (1, width)."""
    height, width = shape
    down, across = np.linspace(-1, 1, height, dtype=np.float32), np.linspace(-1, 1, width, dtype=np.float32)
    return down[:, None], across[None, :]


def draw_pattern(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """(*shape) field in 0..1: stripes, checks, clouds or spots, of a random size and direction."""
    kind = int(rng.integers(4))
    if kind >= 2:
        cells = rng.integers(0, 256, (int(rng.integers(5, 9)),) * 2, dtype=np.uint8)
        clouds = np.asarray(Image.fromarray(cells).resize(shape[::-1], Image.Resampling.BICUBIC))
        clouds = clouds.astype(np.float32) / 255
        return clouds if kind == 2 else np.clip((clouds - 0.5) * 8 + 0.5, 0, 1)
    angle, frequency = rng.uniform(0, np.pi), rng.uniform(1.0, 2.5) * np.pi
    phase = rng.uniform(0, 2 * np.pi, 2)
    down, across = unit_grid(shape)
    wave = np.sin(frequency * (across * math.cos(angle) + down * math.sin(angle)) + phase[0])
    if kind == 1:
        wave = wave * np.sin(frequency * (down * math.cos(angle) - across * math.sin(angle)) + phase[1])
    return np.clip(2 * wave, -0.5, 0.5) + 0.5


def draw_colour(rng: np.random.Generator, avoid: FloatArray, tones: Tones) -> FloatArray:
    """(3,) random colour of `tones`: of four candidates, the one least like `avoid` (3,)."""
    (least_saturated, darkest), (most_saturated, lightest) = tones
    hsv = rng.uniform((0, least_saturated, darkest), (1, most_saturated, lightest), (4, 3))
    candidates = 255 * np.array([colorsys.hsv_to_rgb(*candidate) for candidate in hsv])  # (4, 3)
    return candidates[np.linalg.norm(candidates - avoid, axis=1).argmax()]


def paint(
    rng: np.random.Generator, shape: tuple[int, int], first: FloatArray, second: FloatArray, shading: float
) -> FloatArray:
    """(*shape, 3) random pattern from colour `first` (3,) to `second` (3,), shaded in a random direction.

    The shading, by the factors 1 - `shading` to 1 + `shading`, leaves no pattern symmetric: a turning object is seen
    to turn.
    """
    pattern = draw_pattern(rng, shape)[..., None]
    angle = rng.uniform(0, 2 * np.pi)
    down, across = unit_grid(shape)
    shade = 1 + shading * (across * math.cos(angle) + down * math.sin(angle))
    colours = first.astype(np.float32) + pattern * (second - first).astype(np.float32)
    return np.clip(colours * shade[..., None], 0, 255)


@dataclass(frozen=True, eq=False)
class Sprite:
    """A textured shape, kept at several resolutions so that it can be drawn small without aliasing.

    Args:
        levels: square RGBa pictures (premultiplied alpha), each half the side of the one before. The circle
            around the shape fills FILLED of their side.
    """

    levels: tuple[Image.Image, ...]

    @classmethod
    def draw(cls, rng: np.random.Generator, side: int, avoid: FloatArray, tones: Tones) -> Sprite:
        """Random shape and texture in colours of `tones` unlike `avoid` (3,); `side` pixels wide at its finest."""
        first = draw_colour(rng, avoid, tones)
        texture = paint(rng, (side, side), first, draw_colour(rng, first, tones), SHADING)
        corners = draw_outline(rng) * (FILLED / 2 * side) + side / 2
        points = [(float(x), float(y)) for x, y in corners]
        mask = Image.new("L", (side, side))
        ImageDraw.Draw(mask).polygon(points, fill=255)
        picture = Image.fromarray(texture.astype(np.uint8))
        rim = 255 if tones is LIGHT else 0
        ImageDraw.Draw(picture).line([*points, points[0]], fill=(rim, rim, rim), width=max(side // 24, 1))
        picture.putalpha(mask)
        finest = picture.convert("RGBa")
        return cls((finest, finest.reduce(2), finest.reduce(4)))

    def draw_on(self, canvas: FloatArray, x: float, y: float, wide: float, angle: float) -> None:
        """Draws the shape in place onto the torus `canvas` (H, W, 3).

        Args:
            x, y: centre, in pixels; need not lie inside the canvas.
            wide: diameter of the circle around the shape, in pixels.
            angle: clockwise, in radians.
        """
        height, width, _ = canvas.shape
        side = math.ceil(wide) + 2
        left, top = math.floor(x - side / 2 + 0.5), math.floor(y - side / 2 + 0.5)
        fine = wide * SUPERSAMPLING
        level = next((p for p in reversed(self.levels) if p.width * FILLED >= fine), self.levels[0])
        zoom = level.width * FILLED / fine
        cos, sin = zoom * math.cos(angle), zoom * math.sin(angle)
        centre_x, centre_y = (x - left) * SUPERSAMPLING, (y - top) * SUPERSAMPLING
        middle = level.width / 2
        to_column = (cos, sin, middle - cos * centre_x - sin * centre_y)
        to_row = (-sin, cos, middle + sin * centre_x - cos * centre_y)
        size = (side * SUPERSAMPLING, side * SUPERSAMPLING)
        affine = Image.Transform.AFFINE
        placed = level.transform(size, affine, (*to_column, *to_row), Image.Resampling.BILINEAR)
        patch = np.asarray(placed.reduce(SUPERSAMPLING), dtype=np.float32)  # (side, side, 4)
        where = np.ix_((top + np.arange(side)) % height, (left + np.arange(side)) % width)
        canvas[where] = canvas[where] * (1 - patch[..., 3:] / 255) + patch[..., :3]
