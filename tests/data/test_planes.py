"""YUV from the decoder to the model: the clips of RGB, in half the bytes."""

import gc
import weakref
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from ops.data.dataset import BrokenVideo, Clip, SampleKey, TestVideos, TrainClips, VideoSource
from ops.data.loaders import Batch, collate_clips, collate_first_view
from ops.data.planes import COLOURS, PackedClip, to_rgb
from ops.data.sampling import FrameSampler
from ops.data.transforms import TestTransform, TrainTransform
from ops.data.video_list import VideoRecord
from ops.video import Reader
from tests import media
from tests.clip_files import make_spec, natural_picture

CPU = torch.device("cpu")
GREY_LEVELS = 2  # by which a pixel may differ from RGB
FRAMES = 12
KINDS = {"BT.601": (5, 1), "BT.709": (1, 1), "BT.601, full range": (5, 2), "BT.709, full range": (1, 2)}


def natural_video(path: Path, size: tuple[int, int], colours: tuple[int, int] = (2, 0), **more: str) -> Path:
    """Pictures with edges and noise, labelled with a matrix and a range; what they look like does not matter here."""
    width, height = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream(more.get("codec", "libx264"), rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, more.get("pix_fmt", "yuv420p")
        stream.codec_context.colorspace, stream.codec_context.color_range = colours
        for number in range(FRAMES):
            picture = av.VideoFrame.from_ndarray(natural_picture(height, width, number % 3), format="rgb24")
            picture.pts = number
            container.mux(stream.encode(picture.reformat(format=stream.pix_fmt)))
        container.mux(stream.encode())
    return path


def sources(path: Path) -> list[VideoSource]:
    spec = make_spec(path.parent)
    return [VideoSource(spec, [VideoRecord(path.name, None, 1)], "pyav", None, pixels) for pixels in ("rgb", "yuv")]


def training_batches(path: Path, size: int, epochs: int) -> list[tuple[Batch, Batch]]:
    """The same random clips as RGB and as YUV, half of them mirrored."""
    transform = TrainTransform(size, (0, 2, 1, 3))
    both = [TrainClips(source, 2, FrameSampler(5), transform, 3) for source in sources(path)]
    return [
        tuple(collate_clips([clips[SampleKey(epoch, 0)]]) for clips in both)  # type: ignore[misc]
        for epoch in range(epochs)
    ]


def difference(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    assert one.shape == other.shape and one.dtype == other.dtype == torch.uint8
    return (one.int() - other.int()).abs()


@pytest.mark.parametrize("kind", KINDS)
def test_clips_are_those_of_rgb(tmp_path: Path, kind: str) -> None:
    path = natural_video(tmp_path / "v.mp4", (86, 64), KINDS[kind])
    found = set()
    for rgb, yuv in training_batches(path, 56, 12):
        (clip,) = yuv.pixels
        found.add(tuple(edge % 2 for edge in clip.box[:2]))
        assert clip.colours == list(KINDS).index(kind)
        assert torch.equal(rgb.labels, yuv.labels) and rgb[2:] == yuv[2:]
        assert difference(rgb.to(CPU)[0], yuv.to(CPU)[0]).max() <= GREY_LEVELS
    assert len(found) > 1  # crops that begin at odd pixels too
    for num_crops, size in ((1, 56), (1, 57), (3, 64)):
        transform = TestTransform(64, size, num_crops)
        seen = [TestVideos(source, [(2, FrameSampler(5))] * 2, transform, (0, 1), 2)[0] for source in sources(path)]
        assert seen[0].boxes == seen[1].boxes and seen[0].label == seen[1].label
        rgb, yuv = (video.on(CPU) for video in seen)
        for box in range(num_crops):
            assert difference(rgb.view(1, 1, box), yuv.view(1, 1, box)).max() <= GREY_LEVELS
        if num_crops == 1:
            rgb, yuv = (collate_first_view([video]).to(CPU)[0] for video in seen)
            assert difference(rgb, yuv).max() <= GREY_LEVELS


def test_half_the_bytes(tmp_path: Path) -> None:
    path = natural_video(tmp_path / "v.mp4", (86, 64))
    batches = training_batches(path, 56, 8)
    rgb = sum(batch.pixels.nbytes for batch, _ in batches)
    yuv = sum(batch.pixels[0].planes.nbytes for _, batch in batches)
    assert yuv < 0.55 * rgb


@pytest.mark.parametrize(
    ("name", "size", "pix_fmt"),
    [("odd.mov", (99, 75), "yuv420p"), ("444.mp4", (86, 64), "yuv444p"), ("large.mp4", (172, 128), "yuv420p")],
)
def test_others_look_alike(tmp_path: Path, name: str, size: tuple[int, int], pix_fmt: str) -> None:
    """FFmpeg interpolates the colours of odd sides, those of 4:4:4 lose detail, large crops are made small as YUV."""
    path = natural_video(tmp_path / name, size, pix_fmt=pix_fmt, codec="mpeg4" if name == "odd.mov" else "libx264")
    for rgb, yuv in training_batches(path, 56 if "large" not in name else 32, 4):
        assert difference(rgb.to(CPU)[0], yuv.to(CPU)[0]).float().mean() < 8


def test_turned_videos_are_upright(tmp_path: Path) -> None:
    path = media.turn_by_metadata(media.make_video(tmp_path / "v.mp4", FRAMES, (96, 64)), media.QUARTER_TURN)
    for rgb, yuv in training_batches(path, 64, 2):
        assert difference(rgb.to(CPU)[0], yuv.to(CPU)[0]).float().mean() < 2


@pytest.mark.parametrize("colours", range(len(COLOURS)))
def test_colours_are_those_of_the_standards(colours: int) -> None:
    """Against the matrices written out in ITU-R BT.601 and BT.709, on every grey and on random colours."""
    rng = np.random.default_rng(0)
    yuv = rng.integers(16, 236, (3, 64)).astype(float)
    yuv[:, :32] = np.stack([np.linspace(16, 235, 32), np.full(32, 128), np.full(32, 128)])
    planes = torch.from_numpy(yuv.astype(np.uint8))
    packed = torch.zeros(1, 3, 128, dtype=torch.uint8)  # 2 x 128 pixels
    packed[0, :2] = planes[0].repeat_interleave(2)
    packed[0, 2, :64], packed[0, 2, 64:] = planes[1], planes[2]
    y, u, v = (plane.double().numpy() for plane in planes)
    if colours < 2:
        y, u, v = (y - 16) * 255 / 219, (u - 128) * 255 / 224, (v - 128) * 255 / 224
    else:
        u, v = u - 128, v - 128
    matrix = [
        [[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]],
        [[1, 0, 1.5748], [1, -0.187324, -0.468124], [1, 1.8556, 0]],
    ][colours % 2]
    expected = (np.array(matrix) @ np.stack([y, u, v])).clip(0, 255)
    got = to_rgb(packed, colours)[0, :, 0, ::2].double().numpy()
    assert np.abs(got - expected).max() <= 3  # three products, each rounded down
    assert (got <= expected + 1e-6).all()


def test_a_worker_sends_no_more_than_the_crop(tmp_path: Path) -> None:
    path = natural_video(tmp_path / "v.mp4", (86, 64))
    for rgb, yuv in training_batches(path, 56, 3):
        (clip,) = yuv.pixels
        assert isinstance(clip, PackedClip)
        _, _, rows, columns = clip.box
        height, width = clip.planes.shape[-2] * 2 // 3, clip.planes.shape[-1]
        assert rows <= height <= rows + 2 and columns <= width <= columns + 2
        for tensor in (clip.planes, rgb.pixels):
            assert tensor.untyped_storage().nbytes() == tensor.numel()


class Whole(TrainTransform):
    """Is given whole frames, not those that the reader has cut."""

    sees_whole = True


@pytest.mark.parametrize("pixels", ["rgb", "yuv"])
@pytest.mark.parametrize(("name", "size"), [("v.mp4", (86, 64)), ("odd.mov", (99, 75)), ("turned.mp4", (96, 64))])
def test_the_reader_cuts_the_crop_that_whole_frames_give(
    tmp_path: Path, name: str, size: tuple[int, int], pixels: str
) -> None:
    path = natural_video(tmp_path / name, size, codec="mpeg4" if name == "odd.mov" else "libx264")
    path = media.turn_by_metadata(path, media.QUARTER_TURN) if name == "turned.mp4" else path
    source = sources(path)[pixels == "yuv"]
    for target in (56, 32):  # of 32, crops are large
        both = [
            TrainClips(source, 2, FrameSampler(5), kind(target, (0, 2, 1, 3)), 3) for kind in (TrainTransform, Whole)
        ]
        for epoch in range(8):
            cut, whole = (collate_clips([clips[SampleKey(epoch, 0)]]) for clips in both)
            assert torch.equal(cut.to(CPU)[0], whole.to(CPU)[0]) and torch.equal(cut.labels, whole.labels)


def test_a_worker_holds_one_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a file is opened, the reader of the one before is gone, and with it whatever it had decoded."""
    path = natural_video(tmp_path / "v.mp4", (86, 64))
    opened: list[weakref.ref] = []
    original = VideoSource.open

    def watched(source: VideoSource, index: int) -> Reader:
        assert not [reader for reader in opened if reader() is not None]
        reader = original(source, index)
        opened.append(weakref.ref(reader))
        return reader

    monkeypatch.setattr(VideoSource, "open", watched)
    for source in sources(path):
        clips = TrainClips(source, 2, FrameSampler(5), TrainTransform(56, (0, 2, 1, 3)), 3)
        views = TestVideos(source, [(2, FrameSampler(5))], TestTransform(64, 56, 1))
        gc.disable()  # none is left to the garbage collector
        try:
            kept = [clips[SampleKey(epoch, 0)] for epoch in range(3)] + [views[0] for _ in range(2)]
        finally:
            gc.enable()
        assert not any(isinstance(each, BrokenVideo) for each in kept)
    assert len(opened) == 10


def test_a_clip_is_what_it_was(tmp_path: Path) -> None:
    """Frames that a short video repeats."""
    path = media.make_video(tmp_path / "v.mp4", 3)
    transform = TrainTransform(32, (0, 1, 2, 3))
    both = [TrainClips(source, 2, FrameSampler(5), transform, 3)[SampleKey(0, 0)] for source in sources(path)]
    assert all(isinstance(clip, Clip) for clip in both)
    assert difference(both[0].pixels, both[1].pixels.on(CPU)).max() <= GREY_LEVELS
