"""Small videos of every awkward kind, made with PyAV, whose frames tell their numbers.

A frame of number n shows the bits of n as a row of eight dark or bright blocks across its upper half; its lower half
is bright on the left and dark on the right, so that turned and mirrored pictures are recognised.
"""

from __future__ import annotations

import importlib
import os
import struct
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ops.video.reader import DECODERS
from tests.commands import run_script

REPOSITORY = Path(__file__).resolve().parents[1]
SCRIPTS = REPOSITORY / "scripts" / "preparation"
AT_CALL = REPOSITORY / "tests" / "processes" / "at_call.py"

Picture = NDArray[np.uint8]
BITS = 8
QUARTER_TURN = (0, 1, -1, 0)  # shown a quarter turn clockwise
HALF_TURN = (-1, 0, 0, -1)
THREE_QUARTERS = (0, -1, 1, 0)
MIRRORED = (-1, 0, 0, 1)


def numbered_picture(number: int, width: int, height: int) -> Picture:
    """(height, width, 3) picture that shows a number from 0 to 255."""
    picture = np.full((height, width, 3), 32, dtype=np.uint8)
    edges = np.linspace(0, width, BITS + 1).astype(int)
    for bit in range(BITS):
        if number >> bit & 1:
            picture[: height // 2, edges[bit] : edges[bit + 1]] = 224
    picture[height // 2 :, : width // 2] = 224
    return picture


def number_of(picture: Picture) -> int:
    """The number that a picture (H, W, 3) shows; fails for one that is turned or mirrored."""
    height, width, _ = picture.shape
    grey = picture.mean(axis=2)
    lower = grey[3 * height // 4]
    assert lower[width // 4] > 160 and lower[3 * width // 4] < 96, "the picture is turned or mirrored"
    centres = ((np.arange(BITS) + 0.5) * width / BITS).astype(int)
    return sum(1 << bit for bit, bright in enumerate(grey[height // 4, centres] > 128) if bright)


def make_video(
    path: Path,
    frames: int = 12,
    size: tuple[int, int] = (64, 48),
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    times: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 25),
    sound: bool = False,
    options: dict[str, str] | None = None,
    form: str | None = None,
) -> Path:
    """A video of numbered pictures: `size` (width, height), `times` in units of `time_base`, container `form`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.codec_context.time_base = time_base
        tones = container.add_stream("aac", rate=16_000) if sound else None
        for number, time in zip(range(frames), times or range(frames), strict=True):
            frame = av.VideoFrame.from_ndarray(numbered_picture(number, width, height), format="rgb24")
            frame.pts, frame.time_base = time, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if tones is not None:
            add_sound(container, tones)
    return path


def add_sound(container: av.container.OutputContainer, stream: av.AudioStream) -> None:
    """A second of silence."""
    for start in range(0, 16_000, 1_000):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1_000), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 16_000, start
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def make_sound(path: Path) -> Path:
    """Writes a file with sound and no picture."""
    with av.open(str(path), "w") as container:
        add_sound(container, container.add_stream("aac", rate=16_000))
    return path


def turn_by_metadata(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Writes a display matrix (a, b, c, d) into an mp4 file: the pixel (x, y) is to be shown at (ax + cy, bx + dy)."""
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 4 + 20 + 16  # version and flags, times and numbers, layer and volume
    a, b, c, d = (65_536 * value for value in matrix)
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def pictures_in(folder: Path) -> list[Picture]:
    """The images of a folder, in order of their names, (H, W, 3) each."""
    return [np.asarray(Image.open(path)) for path in sorted(folder.iterdir())]


def frames_of(path: Path) -> list[tuple[Fraction, Picture]]:
    """Time in seconds and picture (H, W, 3) of each frame of a video, as stored."""
    with av.open(str(path)) as container:
        return [(frame.pts * frame.time_base, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def numbers(pictures: Sequence[Picture]) -> list[int]:
    """The numbers that pictures show."""
    return [number_of(picture) for picture in pictures]


def run(script: str, *arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs one of scripts/ as a user would."""
    return run_script(f"scripts/preparation/{script}", *map(str, arguments), cwd=cwd or Path.cwd())


def tree(folder: Path) -> dict[str, int]:
    """Modification time of every file below a folder."""
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in sorted(folder.rglob("*")) if p.is_file()}


def real_videos() -> list[Path]:
    """The videos in the folder that MSN_REAL_VIDEOS names; without it the test is skipped, and says so."""
    folder = os.environ.get("MSN_REAL_VIDEOS")
    if not folder:
        pytest.skip("MSN_REAL_VIDEOS names no folder of real videos")
    return sorted(path for path in Path(folder).iterdir() if path.suffix in (".mp4", ".avi"))


def decoder_loads(name: str) -> bool:
    """Whether a decoder is installed here, with the libraries that it needs."""
    try:
        module = importlib.import_module(DECODERS[name].split(".")[0])
        importlib.import_module(DECODERS[name])
    except (ImportError, OSError, RuntimeError):
        return False
    return name != "torchcodec" or getattr(module, "ffmpeg_major_version", 0) is not None


def needs_decoder(name: str) -> pytest.MarkDecorator:
    """Skips a test, and says why, where a decoder is not installed."""
    lacks = {"torchcodec": "torchcodec or the FFmpeg libraries that it needs are not installed"}
    return pytest.mark.skipif(not decoder_loads(name), reason=lacks.get(name, f"{name} is not installed"))


# All decoders as parameters of a test; those that cannot run here are skipped.
ALL_DECODERS = [pytest.param(name, marks=needs_decoder(name), id=name) for name in DECODERS]
OTHER_DECODERS = [parameters for parameters in ALL_DECODERS if parameters.id != "pyav"]
