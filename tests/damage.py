"""Damaged copies of small videos and image folders, each repeatable from a seed, for the tests of broken data."""

import shutil
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests import media
from tests.clip_files import with_options, write_folder

FRAMES = 24
SIZE = (64, 48)
ABSURD = 16_000  # pixels a side: 256 million, which FFmpeg itself would still accept
X264 = {"bf": "2", "g": "8", "preset": "ultrafast"}
VP9 = {"deadline": "realtime", "cpu-used": "8", "g": "8"}


@dataclass(frozen=True)
class Damaged:
    """A file, or a folder of images, and what was done to it.

    Args:
        path: where it is.
        kind: of file, or ``folder``.
        damage: what was done.
        ends_in: what reading it must end in: ``clip``, ``error``, or one of them where it is empty.
    """

    path: Path
    kind: str
    damage: str
    ends_in: str = ""


def whole_videos(folder: Path) -> dict[str, Path]:
    """One undamaged video of each kind."""
    mp4 = media.make_video(folder / "h264.mp4", FRAMES, SIZE, options=X264)
    return {
        "mp4": mp4,
        "mp4, index in front": with_options(mp4, folder / "front.mp4", movflags="faststart"),
        "mp4 in fragments": with_options(mp4, folder / "fragments.mp4", movflags="frag_keyframe+empty_moov"),
        "avi": media.make_video(folder / "mpeg4.avi", FRAMES, SIZE, codec="mpeg4", options={"g": "8"}),
        "avi of jpegs": media.make_video(folder / "mjpeg.avi", FRAMES, SIZE, codec="mjpeg", pix_fmt="yuvj420p"),
        "mkv": media.make_video(folder / "h264.mkv", FRAMES, SIZE, options=X264, sound=True),
        "webm": media.make_video(folder / "vp9.webm", FRAMES, SIZE, codec="libvpx-vp9", options=VP9),
    }


def cut(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: int(rng.integers(1, len(content)))]


def flip_anywhere(content: bytes, rng: np.random.Generator) -> bytes:
    return flip(content, rng, 0, len(content))


def flip_head(content: bytes, rng: np.random.Generator) -> bytes:
    return flip(content, rng, 0, min(1500, len(content)))


def flip_tail(content: bytes, rng: np.random.Generator) -> bytes:
    return flip(content, rng, max(0, len(content) - 1500), len(content))


def flip(content: bytes, rng: np.random.Generator, start: int, stop: int) -> bytes:
    """Changes 1 to 16 bytes between two places."""
    changed = bytearray(content)
    for place in rng.integers(start, stop, int(rng.integers(1, 17))):
        changed[place] = rng.integers(256)
    return bytes(changed)


