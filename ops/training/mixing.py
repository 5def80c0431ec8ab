"""Mixing training clips in pairs: mixup (Zhang et al., ICLR 2018) and CutMix (Yun et al., ICCV 2019).

N videos a batch, T segments of F frames, s x s pixels, K classes. Neighbours in the order of samples, which is random
itself, are a pair: each becomes a mixture in which its own share is that which was drawn for the pair. A pair lies on
one process, and its draw follows from (seed, step, place in the global batch): any number of processes mixes alike.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

_OF_MIXING = 1_000  # in seeds, apart from those of samples: (seed, epoch, video, tries below 101)


class Mixture(NamedTuple):
    """How the two clips of a pair are mixed.

    Args:
        share: of a clip in its own mixture, 0 to 1; with a rectangle, as long as that is not rounded to pixels.
        box: top, bottom, left, right of the rectangle that is exchanged, in parts of the side; None blends.
    """

    share: float
    box: tuple[float, float, float, float] | None = None

    def pixels(self, height: int, width: int) -> tuple[slice, slice]:
        """Rows and columns of the rectangle."""
        assert self.box is not None
        top, bottom, left, right = self.box
        return slice(round(top * height), round(bottom * height)), slice(round(left * width), round(right * width))


class Mixed(NamedTuple):
    """pixels (N, T, F, 3, s, s) uint8; targets (N, K), which sum to 1; labels (N,), of the larger share."""

    pixels: Tensor
    targets: Tensor
    labels: Tensor


def draw_mixture(mixup: float, cutmix: float, seed: int, step: int, pair: int) -> Mixture:
    """The mixture of a pair; of both kinds, each is drawn half of the time.

    Args:
        mixup, cutmix: parameter of the Beta distribution of shares; 0 for none of that kind.
        step: steps of the run before this one.
        pair: its place in the global batch of the step.
    """
    rng = np.random.default_rng((seed, step, pair, _OF_MIXING))
    cuts = bool(rng.random() < 0.5) if mixup and cutmix else not mixup
    alpha = cutmix if cuts else mixup
    share = float(rng.beta(alpha, alpha))
    if not cuts:
        return Mixture(share)
    half = math.sqrt(1 - share) / 2
    y, x = rng.random(2).tolist()  # the centre of the rectangle, which ends at the edge of the frame
    return Mixture(share, (max(y - half, 0), min(y + half, 1), max(x - half, 0), min(x + half, 1)))


def mix(pixels: Tensor, labels: Tensor, num_classes: int, mixtures: Sequence[Mixture]) -> Mixed:
    """Mix each clip with its neighbour.

    Shape:
        pixels: (N, T, F, 3, s, s) uint8; labels: (N,); mixtures: N / 2
    """
    height, width = pixels.shape[-2:]
    mixed, shares = torch.empty_like(pixels), []
    for number, mixture in enumerate(mixtures):
        pair = pixels[2 * number : 2 * number + 2]  # (2, T, F, 3, s, s)
        into = mixed[2 * number : 2 * number + 2]
        if mixture.box is None:
            into.copy_(torch.lerp(pair.flip(0).float(), pair.float(), mixture.share).round_())
            shares.append(mixture.share)
        else:
            rows, columns = mixture.pixels(height, width)
            into.copy_(pair)
            into[..., rows, columns] = pair.flip(0)[..., rows, columns]
            shares.append(1 - (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width))
    share = torch.tensor(shares, device=labels.device).repeat_interleave(2)  # (N,)
    others = labels.unflatten(0, (-1, 2)).flip(1).flatten()  # (N,)
    own, other = (F.one_hot(each, num_classes).float() for each in (labels, others))  # (N, K)
    targets = torch.lerp(other, own, share[:, None])
    return Mixed(mixed, targets, torch.where(share < 0.5, others, labels))
