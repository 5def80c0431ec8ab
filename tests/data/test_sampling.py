"""Frame choice against the rules of the protocol, restated as they are written there."""

import math
from fractions import Fraction

import numpy as np
import pytest

from ops.data.sampling import (
    FrameSampler,
    clip_offsets,
    dense_clip_start,
    dense_offsets,
    num_dense_starts,
    num_offsets,
    segment_frames,
    train_offsets,
)

LENGTHS = range(1, 401)
SEGMENTS = (2, 3, 8, 16)
F = 5
CLIPS = [(c, k) for k in (1, 2, 3, 10) for c in range(k)]


def naive_n(length: int) -> int:
    return max(length - 4, 1)


def floor(x: np.ndarray) -> np.ndarray:
    """Of multiples of 1/(2 T K), at most 1/320: what is nearer than that below a whole number is rounding."""
    return np.floor(x + 1e-6).astype(int)


def naive_clip(length: int | np.ndarray, segments: int, clip: int, clips: int) -> np.ndarray:
    """Offsets (..., T) for one length or an array of them."""
    d = np.maximum(np.asarray(length) - 4, 1)[..., None] / segments
    k = np.arange(segments)
    return floor(k * d + (clip + 1 / 2) * d / clips)


def all_clips(segments: int, clip: int, clips: int) -> np.ndarray:
    """Offsets (lengths, T) of one clip for every length."""
    return np.stack([clip_offsets(naive_n(length), segments, clip, clips) for length in LENGTHS])


def naive_frames(offsets: list[int], length: int) -> list[list[int]]:
    """Five frames from each offset; what would lie behind the last frame is the last frame."""
    return [[i if i < length else length - 1 for i in range(o, o + 5)] for o in offsets]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_num_offsets() -> None:
    assert [num_offsets(length, F) for length in LENGTHS] == [naive_n(length) for length in LENGTHS]
    assert [num_offsets(length, 1) for length in LENGTHS] == list(LENGTHS)


class TestClipOffsets:
    @pytest.mark.parametrize("segments", SEGMENTS)
    def test_rule_of_many_clips(self, segments: int) -> None:
        n = np.maximum(np.array(LENGTHS) - 4, 1)
        for clip, clips in CLIPS:
            offsets = all_clips(segments, clip, clips)
            assert offsets.tolist() == naive_clip(np.array(LENGTHS), segments, clip, clips).tolist(), (clip, clips)
            assert offsets.min() >= 0 and (offsets < n[:, None]).all()
            assert (np.diff(offsets, axis=1) >= 0).all()

    @pytest.mark.parametrize("segments", SEGMENTS)
    def test_one_clip_is_the_rule_of_validation(self, segments: int) -> None:
        for length in LENGTHS:
            expected = floor((np.arange(segments) + 1 / 2) * naive_n(length) / segments)
            assert clip_offsets(naive_n(length), segments).tolist() == expected.tolist()

    @pytest.mark.parametrize("segments", SEGMENTS)
    @pytest.mark.parametrize("clips", [2, 3, 10])
    def test_clips_differ_in_every_segment_where_the_video_is_long_enough(self, segments: int, clips: int) -> None:
        views = np.stack([all_clips(segments, c, clips) for c in range(clips)])  # (K, lengths, T)
        steps = np.diff(views, axis=0)
        long_enough = np.array([naive_n(length) >= clips * segments for length in LENGTHS])  # d >= K
        assert (steps >= 0).all()
        assert (steps[:, long_enough] > 0).all()

    def test_clips_of_a_video_cover_it_evenly(self) -> None:
        """All offsets of all clips together lie at equal distances, to within rounding."""
        for length in (90, 137, 300):
            everything = np.sort(np.concatenate([clip_offsets(naive_n(length), 8, c, 10) for c in range(10)]))
            assert np.ptp(np.diff(everything)) <= 1
            assert abs(everything[0] - (naive_n(length) - 1 - everything[-1])) <= 1

    def test_agrees_with_the_reference_for_long_videos(self) -> None:
        """TDN's validation rule, int(tick / 2 + tick * k) with tick = (L - 4) / T, where it works: L > T + 4."""
        for length in range(13, 401):
            tick = (length - 5 + 1) / 8
            assert clip_offsets(naive_n(length), 8).tolist() == [int(tick / 2.0 + tick * k) for k in range(8)]


