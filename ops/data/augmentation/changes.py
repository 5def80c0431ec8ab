"""Changes of a clip's pixels: drawn once a clip, then applied to all of its frames by torchvision's functions.

F frames of H x W pixels, RGB, uint8: (F, 3, H, W). Names and strengths are those of torchvision's RandAugment.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor, tensor, uint8
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as tvf

from ops.data.augmentation.spec import Blur, ColorJitter, Grayscale, Operation, RandAugment, RandomErasing

FILL = (124.0, 116.0, 104.0)  # ImageNet's mean colour: 0 once it is normalised
MOST = 30.0  # magnitude of RandAugment
# What magnitude 30 is: shears as the tangent of an angle, translations in parts of the side, rotation in degrees.
GEOMETRIC = {"ShearX": 0.3, "ShearY": 0.3, "TranslateX": 150 / 331, "TranslateY": 150 / 331, "Rotate": 30.0}
FACTORS = {"Brightness": 0.9, "Color": 0.9, "Contrast": 0.9, "Sharpness": 0.9}  # added to 1, or taken from it
OTHERS = ("Identity", "Posterize", "Solarize", "AutoContrast", "Equalize")
ERASED_RATIO = (0.3, 3.3)  # height to width
ERASING_TRIES = 10
SMALLEST_SIGMA = 0.1


class Change(NamedTuple):
    """A change that was drawn: a key of CHANGES, and the values that its function takes."""

    name: str
    values: tuple[float, ...] = ()

    def __str__(self) -> str:
        return " ".join((self.name, *(f"{value:.3g}" for value in self.values)))


def _affine(frames: Tensor, shear: Sequence[float] = (0, 0), move: Sequence[int] = (0, 0)) -> Tensor:
    """Shear, in degrees, away from the upper left corner, or move by whole pixels."""
    return tvf.affine(
        frames, angle=0, translate=list(move), scale=1, shear=list(shear), interpolation=InterpolationMode.BILINEAR,
        fill=list(FILL), center=[0.0, 0.0] if any(shear) else None,
    )  # fmt: skip


def _degrees(tangent: float) -> float:
    return math.degrees(math.atan(tangent))


def _blur(frames: Tensor, sigma: float) -> Tensor:
    kernel = 2 * math.ceil(3 * sigma) + 1
    return tvf.gaussian_blur(frames, [kernel, kernel], [sigma, sigma])


def _erase(frames: Tensor, top: float, left: float, height: float, width: float) -> Tensor:
    colour = tensor(FILL, dtype=uint8)[:, None, None]  # (3, 1, 1)
    return tvf.erase(frames, int(top), int(left), int(height), int(width), colour)


CHANGES: dict[str, Callable[..., Tensor]] = {
    "Identity": lambda frames: frames,
    "ShearX": lambda frames, amount: _affine(frames, shear=(_degrees(amount), 0)),
    "ShearY": lambda frames, amount: _affine(frames, shear=(0, _degrees(amount))),
    "TranslateX": lambda frames, pixels: _affine(frames, move=(int(pixels), 0)),
    "TranslateY": lambda frames, pixels: _affine(frames, move=(0, int(pixels))),
    "Rotate": lambda frames, degrees: tvf.rotate(
        frames, degrees, interpolation=InterpolationMode.BILINEAR, fill=list(FILL)
    ),
    "Brightness": tvf.adjust_brightness,
    "Color": tvf.adjust_saturation,
    "Contrast": tvf.adjust_contrast,
    "Sharpness": tvf.adjust_sharpness,
    "Hue": tvf.adjust_hue,
    "Posterize": lambda frames, bits: tvf.posterize(frames, int(bits)),
    "Solarize": tvf.solarize,
    "AutoContrast": tvf.autocontrast,
    "Equalize": tvf.equalize,
    "Grayscale": lambda frames: tvf.rgb_to_grayscale(frames, num_output_channels=3),
    "Blur": _blur,
    "Erase": _erase,
}


def apply_changes(frames: Tensor, changes: Sequence[Change]) -> Tensor:
    """``frames`` (F, 3, H, W) uint8 after all changes, in order."""
    for name, values in changes:
        frames = CHANGES[name](frames, *values)
    return frames


def draw_changes(
    operations: Sequence[Operation], height: int, width: int, rng: np.random.Generator
) -> tuple[Change, ...]:
    """The changes of one clip of ``height`` x ``width`` pixels, in the order of the operations."""
    return tuple(change for operation in operations for change in _draw(operation, height, width, rng))


def _draw(operation: Operation, height: int, width: int, rng: np.random.Generator) -> Iterator[Change]:
    match operation:
        case RandAugment():
            yield from _rand_augment(operation, height, width, rng)
        case ColorJitter() if rng.random() < operation.probability:
            yield from _color_jitter(operation, rng)
        case Grayscale() if rng.random() < operation.probability:
            yield Change("Grayscale")
        case Blur() if rng.random() < operation.probability:
            yield Change("Blur", (rng.uniform(SMALLEST_SIGMA, operation.sigma),))
        case RandomErasing() if rng.random() < operation.probability:
            yield from _random_erasing(operation, height, width, rng)


def _rand_augment(operation: RandAugment, height: int, width: int, rng: np.random.Generator) -> Iterator[Change]:
    names = (*(GEOMETRIC if operation.geometric else ()), *FACTORS, *OTHERS)
    part = operation.magnitude / MOST
    for index in rng.permutation(len(names))[: operation.number]:
        name = names[index]
        strength = part if rng.random() < 0.5 else -part
        if name in FACTORS:
            yield Change(name, (1 + strength * FACTORS[name],))
        elif name in GEOMETRIC:
            side = {"TranslateX": width, "TranslateY": height}.get(name, 1)
            yield Change(name, (strength * GEOMETRIC[name] * side,))
        elif name == "Posterize":
            yield Change(name, (round(8 - 4 * part),))
        else:
            yield Change(name, (255 * (1 - part),) if name == "Solarize" else ())


def _color_jitter(operation: ColorJitter, rng: np.random.Generator) -> Iterator[Change]:
    most = {"Brightness": operation.brightness, "Contrast": operation.contrast, "Color": operation.saturation}
    names = (*most, "Hue")
    for index in rng.permutation(len(names)):
        name = names[index]
        if name == "Hue" and operation.hue:
            yield Change(name, (rng.uniform(-operation.hue, operation.hue),))
        elif name != "Hue" and most[name]:
            yield Change(name, (rng.uniform(1 - most[name], 1 + most[name]),))


def _random_erasing(operation: RandomErasing, height: int, width: int, rng: np.random.Generator) -> Iterator[Change]:
    """torchvision's rectangle: one that does not fit is drawn again, and nothing is erased after ten of them."""
    for _ in range(ERASING_TRIES):
        area = height * width * rng.uniform(operation.smallest, operation.largest)
        ratio = math.exp(rng.uniform(math.log(ERASED_RATIO[0]), math.log(ERASED_RATIO[1])))
        tall, wide = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < tall < height and 0 < wide < width:
            top, left = rng.integers(height - tall + 1), rng.integers(width - wide + 1)
            yield Change("Erase", (int(top), int(left), tall, wide))
            return
