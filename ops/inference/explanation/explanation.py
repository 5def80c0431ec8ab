"""What an explanation consists of. T segments of F frames, s x s pixels, K classes, C channels, h x w maps."""

from dataclasses import dataclass

import numpy as np

from ops.inference.answers import Answer


@dataclass(frozen=True)
class SeenClip:
    """What the network saw of a video.

    Args:
        frames: (T, F) numbers of the video's frames, from 0.
        pixels: (T, F, s, s, 3) uint8.
        num_frames: of the video.
    """

    frames: np.ndarray
    pixels: np.ndarray
    num_frames: int

    @property
    def middle_frames(self) -> np.ndarray:
        """(T,) numbers of the frames in the middle of the segments."""
        return self.frames[:, self.frames.shape[1] // 2]

    @property
    def middle_pictures(self) -> np.ndarray:
        """(T, s, s, 3) uint8: these frames."""
        return self.pixels[:, self.frames.shape[1] // 2]


@dataclass(frozen=True)
class Offsets:
    """Where a deformable convolution of DS-ME read, from its regular kernel points.

    Args:
        block: where it is, like layer2.0.
        kernel_size: k.
        read: (P,) segments that were read, from 0; each was aligned with the segment before it.
        moved: (P, k * k, 2, h, w): (dy, dx) of each kernel point, row by row, in pixels of the map.
    """

    block: str
    kernel_size: int
    read: np.ndarray
    moved: np.ndarray


@dataclass(frozen=True)
class Gates:
    """Factors by which a motion module multiplied its features, from 0.5 to 1.5; 1 changes nothing.

    Args:
        block: where the module is, like layer2.0.
        factors: (T, C); the mean over pixels where each pixel has its own.
        maps: where each pixel has its own: (T, h, w) by name, the mean over channels of how far they are from 1:
            ``ahead`` and ``back`` of the difference to the next and to the previous segment alone, ``gate`` of both.
    """

    block: str
    factors: np.ndarray
    maps: dict[str, np.ndarray]


@dataclass(frozen=True)
class Explanation:
    """What a network computed of one clip.

    Args:
        source: the video, as it was asked for.
        clip: what was seen of it.
        answer: the probabilities of all classes.
        label: the class that is explained.
        scores: (T, K), before the softmax; their mean over segments are the logits of the clip.
        layer: of the class-activation maps, like layer4.
        class_maps: (T, h, w), in units of the logit: above 0 where the features speak for the class.
        branches: (3, T, 64, h, w): P1, P2 and P3 of STP-ME; None without it.
        gates: of the blocks that were asked for; none without DS-ME or L-TDM.
        offsets: of DS-ME of the same blocks, 3 x 3 and 5 x 5 of each.
    """

    source: str
    clip: SeenClip
    answer: Answer
    label: int
    scores: np.ndarray
    layer: str
    class_maps: np.ndarray
    branches: np.ndarray | None
    gates: tuple[Gates, ...]
    offsets: tuple[Offsets, ...]

    @property
    def class_name(self) -> str:
        return self.answer.class_names[self.label]

    @property
    def probability(self) -> float:
        return float(self.answer.probabilities[self.label])
