"""What benchmark.py presets measures: how videos can be prepared, and what a training clip of each costs to read."""

import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import av
from av.video.format import VideoFormat

from ops.benchmark.loading import ClipShape, Named, Sides, clip_of_file, make_video
from ops.preparation import PRESETS, Scaler, VideoSettings, resize_video
from ops.video import open_container

PREPARED = {**PRESETS, "training, short side 224": replace(PRESETS["training"], short_side=224)}


def preset_sides(videos: Sequence[Path] | None, shape: ClipShape, found: dict[str, str]) -> Iterator[Named]:
    """For each video: training clips of it as it came and as each preset writes it, as RGB and as YUV.

    Args:
        found: gets what else there is to say of each file.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if videos is None:
            make_video(root / "made.mp4")
        for video in videos or [root / "made.mp4"]:
            files = {"as it came": video.resolve()}
            found[f"{video.name}, as it came"] = f"{video.stat().st_size / 1000:.0f} kB"
            for name, settings in PREPARED.items():
                files[name] = root / f"{len(found)}.mp4"
                found[f"{video.name}, {name}"] = prepare(video, files[name], settings)
            sides: Sides = {
                f"{name}, {pixels}": clip_of_file(root, file, shape, pixels)
                for name, file in files.items()
                for pixels in ("rgb", "yuv")
            }
            yield f"training clip of {video.name}", next(iter(sides)), sides


def prepare(video: Path, target: Path, settings: VideoSettings) -> str:
    """Write a video as resize_videos.py does, and say what came of it."""
    begun = time.process_time()
    resize_video(settings, False, video, target, 1)
    seconds = time.process_time() - begun
    psnr, ssim = quality(video, target)
    size = target.stat().st_size / 1000
    return f"{size:.0f} kB, PSNR {psnr:.1f} dB, SSIM {ssim:.4f}, {3600 / seconds:,.0f} videos an hour and core"


def quality(video: Path, written: Path) -> tuple[float, float]:
    """PSNR in dB, of the mean squared error of all frames, and mean SSIM, both by FFmpeg's filters.

    The yardstick is the source, scaled to the size of what was written.
    """
    errors = compared("psnr", "mse_avg", video, written)
    similarities = compared("ssim", "All", video, written)
    mean = sum(errors) / len(errors)
    return 10 * math.log10(255**2 / max(mean, 1e-9)), sum(similarities) / len(similarities)


def compared(measure: str, figure: str, video: Path, written: Path) -> list[float]:
    """A figure of each frame that one of FFmpeg's filters for two videos finds."""
    with open_container(video) as source, open_container(written) as result:
        stream = result.streams.video[0]
        size = stream.codec_context.width, stream.codec_context.height
        scale = Scaler(*size, "yuv420p", full_range=False)
        graph = av.filter.Graph()
        kind = {"width": size[0], "height": size[1], "format": VideoFormat("yuv420p"), "time_base": stream.time_base}
        inputs = [graph.add_buffer(**kind) for _ in range(2)]
        comparison, end = graph.add(measure), graph.add("buffersink")
        for number, buffer in enumerate(inputs):
            buffer.link_to(comparison, 0, number)
        comparison.link_to(end)
        graph.configure()
        found = []
        for number, pair in enumerate(zip(source.decode(video=0), result.decode(video=0), strict=True)):
            for buffer, frame in zip(inputs, (pair[1], scale(pair[0])), strict=True):
                frame.pts, frame.time_base = number, stream.time_base
                buffer.push(frame)
            found.append(float(end.pull().metadata[f"lavfi.{measure}.{figure}"]))
        return found
