"""Which frames of a video the network sees.

L frames in the video, T segments, F = 5 consecutive frames a segment, clip c of K. A segment is named by its first
frame, its offset; n = max(L - F + 1, 1) offsets exist. The sparse rules are those of temporal segment networks
(Wang et al., TSN, ECCV 2016); the dense ones those of non-local networks as TSM uses them. Everything here is a
pure function of its arguments; random rules take their generator.
"""

from dataclasses import dataclass

import numpy as np

FRAMES_PER_SEGMENT = 5
DENSE_SPAN = 64


def num_offsets(num_frames: int) -> int:
    """n: how many offsets a segment can have in a video of ``num_frames`` frames, at least 1."""
    return max(num_frames - FRAMES_PER_SEGMENT + 1, 1)


def train_offsets(num_frames: int, num_segments: int, rng: np.random.Generator) -> np.ndarray:
    """One random offset in each of T equal parts; sorted draws when the video is shorter than that. Shape (T,)."""
    n = num_offsets(num_frames)
    part = n // num_segments
    if part > 0:
        return np.arange(num_segments) * part + rng.integers(0, part, num_segments)
    return np.sort(rng.integers(0, n, num_segments))


def clip_offsets(num_frames: int, num_segments: int, clip: int = 0, num_clips: int = 1) -> np.ndarray:
    """Offsets of clip c of K, evenly spread: floor(k*d + (c + 1/2) * d / K) with d = n / T. Shape (T,).

    The default, the only clip of one, is the centre of each part: floor((k + 1/2) * n / T), the rule of validation.
    """
    n = num_offsets(num_frames)
    k = np.arange(num_segments, dtype=np.int64)
    return n * (2 * num_clips * k + 2 * clip + 1) // (2 * num_clips * num_segments)


def dense_offsets(num_frames: int, num_segments: int, start: int) -> np.ndarray:
    """T offsets at a stride of 64 // T frames from ``start``, around the end of the video. Shape (T,)."""
    stride = DENSE_SPAN // num_segments
    return (start + stride * np.arange(num_segments)) % num_frames


def num_dense_starts(num_frames: int) -> int:
    """How many starts a dense clip of 64 frames can have, at least 1."""
    return max(num_frames - DENSE_SPAN, 0) + 1


def dense_clip_start(num_frames: int, clip: int, num_clips: int) -> int:
    """Start of dense clip c of K: the centre of the c-th of K equal parts of the possible starts."""
    return num_dense_starts(num_frames) * (2 * clip + 1) // (2 * num_clips)


def segment_frames(offsets: np.ndarray, num_frames: int) -> np.ndarray:
    """Frame indices (T, F), from 0, of the segments at ``offsets`` (T,); past the end the last frame repeats."""
    indices = offsets[:, None] + np.arange(FRAMES_PER_SEGMENT)  # (T, F)
    return np.minimum(indices, num_frames - 1)


@dataclass(frozen=True)
class FrameSampler:
    """Chooses frames by one of the rules above.

    Args:
        dense: dense sampling (64 consecutive frames) instead of sparse (the whole video).
        random_clips: draw test clips at random by the training rule, as the published reference does, from a
            generator of (seed, video, clip), instead of spreading them evenly.
        seed: seed of ``random_clips``.
    """

    dense: bool = False
    random_clips: bool = False
    seed: int = 0

    def train(self, num_frames: int, num_segments: int, rng: np.random.Generator) -> np.ndarray:
        """Frame indices (T, F) of one random clip."""
        if self.dense:
            start = int(rng.integers(0, num_dense_starts(num_frames)))
            offsets = dense_offsets(num_frames, num_segments, start)
        else:
            offsets = train_offsets(num_frames, num_segments, rng)
        return segment_frames(offsets, num_frames)

    def test(self, num_frames: int, num_segments: int, video: int, clip: int, num_clips: int) -> np.ndarray:
        """Frame indices (T, F) of clip ``clip`` of ``num_clips`` of the ``video``-th video of the list."""
        if self.random_clips:
            return self.train(num_frames, num_segments, np.random.default_rng((self.seed, video, clip)))
        if self.dense:
            start = dense_clip_start(num_frames, clip, num_clips)
            offsets = dense_offsets(num_frames, num_segments, start)
        else:
            offsets = clip_offsets(num_frames, num_segments, clip, num_clips)
        return segment_frames(offsets, num_frames)