class TestTrainOffsets:
    @pytest.mark.parametrize("segments", SEGMENTS)
    def test_in_range_in_order_and_in_its_part(self, segments: int) -> None:
        generator = rng()
        for length in LENGTHS:
            n = naive_n(length)
            part = n // segments
            for _ in range(5):
                offsets = train_offsets(naive_n(length), segments, generator)
                assert offsets.shape == (segments,)
                assert offsets.min() >= 0 and offsets.max() <= n - 1
                assert (np.diff(offsets) >= 0).all()
                if part > 0:
                    starts = np.array([k * part for k in range(segments)])
                    assert ((offsets >= starts) & (offsets <= starts + part - 1)).all()

    @pytest.mark.parametrize(("length", "segments"), [(12, 2), (44, 8), (45, 8), (60, 3), (36, 16)])
    def test_every_offset_of_every_part_occurs(self, length: int, segments: int) -> None:
        generator = rng()
        part = naive_n(length) // segments
        draws = np.stack([train_offsets(naive_n(length), segments, generator) for _ in range(1500)])  # (1500, T)
        for k in range(segments):
            values, counts = np.unique(draws[:, k], return_counts=True)
            assert values.tolist() == list(range(k * part, (k + 1) * part))
            assert counts.min() > 0.6 * 1500 / part  # uniform

    @pytest.mark.parametrize("length", [1, 4, 5, 6, 8, 11])
    def test_short_videos_draw_from_all_offsets(self, length: int) -> None:
        generator = rng()
        n = naive_n(length)
        draws = np.stack([train_offsets(naive_n(length), 8, generator) for _ in range(500)])
        values, counts = np.unique(draws, return_counts=True)
        assert values.tolist() == list(range(n))
        assert counts.min() > 0.8 * draws.size / n  # uniform before the sorting

    def test_follows_its_generator(self) -> None:
        for length in (3, 10, 100):
            n = naive_n(length)
            assert train_offsets(n, 8, rng(7)).tolist() == train_offsets(n, 8, rng(7)).tolist()
        assert train_offsets(396, 8, rng(7)).tolist() != train_offsets(396, 8, rng(8)).tolist()


