"""Which frames of a video the network sees.

L frames in the video, T segments of F consecutive frames, clip c of K. F is the network's to say. A segment is named by
its first frame, its offset; n = max(L - F + 1, 1) offsets exist. The sparse rules are those of temporal segment
networks (Wang et al., TSN, ECCV 2016): the whole video in T parts. A dense clip spreads its segments over 64
consecutive frames, as in non-local networks (Wang et al., CVPR 2018). Several test clips are spread evenly, each in the
middle of its part; where F = 1 they are those of TSM (Lin et al., ICCV 2019), with which the accuracies of TSM and TSN
were published. Everything here is a pure function of its arguments; random rules take their generator.
"""

from dataclasses import dataclass

import numpy as np

DENSE_SPAN = 64


def num_offsets(num_frames: int, frames_per_segment: int) -> int:
    """n: how many offsets a segment can have in a video of ``num_frames`` frames, at least 1."""
    return max(num_frames - frames_per_segment + 1, 1)


def train_offsets(n: int, num_segments: int, rng: np.random.Generator) -> np.ndarray:
    """One random offset of 0..n-1 in each of T equal parts; sorted draws where there are fewer than T. Shape (T,)."""
    part = n // num_segments
    if part > 0:
        return np.arange(num_segments) * part + rng.integers(0, part, num_segments)
    return np.sort(rng.integers(0, n, num_segments))


def clip_offsets(n: int, num_segments: int, clip: int = 0, num_clips: int = 1) -> np.ndarray:
    """Offsets of clip c of K, evenly spread: floor(k*d + (c + 1/2) * d / K) with d = n / T. Shape (T,).

    The default, the only clip of one, is the centre of each part: floor((k + 1/2) * n / T), the rule of validation.
    """
    k = np.arange(num_segments, dtype=np.int64)
    return n * (2 * num_clips * k + 2 * clip + 1) // (2 * num_clips * num_segments)


def twice_offsets(n: int, num_segments: int, clip: int) -> np.ndarray:
    """Offsets of clip c of 2 in TSM's twice-sample test: the centre of each part, then its beginning. Shape (T,)."""
    return clip_offsets(n, num_segments) if clip == 0 else n * np.arange(num_segments, dtype=np.int64) // num_segments


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


def dense_clip_start_of_tsm(num_frames: int, clip: int, num_clips: int) -> int:
    """Start of dense clip c of K in TSM's test: the first clip at the first start, the last one at the last."""
    return int(np.linspace(0, num_dense_starts(num_frames) - 1, num_clips, dtype=np.int64)[clip])


def segment_frames(offsets: np.ndarray, num_frames: int, frames_per_segment: int) -> np.ndarray:
    """Frame indices (T, F), from 0, of the segments at ``offsets`` (T,); past the end the last frame repeats."""
    indices = offsets[:, None] + np.arange(frames_per_segment)  # (T, F)
    return np.minimum(indices, num_frames - 1)


@dataclass(frozen=True)
class FrameSampler:
    """Chooses frames by one of the rules above.

    Args:
        frames_per_segment: F.
        dense: dense sampling (64 consecutive frames) instead of sparse (the whole video).
        random_clips: draw test clips at random by the training rule, as the published code of MSN and TDN does, from a
            generator of (seed, video, clip), instead of spreading them evenly.
        seed: seed of ``random_clips``.
    """

    frames_per_segment: int
    dense: bool = False
    random_clips: bool = False
    seed: int = 0

    def train(self, num_frames: int, num_segments: int, rng: np.random.Generator) -> np.ndarray:
        """Frame indices (T, F) of one random clip."""
        if self.dense:
            start = int(rng.integers(0, num_dense_starts(num_frames)))
            offsets = dense_offsets(num_frames, num_segments, start)
        else:
            offsets = train_offsets(num_offsets(num_frames, self.frames_per_segment), num_segments, rng)
        return segment_frames(offsets, num_frames, self.frames_per_segment)

    def test(self, num_frames: int, num_segments: int, video: int, clip: int, num_clips: int) -> np.ndarray:
        """Frame indices (T, F) of clip ``clip`` of ``num_clips`` of the ``video``-th video of the list."""
        if self.random_clips:
            return self.train(num_frames, num_segments, np.random.default_rng((self.seed, video, clip)))
        n = num_offsets(num_frames, self.frames_per_segment)
        like_tsm = self.frames_per_segment == 1
        if self.dense:
            start_of = dense_clip_start_of_tsm if like_tsm and num_clips > 1 else dense_clip_start
            offsets = dense_offsets(num_frames, num_segments, start_of(num_frames, clip, num_clips))
        elif like_tsm and num_clips == 2:
            offsets = twice_offsets(n, num_segments, clip)
        else:
            offsets = clip_offsets(n, num_segments, clip, num_clips)
        return segment_frames(offsets, num_frames, self.frames_per_segment)
