"""Small videos of all codecs, containers and ways to cut and remux that data sets have; pictures tell their numbers.

``FILES`` maps a description to a function that writes the file into a folder. Those in ``JUMPS`` must be read by jumps.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.bitstream import BitStreamFilterContext

from tests import media

FRAMES = 40
TIME = Fraction(1, 25)
CLOSED = {"preset": "ultrafast", "bf": "2", "g": "10", "sc_threshold": "0", "x264-params": "b-adapt=0:scenecut=0"}
PYRAMID = {"bf": "3", "g": "12", "b-pyramid": "normal", "sc_threshold": "0", "preset": "fast"}
OPEN = {"x264-params": "open-gop=1:keyint=10:bframes=3:scenecut=0:b-adapt=0", "preset": "ultrafast"}
X265 = "log-level=none:keyint=12:min-keyint=12:bframes=3:b-adapt=0:scenecut=0:pools=none:frame-threads=1"
HEVC_OPEN = {"preset": "ultrafast", "x265-params": X265}
HEVC_CLOSED = {"preset": "ultrafast", "x265-params": f"{X265}:open-gop=0"}
VP8 = {"deadline": "realtime", "cpu-used": "8", "g": "10", "b": "400000"}
VP9 = {"deadline": "realtime", "cpu-used": "8", "g": "10"}
ALT_REF = {"deadline": "good", "cpu-used": "8", "g": "20", "lag-in-frames": "16", "auto-alt-ref": "1"}
AV1 = {"preset": "12", "g": "10", "svtav1-params": "lp=1"}
B_FRAMES = {"bf": "2", "g": "10"}
UNEVEN = [0, 1, 2, 5, 6, 7, 20, 21, 22, 23, *range(30, 60)]
Maker = Callable[[Path], Path]


def make(name: str, codec: str, options: dict[str, str] | None = None, **more: Any) -> Maker:
    return lambda folder: media.make_video(
        folder / name, more.pop("frames", FRAMES), more.pop("size", (64, 48)), codec=codec, options=options, **more
    )


Change = Callable[[list[av.Packet]], Iterable[av.Packet]]


def remux(maker: Maker, name: str, change: Change, **options: str) -> Maker:
    """The packets of a file, changed, in another container."""

    def write(folder: Path) -> Path:
        source_path = maker(folder)
        with av.open(str(source_path)) as source, av.open(str(folder / name), "w", container_options=options) as target:
            # PyAV knows no encoder of the name of its AV1 decoder.
            stream = target.add_stream_from_template(source.streams.video[0], opaque=True)
            packets = [packet for packet in source.demux(video=0) if packet.size]
            for packet in change(packets):
                packet.stream = stream
                target.mux(packet)
        return folder / name

    return write


def as_they_are(packets: list[av.Packet]) -> list[av.Packet]:
    return packets


def from_packet(number: int) -> Change:
    """Cut by copy: what comes before a packet is gone."""
    return lambda packets: packets[number:]


def from_key(number: int) -> Change:
    """Cut by copy at a key frame."""

    def change(packets: list[av.Packet]) -> list[av.Packet]:
        keys = [place for place, packet in enumerate(packets) if packet.is_keyframe]
        return packets[keys[number] :]

    return change


def until(number: int) -> Change:
    return lambda packets: packets[:number]


def made_up_times(packets: list[av.Packet]) -> Iterator[av.Packet]:
    """One after the other in the order of decoding, as tools do that know no better."""
    for number, packet in enumerate(packets):
        packet.time_base = TIME
        packet.pts, packet.dts, packet.duration = number, number, 1
        yield packet


def without(*numbers: int) -> Change:
    return lambda packets: [packet for number, packet in enumerate(packets) if number not in numbers]


def all_keys(packets: list[av.Packet]) -> Iterator[av.Packet]:
    """Every packet called a key frame."""
    for packet in packets:
        packet.is_keyframe = True
        yield packet


def hidden_copies(packets: list[av.Packet]) -> Iterator[av.Packet]:
    """VP8 with alternate reference frames: before each key frame a copy of it that is not shown."""
    for packet in packets:
        if packet.is_keyframe and packet is not packets[0]:
            data = bytearray(bytes(packet))
            data[0] &= ~0x10
            copy = av.Packet(bytes(data))
            copy.time_base, copy.pts, copy.dts = packet.time_base, packet.pts, packet.dts
            copy.is_keyframe = True
            yield copy
        packet.pts += 1
        packet.dts += 1
        yield packet


def superframes_split(packets: list[av.Packet]) -> Iterator[av.Packet]:
    """VP9's frames that are not shown in packets of their own."""
    split = BitStreamFilterContext("vp9_superframe_split", packets[0].stream)
    for packet in packets:
        parts = split.filter(packet)
        for part in parts[::-1]:
            part.time_base = TIME / 40
        yield from parts


