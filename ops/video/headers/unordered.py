"""Headers of codecs whose pictures are shown as they are decoded: VP8, VP9, AV1, Motion JPEG and ProRes."""

from collections.abc import Iterator

from ops.video.errors import UnknownOrderError
from ops.video.headers.header import Header


class _Unordered:
    """Pictures are shown as they are decoded; a subclass says of a packet (number shown, whether it is a start)."""

    depth = 0
    can_skip = True

    def __init__(self) -> None:
        self._count = 0

    def read(self, packet: memoryview) -> Header:
        shown, start = self._look(packet)
        if shown > 1 or (self._count == 0 and not (shown and start)):
            raise UnknownOrderError("a packet is not one picture")
        self._count += 1
        return Header((0, self._count) if shown else None, start)

    def _look(self, packet: memoryview) -> tuple[int, bool]:
        raise NotImplementedError


class VP8Headers(_Unordered):
    """VP8 (RFC 6386, 9.1); alternate reference frames are not shown."""

    def _look(self, packet: memoryview) -> tuple[int, bool]:
        is_shown = packet[0] >> 4 & 1
        return is_shown, not packet[0] & 1 and bool(is_shown)


class VP9Headers(_Unordered):
    """VP9 (bitstream specification, 6.2 and annex B); a superframe holds frames that are not shown and one that is."""

    def _look(self, packet: memoryview) -> tuple[int, bool]:
        looked = [self._frame(packet[start]) for start in self._frames(packet)]
        return sum(shown for shown, _ in looked), looked[0] == (1, True)

    @staticmethod
    def _frames(packet: memoryview) -> Iterator[int]:
        """Where the packet's frames begin."""
        last = packet[-1]
        count, width = (last & 7) + 1, (last >> 3 & 3) + 1
        place = len(packet) - 2 - count * width
        if last >> 5 != 6 or place < 0 or packet[place] != last:
            yield 0
            return
        start = 0
        for number in range(count):
            yield start
            begin = place + 1 + number * width
            start += int.from_bytes(packet[begin : begin + width], "little")
            if start > place:
                raise UnknownOrderError("a packet is not whole")

    @staticmethod
    def _frame(first: int) -> tuple[int, bool]:
        if first >> 6 != 2:
            raise UnknownOrderError("no VP9 frame")
        if first >> 4 & 3 == 3:  # profile 3 has a bit more
            first <<= 1
        if first >> 3 & 1:  # a frame from before is shown
            return 1, False
        is_shown = first >> 1 & 1
        return is_shown, not first >> 2 & 1 and bool(is_shown)


class AV1Headers(_Unordered):
    """AV1 (bitstream specification, 5.3 to 5.9); a packet holds frames that are not shown and one that is."""

    SEQUENCE, FRAME_HEADER, FRAME = 1, 3, 6

    def _look(self, packet: memoryview) -> tuple[int, bool]:
        looked: list[tuple[int, bool]] = []
        for kind, first in self._units(packet):
            if kind == self.SEQUENCE:
                if first >> 3 & 1:  # reduced_still_picture_header
                    raise UnknownOrderError("a still picture")
            elif kind in (self.FRAME_HEADER, self.FRAME):
                is_known = first >> 7  # show_existing_frame
                is_shown = is_known or first >> 4 & 1
                looked.append((is_shown, not is_known and not first >> 5 & 3 and bool(is_shown)))
        return sum(shown for shown, _ in looked), bool(looked) and looked[0] == (1, True)

    @staticmethod
    def _units(packet: memoryview) -> Iterator[tuple[int, int]]:
        """Kind and first byte of the packet's open bitstream units."""
        place, end = 0, len(packet)
        while place < end:
            head = packet[place]
            place += 2 if head & 4 else 1
            size = end - place
            if head & 2:
                size = shift = 0
                while place < end:
                    byte = packet[place]
                    place, size, shift = place + 1, size | (byte & 127) << shift, shift + 7
                    if byte < 128:
                        break
            if place + size > end:
                raise UnknownOrderError("a packet is not whole")
            if size:
                yield head >> 3 & 15, packet[place]
            place += size


class IntraHeaders(_Unordered):
    """Codecs each of whose packets is a picture of its own: Motion JPEG, ProRes."""

    def _look(self, packet: memoryview) -> tuple[int, bool]:
        return 1, True
