"""Scenes of the synthetic set `motion`: what a clip shows, and how the label moves it.

A scene is drawn without knowing the label; the label only decides along which of four circles its two objects
travel: position across, position down, size or angle. Every circle is entered at a uniformly random point,
and travelling along a circle leaves the uniform distribution as it is. So each frame, taken alone, is
distributed alike for all classes; only the change from frame to frame tells them apart. The picture is a
torus (what leaves on one side enters on the other); the logarithm of the size is a sawtooth, whose jump is
its wrap-around and comes at most three times in 48 frames.

F frames of H x W pixels, y pointing down. Colours and canvases are float arrays in grey levels, 0 to 255.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

FloatArray = NDArray[np.floating]

# Directions of travel along (across, down, size, angle).
DIRECTIONS: dict[str, tuple[int, int, int, int]] = {
    "left": (-1, 0, 0, 0),
    "right": (1, 0, 0, 0),
    "up": (0, -1, 0, 0),
    "down": (0, 1, 0, 0),
    "towards": (0, 0, 1, 0),
    "away": (0, 0, -1, 0),
    "clockwise": (0, 0, 0, 1),
    "anticlockwise": (0, 0, 0, -1),
}
LOCAL = tuple(DIRECTIONS)
ORDER = (
    "left then right",
    "right then left",
    "up then down",
    "down then up",
    "towards then away",
    "away then towards",
)
CLASSES: dict[str, tuple[str, ...]] = {"local": LOCAL, "order": ORDER, "all": LOCAL + ORDER}

SMALLEST, LARGEST = 0.4, 0.95  # diameter of the circle around the object, in short sides of the picture
MOVERS = 2  # objects that move, each on a track of its own
SHIFT = (1.5 / 72, 4 / 72)  # short sides a frame
GROWTH = (0.035, 0.055)  # relative, a frame
TURN = (6 / 360, 12 / 360)  # turns a frame
RESTING = (0.15, 0.4)  # diameter of the objects at rest, in short sides
JITTER = 1 / 72  # largest camera shake, in short sides
NOISE = (1.0, 4.0)  # standard deviation of the pixel noise, grey levels
# Saturation and value, from and to. What moves is lighter than what rests: the sign of a change then tells an edge that
# comes from one that goes, for every class alike.
Tones = tuple[tuple[float, float], tuple[float, float]]
DARK: Tones = ((0.2, 0.1), (1.0, 0.4))
LIGHT: Tones = ((0.0, 0.7), (0.5, 1.0))
SHADING, GROUND_SHADING = 0.5, 0.25
SUPERSAMPLING = 2
FILLED = 15 / 16  # share of a sprite's side; the rest is a transparent rim
MINIMUM_SIDE = 32  # below it the largest object would meet its own wrap-around copy


@dataclass(frozen=True, eq=False)
class Track:
    """Where an object is on its four circles, and how fast it would travel along each.

    Args:
        start: (4,) point on the circles (across, down, size, angle) at the first frame, in turns, 0 to 1.
        speed: (4,) turns a frame.
    """

    start: FloatArray
    speed: FloatArray

    @classmethod
    def draw(cls, rng: np.random.Generator, width: int, height: int) -> Track:
        """Uniform start, uniform speeds; the same speed range in pixels across and down."""
        short = min(width, height)
        speed = (
            rng.uniform(*SHIFT) * short / width,
            rng.uniform(*SHIFT) * short / height,
            math.log1p(rng.uniform(*GROWTH)) / math.log(LARGEST / SMALLEST),
            rng.uniform(*TURN),
        )
        return cls(start=rng.random(4), speed=np.array(speed))

    def states(self, name: str, frames: int) -> FloatArray:
        """(F, 4) points on the circles, in turns, when the object moves as the class `name` says.

        A class `a then b` turns round in the middle of the clip.
        """
        parts = name.split(" then ")
        first, last = np.array(DIRECTIONS[parts[0]]), np.array(DIRECTIONS[parts[-1]])
        turning_point = (frames - 1) / 2
        time = np.arange(frames)[:, None]  # (F, 1)
        before, after = np.minimum(time, turning_point), np.maximum(time - turning_point, 0)
        return (self.start + self.speed * (first * before + last * after)) % 1.0


def diameter(size: float, short: int) -> float:
    """Diameter of the circle around the object, in the unit of the short side; `size` in turns."""
    return short * SMALLEST * (LARGEST / SMALLEST) ** size


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


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything a clip shows but its motion.

    Args:
        width, height: of the picture, in pixels.
        movers: the objects that move, and start and speeds of each.
        background: at twice the resolution of the picture and wider by `margin` pixels on each side, with the
            resting objects on it.
        margin: room for the camera to shake, in pixels.
        shake: (2, 3) across and down: amplitude in pixels, frequency in cycles a frame, phase in turns.
        gain: brightness of the clip, 1 leaves it as it is.
        noise: standard deviation of the pixel noise, in grey levels.
    """

    width: int
    height: int
    movers: tuple[tuple[Sprite, Track], ...]
    background: Image.Image
    margin: int
    shake: FloatArray
    gain: float
    noise: float

    @classmethod
    def draw(cls, rng: np.random.Generator, width: int, height: int) -> Scene:
        """A random scene. It cannot depend on the class, which it is not told."""
        short = min(width, height)
        tracks = [Track.draw(rng, width, height) for _ in range(MOVERS)]
        margin = math.ceil(JITTER * short) + 1
        wide, high = 2 * (width + 2 * margin), 2 * (height + 2 * margin)
        ground = draw_colour(rng, np.full(3, 255 * rng.random()), DARK)
        blend = ground + rng.uniform(0.2, 0.4) * (draw_colour(rng, ground, DARK) - ground)
        canvas = paint(rng, (high, wide), ground, blend, GROUND_SHADING)
        side = 4 * math.ceil(SUPERSAMPLING * LARGEST * short / FILLED / 4)
        for _ in range(rng.integers(0, 3)):
            resting = Sprite.draw(rng, side, ground, DARK)
            x, y, angle = rng.random(3) * (wide, high, 2 * math.pi)
            resting.draw_on(canvas, x, y, 2 * short * rng.uniform(*RESTING), angle)
        amplitude = rng.uniform(0, JITTER * short, 2)
        shake = np.stack([amplitude, rng.uniform(1 / 40, 1 / 12, 2), rng.random(2)], axis=1)  # (2, 3)
        return cls(
            width=width,
            height=height,
            movers=tuple((Sprite.draw(rng, side, ground, LIGHT), track) for track in tracks),
            background=Image.fromarray(canvas.astype(np.uint8)),
            margin=margin,
            shake=shake,
            gain=rng.uniform(0.8, 1.15),
            noise=rng.uniform(*NOISE),
        )

    def play(self, name: str, frames: int, rng: np.random.Generator) -> Iterator[NDArray[np.uint8]]:
        """Yields F frames (H, W, 3) in which the objects move as `name` says; `rng` draws the noise."""
        amplitude, frequency, phase = self.shake.T
        short = min(self.width, self.height)
        states = [track.states(name, frames) for _, track in self.movers]
        for time in range(frames):
            dx, dy = amplitude * np.sin(2 * np.pi * (frequency * time + phase))
            left, top = 2 * (self.margin - dx), 2 * (self.margin - dy)
            box = (left, top, left + 2 * self.width, top + 2 * self.height)
            still = self.background.resize((self.width, self.height), Image.Resampling.HAMMING, box)
            canvas = np.array(still, dtype=np.float32)  # (H, W, 3)
            for (sprite, _), state in zip(self.movers, states, strict=True):
                across, down, size, turn = state[time]
                x, y = across * self.width + dx, down * self.height + dy
                sprite.draw_on(canvas, x, y, diameter(size, short), 2 * np.pi * turn)
            grain = self.noise * rng.standard_normal(canvas.shape, dtype=np.float32)
            yield np.clip(canvas * self.gain + grain + 0.5, 0, 255).astype(np.uint8)
