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

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ops.motion_set.sprites import DARK, FILLED, LIGHT, SUPERSAMPLING, Sprite, draw_colour, paint
from ops.motion_set.tracks import LARGEST, FloatArray, Track, diameter

MOVERS = 2  # objects that move, each on a track of its own
RESTING = (0.15, 0.4)  # diameter of the objects at rest, in short sides
JITTER = 1 / 72  # largest camera shake, in short sides
NOISE = (1.0, 4.0)  # standard deviation of the pixel noise, grey levels
GROUND_SHADING = 0.25
MINIMUM_SIDE = 32  # below it the largest object would meet its own wrap-around copy


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