class TestDenseOffsets:
    @pytest.mark.parametrize("segments", SEGMENTS)
    def test_rule(self, segments: int) -> None:
        for length in LENGTHS:
            for start in {0, max(0, length - 64) // 2, max(0, length - 64)}:
                expected = [(start + k * (64 // segments)) % length for k in range(segments)]
                assert dense_offsets(length, segments, start).tolist() == expected

    def test_number_of_starts(self) -> None:
        for length in LENGTHS:
            assert list(range(num_dense_starts(length))) == list(range(max(0, length - 64) + 1))

    def test_starts_of_clips_are_evenly_spread(self) -> None:
        for length in LENGTHS:
            last = max(0, length - 64)
            for clips in (1, 2, 3, 10):
                starts = [dense_clip_start(length, c, clips) for c in range(clips)]
                assert min(starts) >= 0 and max(starts) <= last
                gaps = np.diff(starts)
                assert (gaps >= 0).all() and (len(gaps) == 0 or np.ptp(gaps) <= 1)
                assert abs(starts[0] - (last - starts[-1])) <= 1  # as far from the beginning as from the end
                if last + 1 >= clips:
                    assert len(set(starts)) == clips


class TestSegmentFrames:
    def test_consecutive_and_clamped_to_the_last_frame(self) -> None:
        for length in (*range(1, 12), 50):
            offsets = list(range(length))
            assert segment_frames(np.array(offsets), length, F).tolist() == naive_frames(offsets, length)

    def test_a_video_of_one_frame_repeats_it(self) -> None:
        assert segment_frames(np.array([0, 0]), 1, F).tolist() == [[0] * 5] * 2


class TestFrameSampler:
    @pytest.mark.parametrize("segments", SEGMENTS)
    def test_sparse_test_clips(self, segments: int) -> None:
        sampler = FrameSampler(F)
        for length in range(1, 401, 13):
            for clip, clips in CLIPS:
                expected = naive_frames(naive_clip(length, segments, clip, clips).tolist(), length)
                assert sampler.test(length, segments, 3, clip, clips).tolist() == expected

    def test_dense_test_clips(self) -> None:
        sampler = FrameSampler(F, dense=True)
        for length in (*range(1, 70), 100, 264):
            for clip, clips in CLIPS:
                start = dense_clip_start(length, clip, clips)
                expected = naive_frames([(start + 8 * k) % length for k in range(8)], length)
                assert sampler.test(length, 8, 3, clip, clips).tolist() == expected

    def test_training_takes_the_frames_of_the_training_rule(self) -> None:
        for length in (1, 3, 5, 12, 13, 100):
            expected = naive_frames(train_offsets(naive_n(length), 8, rng(5)).tolist(), length)
            assert FrameSampler(F).train(length, 8, rng(5)).tolist() == expected

    def test_dense_training_reaches_every_start(self) -> None:
        generator = rng()
        for length, last in ((1, 0), (20, 0), (64, 0), (65, 1), (80, 16)):
            seen = set()
            for _ in range(300):
                frames = FrameSampler(F, dense=True).train(length, 8, generator)
                seen.add(int(frames[0, 0]))
                start = int(frames[0, 0])
                assert frames.tolist() == naive_frames([(start + 8 * k) % length for k in range(8)], length)
            assert seen == set(range(last + 1))

    def test_deterministic_without_random_clips(self) -> None:
        for dense in (False, True):
            a = FrameSampler(F, dense, seed=1).test(100, 8, 0, 2, 10)
            b = FrameSampler(F, dense, seed=2).test(100, 8, 55, 2, 10)
            assert a.tolist() == b.tolist()

    @pytest.mark.parametrize("dense", [False, True])
    def test_random_clips_are_the_training_rule_seeded_by_seed_video_and_clip(self, dense: bool) -> None:
        sampler = FrameSampler(F, dense, random_clips=True, seed=11)
        for length in (1, 4, 9, 60, 200):
            for video, clip in ((0, 0), (0, 1), (7, 0), (7, 9)):
                drawn = sampler.test(length, 8, video, clip, 10)
                by_rule = FrameSampler(F, dense).train(length, 8, np.random.default_rng((11, video, clip)))
                assert drawn.tolist() == by_rule.tolist()
                assert drawn.tolist() == sampler.test(length, 8, video, clip, 10).tolist()

    def test_random_clips_depend_on_seed_video_and_clip_alone(self) -> None:
        def draw(seed: int = 0, video: int = 0, clip: int = 0, clips: int = 10) -> list[list[int]]:
            return FrameSampler(F, random_clips=True, seed=seed).test(400, 8, video, clip, clips).tolist()

        assert draw() == draw(clips=1)
        assert draw() != draw(seed=1)
        assert draw() != draw(video=1)
        assert draw() != draw(clip=1)


class TestOneFrameSegments:
    """TSM's and TSN's formulas, as their tests are written down: F = 1, so n = L."""

    def test_training(self) -> None:
        for length in LENGTHS:
            for segments in SEGMENTS:
                frames = FrameSampler(1).train(length, segments, rng(length))
                draws, part = rng(length), length // segments
                if part:
                    expected = [k * part + j for k, j in enumerate(draws.integers(0, part, segments))]
                else:
                    expected = sorted(draws.integers(0, length, segments))
                assert frames.tolist() == [[i] for i in expected]

    @pytest.mark.parametrize("segments", SEGMENTS)
    def test_one_clip_and_the_two_of_twice_sample(self, segments: int) -> None:
        sampler = FrameSampler(1)
        for length in LENGTHS:
            centres = [[math.floor(Fraction(2 * k + 1, 2) * length / segments)] for k in range(segments)]
            begins = [[math.floor(Fraction(k * length, segments))] for k in range(segments)]
            assert sampler.test(length, segments, 0, 0, 1).tolist() == centres
            assert [sampler.test(length, segments, 0, c, 2).tolist() for c in (0, 1)] == [centres, begins]

    @pytest.mark.parametrize("segments", SEGMENTS)
    def test_ten_dense_clips(self, segments: int) -> None:
        sampler = FrameSampler(1, dense=True)
        for length in LENGTHS:
            starts = np.linspace(0, max(length - 64, 0), 10).astype(int).tolist()
            for clip, start in enumerate(starts):
                expected = [[(start + k * (64 // segments)) % length] for k in range(segments)]
                assert sampler.test(length, segments, 0, clip, 10).tolist() == expected

    def test_one_dense_clip_is_the_middle_one(self) -> None:
        assert FrameSampler(1, dense=True).test(164, 8, 0, 0, 1)[0].tolist() == [50]

    def test_how_far_even_dense_clips_are_from_those_of_tsm(self) -> None:
        """Longer segments start in the middle of ten parts: up to a twentieth of the starts away."""
        for length in (64, 100, 300, 584):
            ours = [FrameSampler(F, dense=True).test(length, 8, 0, c, 10)[0, 0] for c in range(10)]
            theirs = [FrameSampler(1, dense=True).test(length, 8, 0, c, 10)[0, 0] for c in range(10)]
            assert max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) == (length - 63) // 20
