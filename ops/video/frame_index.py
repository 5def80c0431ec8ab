"""Where the frames of a video file are: found by its packets' headers, where these tell it for certain.

A container's times are used only where they order the pictures as the codec's own headers do, and only in containers
that can be trusted to find a packet by its time. Everything else is decoded from the first frame on.
"""

import bisect
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ops.video.errors import UnknownOrderError
from ops.video.headers.h264 import H264Headers
from ops.video.headers.header import Headers
from ops.video.headers.hevc import HEVCHeaders
from ops.video.headers.unordered import AV1Headers, IntraHeaders, VP8Headers, VP9Headers

CONTAINERS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
CODECS: dict[str, Callable[[Any], Headers]] = {
    "h264": lambda context: H264Headers(context.extradata or b"", _depth(context)),
    "hevc": lambda context: HEVCHeaders(context.extradata or b""),
    "vp8": lambda context: VP8Headers(),
    "vp9": lambda context: VP9Headers(),
    "av1": lambda context: AV1Headers(),
    "mjpeg": lambda context: IntraHeaders(),
    "prores": lambda context: IntraHeaders(),
}


def _depth(context: Any) -> int:
    """How many pictures the decoder holds back; PyAV before 18 says only whether it does."""
    return getattr(context, "reorder_depth", int(context.has_b_frames))


class Run(NamedTuple):
    """Frames that are decoded without a jump.

    Args:
        start_time: of the packet to begin with.
        last: time of the packet to end with.
        wanted: index of each wanted frame, by time.
        packets: numbers of the packets from the first to the last.
    """

    start_time: int
    last: int
    wanted: dict[int, int]
    packets: range


class Places:
    """Where the frames of a file are.

    Args:
        times: of the packets with pictures, in the order of decoding.
        shown: which of them are shown, rather than cut away by an edit list.
        starts: places of the packets from which decoding may begin.
        can_skip: the decoder may skip pictures to which no other refers.
    """

    def __init__(self, times: np.ndarray, shown: np.ndarray, starts: np.ndarray, can_skip: bool) -> None:
        self.times = times
        self.shown = shown
        self.starts = starts
        self.can_skip = can_skip
        places = np.flatnonzero(shown)
        self._place_of = places[np.argsort(times[places])]  # by index of the frame
        self._starts = starts.tolist()

    def __len__(self) -> int:
        return len(self._place_of)

    def last_start(self) -> int:
        """Index of the frame of the last packet from which decoding may begin."""
        return int(np.flatnonzero(self._place_of == self._starts[-1])[0])

    def runs(self, indices: np.ndarray) -> list[Run]:
        """How to decode the frames at sorted ``indices``."""
        runs: list[Run] = []
        last_place = -1
        for index in indices.tolist():
            place = int(self._place_of[index])
            time = int(self.times[place])
            start = self._start_before(time, place)
            if not runs or start > last_place + 1:
                runs.append(Run(int(self.times[start]), time, {time: index}, range(start, place + 1)))
                last_place = place
            else:
                runs[-1].wanted[time] = index
                if place > last_place:
                    packets = range(runs[-1].packets.start, place + 1)
                    runs[-1], last_place = runs[-1]._replace(last=time, packets=packets), place
        return runs

    def _start_before(self, time: int, place: int) -> int:
        """The last start that a frame can depend on: decoded and shown before it, or itself."""
        number = bisect.bisect_right(self._starts, place) - 1
        while number > 0 and self.times[self._starts[number]] > time:
            number -= 1
        return self._starts[number]


def find_places(container: Any, stream: Any, see: Callable[[Any], None]) -> tuple[Places | None, int]:
    """Places of the frames by a pass over the packets, None where they are not certain; the number of packets.

    Args:
        see: is given each packet.
    """
    if container.format.name not in CONTAINERS or stream.codec_context.codec.canonical_name not in CODECS:
        return None, 0
    times: list[int] = []
    orders: list[tuple[int, int]] = []
    discarded: list[bool] = []
    starts: list[int] = []
    packets = 0
    try:
        headers = CODECS[stream.codec_context.codec.canonical_name](stream.codec_context)
        for packet in container.demux(stream):
            if packet.dts is None and not packet.size:  # the end
                break
            packets += 1
            if packet.pts is None or not packet.size or packet.is_corrupt or packet.has_sidedata("new_extradata"):
                raise UnknownOrderError("a packet without time or picture")
            see(packet)
            header = headers.read(memoryview(packet))
            if header.order is not None:
                if header.start and packet.is_keyframe:
                    starts.append(len(times))
                times.append(packet.pts)
                orders.append(header.order)
                discarded.append(packet.is_discard)
        _check_order(times, orders, starts, headers.depth)
    except (UnknownOrderError, IndexError):
        return None, packets
    return Places(np.array(times), ~np.array(discarded), np.array(starts), headers.can_skip), packets


def _check_order(times: list[int], orders: list[tuple[int, int]], starts: list[int], depth: int) -> None:
    """Raise unless times sort the pictures as the headers do, from the first on, within what the decoder holds back."""
    by_order = sorted(range(len(orders)), key=orders.__getitem__)
    if starts[:1] != [0] or by_order[0] != 0:
        raise UnknownOrderError("the first picture is none to begin with")
    for earlier, later in itertools.pairwise(by_order):
        if times[earlier] >= times[later] or orders[earlier] == orders[later]:
            raise UnknownOrderError("times and headers disagree")
    # A picture waits for those that are decoded after it and shown before it.
    if max(place - rank for rank, place in enumerate(by_order)) > depth:
        raise UnknownOrderError("pictures are further out of order than the decoder expects")