def wipe(content: bytes, rng: np.random.Generator) -> bytes:
    """Zeros in place of a part, as of a download with holes."""
    start = int(rng.integers(len(content)))
    length = int(rng.integers(1, 1 + len(content) // 3))
    return (content[:start] + bytes(length) + content[start + length :])[: len(content)]


def move(content: bytes, rng: np.random.Generator) -> bytes:
    """A part left out, so that all behind it lies elsewhere."""
    start = int(rng.integers(len(content)))
    return content[:start] + content[start + int(rng.integers(1, 400)) :]


MUTATIONS: dict[str, Callable[[bytes, np.random.Generator], bytes]] = {
    "cut": cut, "flipped": flip_anywhere, "flipped head": flip_head, "flipped tail": flip_tail, "wiped": wipe,
    "moved": move,
}  # fmt: skip


def mutated_videos(folder: Path, each: int, seed: int) -> Iterator[Damaged]:
    """``each`` damaged copies of every kind of video and every kind of damage."""
    for number, (kind, path) in enumerate(whole_videos(folder / "whole").items()):
        content = path.read_bytes()
        for which, (damage, mutate) in enumerate(MUTATIONS.items()):
            for copy in range(each):
                rng = np.random.default_rng((seed, number, which, copy))
                target = folder / f"{number}_{which}_{copy}{path.suffix}"
                target.write_bytes(mutate(content, rng))
                yield Damaged(target, kind, damage)


def odd_videos(folder: Path) -> Iterator[Damaged]:
    """What is called a video and is something else."""
    folder.mkdir(parents=True, exist_ok=True)
    mp4 = media.make_video(folder / "whole" / "a.mp4", FRAMES, SIZE, options=X264)
    webm = media.make_video(folder / "whole" / "a.webm", FRAMES, SIZE, codec="libvpx-vp9", options=VP9)
    for suffix in ("mp4", "avi", "mkv", "webm"):
        (folder / f"empty.{suffix}").touch()
        yield Damaged(folder / f"empty.{suffix}", suffix, "empty", "error")
        (folder / f"text.{suffix}").write_text("This is not a video.\n" * 100)
        yield Damaged(folder / f"text.{suffix}", suffix, "text", "error")
        (folder / f"folder.{suffix}").mkdir()
        yield Damaged(folder / f"folder.{suffix}", suffix, "folder", "error")
        (folder / f"dangling.{suffix}").symlink_to("nowhere")
        yield Damaged(folder / f"dangling.{suffix}", suffix, "dangling link", "error")
        shutil.copy(webm if suffix == "mp4" else mp4, folder / f"other.{suffix}")
        yield Damaged(folder / f"other.{suffix}", suffix, "wrong extension", "clip")
        noise = np.random.default_rng(0).integers(0, 256, 5000, dtype=np.uint8)
        (folder / f"noise.{suffix}").write_bytes(noise.tobytes())
        yield Damaged(folder / f"noise.{suffix}", suffix, "noise", "error")
        codec = "libvpx-vp9" if suffix == "webm" else "mpeg4"
        yield Damaged(media.make_video(folder / f"one.{suffix}", 1, SIZE, codec=codec), suffix, "one frame", "clip")
    for suffix in ("mp4", "mkv"):
        yield Damaged(media.make_sound(folder / f"sound.{suffix}"), suffix, "sound only", "error")
    loop = folder / "loop.mp4"
    loop.symlink_to(loop.name)
    yield Damaged(loop, "mp4", "link to itself", "error")


def absurd_videos(folder: Path) -> Iterator[Damaged]:
    """Headers that announce 256 million pixels a picture, in the container, in the pictures, or in both."""
    small, huge = SIZE, (ABSURD, ABSURD)
    shapes = [("<ii", 1), (">HH", 1), (">ii", 65_536)]  # AVI; MP4 sample entries and JPEG; MP4 tracks
    for codec, pix_fmt, suffix in (
        ("mpeg4", "yuv420p", "avi"), ("mjpeg", "yuvj420p", "avi"), ("rawvideo", "yuv420p", "avi"),
        ("libx264", "yuv420p", "mp4"), ("mpeg4", "yuv420p", "mp4"), ("mjpeg", "yuvj420p", "mp4"),
        ("ffv1", "yuv420p", "mkv"),
    ):  # fmt: skip
        whole = media.make_video(folder / "whole" / f"{codec}.{suffix}", FRAMES, SIZE, codec=codec, pix_fmt=pix_fmt)
        content = whole.read_bytes()
        for form, scale in shapes:
            for order in (1, -1):  # width first, or height first as in JPEG
                old = struct.pack(form, *(scale * side for side in small[::order]))
                new = struct.pack(form, *(min(scale * side, 2**31 - 1) for side in huge[::order]))
                content = content.replace(old, new)
        content = content.replace(b"\xb0\x81\x40\xba\x81\x30", b"\xb0\x82\x3e\x80\xba\x82\x3e\x80")  # Matroska
        target = folder / f"absurd_{codec}.{suffix}"
        target.write_bytes(content)
        yield Damaged(target, suffix, "absurd size")


def damaged_folders(folder: Path, each: int, seed: int) -> Iterator[Damaged]:
    """Folders of JPEG images, one or all of which are damaged."""
    template = "{:05d}.jpg"
    certain = ("missing", "empty", "text", "folder", "absurd size")
    for which, damage in enumerate([*MUTATIONS, *certain, "other size"]):
        for copy in range(each):
            rng = np.random.default_rng((seed, which, copy))
            target = write_folder(folder / f"{which}_{copy}", FRAMES, template, size=SIZE)
            images = sorted(target.iterdir())
            every = copy % 2 == 1
            for victim in images if every else [images[rng.integers(FRAMES)]]:
                content = victim.read_bytes()
                if damage in MUTATIONS:
                    victim.write_bytes(MUTATIONS[damage](content, rng))
                elif damage == "absurd size":
                    place = content.index(b"\xff\xc0") + 5
                    victim.write_bytes(content[:place] + struct.pack(">HH", 30_000, 30_000) + content[place + 4 :])
                elif damage == "other size":
                    other = write_folder(folder / "other", 1, template, size=(32, 80)) / template.format(1)
                    shutil.copy(other, victim)
                else:
                    victim.unlink()
                    if damage == "folder":
                        victim.mkdir()
                    elif damage != "missing":
                        victim.write_text("no picture" * 50 if damage == "text" else "")
            yield Damaged(target, "folder", damage, "error" if every and damage in certain else "")
    (folder / "nowhere").symlink_to("gone")
    yield Damaged(folder / "nowhere", "folder", "missing folder", "error")
    (folder / "file").write_text("a file where a folder should be")
    yield Damaged(folder / "file", "folder", "file", "error")
    (folder / "void").mkdir()
    yield Damaged(folder / "void", "folder", "empty folder", "error")
