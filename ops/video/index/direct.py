"""Frames decoded from a file's bytes, without opening its container: what costs most of opening a short video.

Only where a pass over the file has shown that the bytes at the packets' places are what the container hands over,
and that the decoder makes of them what it makes of the container's packets.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ops.video.container import prepare
from ops.video.frame_index import Places, Run

CODECS = ("h264", "hevc")  # whose decoders need nothing more from a container than what is kept here
Take = Callable[[Any], Any]  # makes an array of a decoded frame


class Colours(NamedTuple):
    """What the container says of colours, in FFmpeg's numbers."""

    range: int
    matrix: int
    primaries: int
    transfer: int


class Coding(NamedTuple):
    """How packets are coded.

    Args:
        codec: name of the decoder.
        extradata: the codec's parameters.
        colours: where the codec does not say.
    """

    codec: str
    extradata: bytes
    colours: Colours


class Packets(NamedTuple):
    """Where the bytes of packets are: byte offsets (P,) and sizes (P,) of each, in order of decoding."""

    coding: Coding
    offsets: np.ndarray
    sizes: np.ndarray


class PacketsSeen:
    """Collects where packets are, while it looks whether their bytes are there.

    Args:
        path: the file.
        stream: whose packets it will see.
    """

    def __init__(self, path: Path, stream: Any) -> None:
        self._stream = stream
        self._places: list[tuple[int, int]] = []
        self._file: int | None = os.open(path, os.O_RDONLY)

    def see(self, packet: Any) -> None:
        if self._file is None:
            return
        if packet.pos is not None and os.pread(self._file, packet.size, packet.pos) == bytes(packet):
            self._places.append((packet.pos, packet.size))
        else:
            self.close()

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def packets(self, places: Places | None) -> Packets | None:
        """All of them; None where bytes are elsewhere, or pictures are not shown."""
        context = self._stream.codec_context
        if self._file is None or places is None or len(self._places) != len(places) or not context.extradata:
            return None
        if context.codec.canonical_name not in CODECS:
            return None
        colours = context.color_range, context.colorspace, context.color_primaries, context.color_trc
        coding = Coding(context.codec.name, bytes(context.extradata), Colours(*map(int, colours)))
        offsets, sizes = np.array(self._places).T
        return Packets(coding, offsets, sizes)


class DirectDecoder:
    """Decodes runs of frames from the bytes of a file.

    Args:
        path: the file.
        packets: where they are.
        times: of each, in any unit.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path, packets: Packets, times: np.ndarray) -> None:
        import av

        codec, extradata, colours = packets.coding
        context: Any = av.CodecContext.create(codec, "r")
        context.extradata = extradata
        context.color_range, context.colorspace, context.color_primaries, context.color_trc = colours
        prepare(context)
        self._packet = av.Packet
        self._context = context
        self._packets = packets
        self._times = times
        self._file = os.open(path, os.O_RDONLY)

    def close(self) -> None:
        os.close(self._file)

    def decode(self, run: Run, can_skip: bool, take: Take) -> dict[int, Any]:
        """The frames of a run by index; none where the decoder gives something else than was expected.

        Raises:
            av.error.FFmpegError, OSError: it cannot be decoded.
        """
        context, found = self._context, {}
        others = "NONREF" if can_skip else "DEFAULT"
        context.flush_buffers()
        shown = None
        some = slice(run.packets.start, run.packets.stop)
        columns = (values[some].tolist() for values in (self._times, self._packets.offsets, self._packets.sizes))
        for number, (time, offset, size) in enumerate(zip(*columns, strict=True), run.packets.start):
            packet = self._packet(os.pread(self._file, size, offset))
            packet.pts = time
            context.skip_frame = "DEFAULT" if time in run.wanted else others
            is_last = number == run.packets[-1]
            for frame in context.decode(packet) + (context.decode(None) if is_last else []):
                if frame.pts is None or (shown is not None and frame.pts <= shown) or frame.is_corrupt:
                    return {}
                shown = frame.pts
                if frame.pts in run.wanted:
                    found[run.wanted[frame.pts]] = take(frame)
        return found