def patched(maker: Maker, name: str, change: Callable[[bytearray], None]) -> Maker:
    """A file with changed bytes."""

    def write(folder: Path) -> Path:
        data = bytearray(maker(folder).read_bytes())
        change(data)
        (folder / name).write_bytes(data)
        return folder / name

    return write


def cut_by_edit_list(data: bytearray) -> None:
    """Shows an MP4 track from a later time on."""
    place = data.index(b"elst") + 4
    _, entries, duration, start = struct.unpack(">IIIi", data[place : place + 16])
    assert entries == 1
    scale = struct.unpack(">I", data[data.index(b"mdhd") + 16 :][:4])[0]
    struct.pack_into(">Ii", data, place + 8, duration, start + 7 * scale // 25)


def without_key_table(data: bytearray) -> None:
    """Without it, an MP4 file calls every picture a key frame."""
    place = data.index(b"stss")
    data[place : place + 4] = b"free"


def latin_1_title(data: bytearray) -> None:
    place = data.index(b"caf__")
    data[place : place + 5] = b"caf\xe9s"


def titled(maker: Maker, name: str, tag: str = "title") -> Maker:
    def write(folder: Path) -> Path:
        with av.open(str(maker(folder))) as source, av.open(str(folder / name), "w") as target:
            target.metadata[tag] = "caf__"
            stream = target.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    target.mux(packet)
        return folder / name

    return write


def with_dropped_frames(data: bytearray) -> None:
    """AVI as MEncoder writes it: packets of no bytes where a frame was dropped."""
    movi = data.index(b"movi")
    place, chunks = movi + 4, []
    while data[place : place + 4] == b"00dc":
        length = struct.unpack("<I", data[place + 4 : place + 8])[0]
        chunks.append(bytes(data[place + 8 : place + 8 + length]))
        place += 8 + length + length % 2
    for number in (5, 6, 13, FRAMES - 1):
        chunks[number] = b""
    content, index = b"movi", b""
    for number, chunk in enumerate(chunks):
        index += struct.pack("<4sIII", b"00dc", 16 if number % 12 == 0 else 0, len(content), len(chunk))
        content += struct.pack("<4sI", b"00dc", len(chunk)) + chunk + b"\0" * (len(chunk) % 2)
    body = bytes(data[8 : movi - 8]) + struct.pack("<4sI", b"LIST", len(content)) + content
    body += struct.pack("<4sI", b"idx1", len(index)) + index
    data[:] = struct.pack("<4sI", b"RIFF", len(body)) + body


def cover_first(folder: Path) -> Path:
    """An MP4 file whose cover picture comes before its video."""
    cover = media.make_video(folder / "cover.mjpeg", 1, (32, 32), codec="mjpeg", pix_fmt="yuvj420p")
    whole = media.make_video(folder / "whole.mp4", FRAMES, options=CLOSED)
    jpeg = cover.read_bytes()
    art = atom(b"covr", atom(b"data", struct.pack(">II", 13, 0) + jpeg))
    handler = atom(b"hdlr", bytes(8) + b"mdirappl" + bytes(9))
    tags = atom(b"udta", atom(b"meta", bytes(4) + handler + atom(b"ilst", art)))
    data = bytearray(whole.read_bytes())
    moov = data.index(b"moov") - 4
    track = data.index(b"trak") - 4
    size = struct.unpack(">I", data[moov : moov + 4])[0]
    data[track:track] = tags  # the pictures lie before: their places stay
    struct.pack_into(">I", data, moov, size + len(tags))
    (folder / "cover.mp4").write_bytes(data)
    return folder / "cover.mp4"


def atom(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def joined(*makers: Maker, name: str) -> Maker:
    """Raw streams one behind the other."""
    return lambda folder: write_bytes(folder / name, b"".join(maker(folder).read_bytes() for maker in makers))


def write_bytes(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


H264_MP4 = make("closed.mp4", "libx264", CLOSED)
H264_MKV = make("closed.mkv", "libx264", CLOSED)
H264_RAW = make("raw.h264", "libx264", PYRAMID)
OPEN_MP4 = make("open.mp4", "libx264", OPEN)
HEVC_MP4 = make("hevc.mp4", "libx265", HEVC_OPEN)
VP8_WEBM = make("v8.webm", "libvpx", VP8)
VP9_WEBM = make("v9.webm", "libvpx-vp9", VP9)
AV1_MP4 = make("av1.mp4", "libsvtav1", AV1)
MPEG2_TS = make("m2.ts", "mpeg2video", B_FRAMES)
MPEG4_AVI = make("m4.avi", "mpeg4", {"g": "12"})

JUMPS: dict[str, Maker] = {
    "H.264 mp4": H264_MP4,
    "H.264 mp4, pyramid of B-frames": make("p.mp4", "libx264", PYRAMID),
    "H.264 mp4, no B-frames": make("nob.mp4", "libx264", {"bf": "0", "g": "12", "preset": "ultrafast"}),
    "H.264 mp4, key frames only": make("intra.mp4", "libx264", {"g": "1", "preset": "ultrafast"}),
    "H.264 mp4, open GOP": OPEN_MP4,
    "H.264 mp4, interlaced": make("tff.mp4", "libx264", {"x264-params": "tff=1:keyint=10:bframes=2"}),
    "H.264 mp4, slices": make("slices.mp4", "libx264", {**CLOSED, "x264-params": "slices=3:b-adapt=0"}),
    "H.264 mp4, 4:4:4": make("444.mp4", "libx264", CLOSED, pix_fmt="yuv444p"),
    "H.264 mp4, uneven times": make("vfr.mp4", "libx264", PYRAMID, times=UNEVEN),
    "H.264 mp4, beginning late": make("late.mp4", "libx264", CLOSED, times=range(50, 90)),
    "H.264 mp4, with sound": make("sound.mp4", "libx264", CLOSED, sound=True),
    "H.264 mp4, cut by an edit list": patched(H264_MP4, "edit.mp4", cut_by_edit_list),
    "H.264 mp4, pyramid cut by an edit list": patched(make("p.mp4", "libx264", PYRAMID), "edit.mp4", cut_by_edit_list),
    "H.264 mp4, without a table of key frames": patched(H264_MP4, "nokeys.mp4", without_key_table),
    "H.264 mp4, in fragments": remux(H264_MP4, "f.mp4", as_they_are, movflags="frag_keyframe+empty_moov"),
    "H.264 mp4, copied from a key frame": remux(H264_MP4, "cut.mp4", from_key(1)),
    "H.264 mp4, copied to a B-frame": remux(H264_MP4, "cut.mp4", until(23)),
    "H.264 mov": make("a.mov", "libx264", CLOSED),
    "H.264 3gp": make("a.3gp", "libx264", CLOSED),
    "H.264 mkv": H264_MKV,
    "H.264 mkv, copied from a key frame": remux(H264_MKV, "cut.mkv", from_key(2)),
    "H.264 mkv, every packet called a key": remux(H264_MKV, "keys.mkv", all_keys),
    "HEVC mp4": HEVC_MP4,
    "HEVC mp4, closed GOP": make("c.mp4", "libx265", HEVC_CLOSED),
    "HEVC mkv": make("a.mkv", "libx265", HEVC_OPEN),
    "HEVC mp4, frames dropped that no other refers to": remux(HEVC_MP4, "u.mp4", without(7, 16)),
    "HEVC mov, temporal layers": make("t.mov", "libx265", {**HEVC_OPEN, "x265-params": f"{X265}:temporal-layers=3"}),
    "VP8 webm": VP8_WEBM,
    "VP8 webm, copied from a key frame": remux(VP8_WEBM, "cut.webm", from_key(1)),
    "VP8 webm, frames not shown": remux(VP8_WEBM, "hidden.webm", hidden_copies),
    "VP9 webm": VP9_WEBM,
    "VP9 webm, frames not shown": make("alt.webm", "libvpx-vp9", ALT_REF),
    "VP9 webm, packets of frames not shown": remux(
        make("alt.webm", "libvpx-vp9", ALT_REF), "split.mkv", superframes_split
    ),
    "VP9 mp4": make("v9.mp4", "libvpx-vp9", VP9),
    "VP9 webm, uneven times": make("vfr.webm", "libvpx-vp9", VP9, times=UNEVEN),
    "AV1 mp4": AV1_MP4,
    "AV1 webm": make("av1.webm", "libsvtav1", AV1),
    "AV1 mkv, copied from a key frame": remux(AV1_MP4, "cut.mkv", from_key(1)),
    "Motion JPEG mov": make("j.mov", "mjpeg", pix_fmt="yuvj420p"),
    "Motion JPEG mkv": make("j.mkv", "mjpeg", pix_fmt="yuvj420p"),
    "ProRes mov": make("p.mov", "prores_ks", pix_fmt="yuv422p10le"),
    "H.264 mp4, title in Latin-1": patched(titled(H264_MP4, "t.mp4"), "latin.mp4", latin_1_title),
    "H.264 mp4, cover art first": cover_first,
}  # fmt: skip

OTHERS: dict[str, Maker] = {
    "H.264 mp4, made-up times": remux(H264_RAW, "made.mp4", made_up_times),
    "H.264 mkv, made-up times": remux(H264_RAW, "made.mkv", made_up_times),
    "H.264 mp4, copied from between key frames": remux(H264_MP4, "cut.mp4", from_packet(4)),
    "H.264 mkv, copied from between key frames": remux(H264_MKV, "cut.mkv", from_packet(13)),
    "H.264 mkv, open GOP copied from a key frame": remux(OPEN_MP4, "cut.mkv", from_key(1)),
    "H.264 mp4, frames dropped": remux(make("nob.mp4", "libx264", {"bf": "0", "g": "9"}), "d.mp4", without(8, 17)),
    "HEVC mp4, reference frames dropped": remux(HEVC_MP4, "d.mp4", without(6, 17)),
    "H.264 ts": make("a.ts", "libx264", CLOSED),
    "H.264 ts, open GOP": make("o.ts", "libx264", OPEN),
    "H.264 m2ts": make("a.m2ts", "libx264", PYRAMID),
    "H.264 avi": make("a.avi", "libx264", PYRAMID),
    "H.264 flv": make("a.flv", "libx264", PYRAMID),
    "H.264 raw": H264_RAW,
    "H.264 raw, two videos joined": joined(H264_RAW, make("o.h264", "libx264", OPEN), name="two.h264"),
    "HEVC mp4, copied from a key frame": remux(HEVC_MP4, "cut.mp4", from_key(1)),
    "HEVC mkv, copied from between key frames": remux(HEVC_MP4, "cut.mkv", from_packet(5)),
    "HEVC mp4, made-up times": remux(make("a.hevc", "libx265", HEVC_OPEN), "made.mp4", made_up_times),
    "HEVC ts": make("h.ts", "libx265", HEVC_OPEN),
    "HEVC raw": make("a.hevc", "libx265", HEVC_OPEN),
    "VP8 ivf": make("a.ivf", "libvpx", VP8),
    "VP9 ivf": make("v9.ivf", "libvpx-vp9", VP9),
    "AV1 ivf": make("av1.ivf", "libsvtav1", AV1),
    "AV1 obu": make("av1.obu", "libsvtav1", AV1),
    "MPEG-1 mpg": make("a.mpg", "mpeg1video", B_FRAMES),
    "MPEG-1 raw": make("a.m1v", "mpeg1video", B_FRAMES),
    "MPEG-1 mkv": make("m1.mkv", "mpeg1video", B_FRAMES),
    "MPEG-1 mpg, copied from between key frames": remux(
        make("w.mpg", "mpeg1video", B_FRAMES), "cut.mpg", from_packet(4)
    ),
    "MPEG-2 mpg": make("b.mpg", "mpeg2video", B_FRAMES),
    "MPEG-2 ts": MPEG2_TS,
    "MPEG-2 ts, copied from between key frames": remux(MPEG2_TS, "cut.ts", from_packet(13)),
    "MPEG-2 vob": make("a.vob", "mpeg2video", B_FRAMES),
    "MPEG-2 mkv, copied from a key frame": remux(MPEG2_TS, "cut.mkv", from_key(1)),
    "MPEG-2 mp4": make("m2.mp4", "mpeg2video", B_FRAMES),
    "MPEG-2 raw": make("a.m2v", "mpeg2video", B_FRAMES),
    "MPEG-4 avi": MPEG4_AVI,
    "MPEG-4 avi, B-frames": make("b.avi", "mpeg4", B_FRAMES),
    "MPEG-4 avi, dropped frames": patched(MPEG4_AVI, "dropped.avi", with_dropped_frames),
    "MPEG-4 avi, title in Latin-1": patched(titled(MPEG4_AVI, "t.avi"), "latin.avi", latin_1_title),
    "MPEG-4 mp4, B-frames": make("b.mp4", "mpeg4", B_FRAMES),
    "MPEG-4 mkv, copied from between key frames": remux(make("b.mkv", "mpeg4", B_FRAMES), "c.mkv", from_packet(4)),
    "MPEG-4 3gp": make("m4.3gp", "mpeg4", {"g": "12"}),
    "MPEG-4 raw": make("a.m4v", "mpeg4", {"g": "12"}),
    "MS-MPEG-4 avi": make("ms.avi", "msmpeg4"),
    "WMV wmv": make("a.wmv", "wmv2"),
    "FLV1 flv": make("f.flv", "flv"),
    "H.263 3gp": make("h.3gp", "h263", size=(128, 96)),
    "Motion JPEG avi": make("j.avi", "mjpeg", pix_fmt="yuvj420p"),
    "Motion JPEG raw": make("a.mjpeg", "mjpeg", pix_fmt="yuvj420p"),
    "GIF": make("a.gif", "gif", pix_fmt="rgb8"),
    "FFV1 mkv": make("f.mkv", "ffv1"),
    "MPEG-2 mxf": make("d.mxf", "mpeg2video", {"g": "12"}),
}  # fmt: skip
FILES = {**JUMPS, **OTHERS}
