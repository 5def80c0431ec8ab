"""The order of H.264 and HEVC pictures, from their headers alone (ITU-T H.264, H.265).

A picture's place in the order of showing is its picture order count (POC), which restarts at each IDR picture.
"""

from collections.abc import Iterator

from ops.video.bits import Bits
from ops.video.errors import UnknownOrderError
from ops.video.headers import Header

HEADER = 32  # bytes that hold all that is read of a slice
HIGH_PROFILES = (44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244)


class _PictureOrder:
    """Picture order counts, from their lowest bits."""

    def __init__(self, bits: int) -> None:
        self.size = 1 << bits
        self.period = 0
        self._base = self._low = 0

    def restart(self) -> None:
        self.period += 1
        self._base = self._low = 0

    def of(self, low: int, is_reference: bool) -> tuple[int, int]:
        base = self._base
        if low < self._low and self._low - low >= self.size // 2:
            base += self.size
        elif low > self._low and low - self._low > self.size // 2:
            base -= self.size
        if is_reference:
            self._base, self._low = base, low
        return self.period, base + low


def units(data: memoryview, length_size: int) -> Iterator[memoryview]:
    """NAL units that have their lengths in front."""
    place, end = 0, len(data)
    while place < end:
        length = int.from_bytes(data[place : place + length_size], "big")
        place += length_size
        if length == 0 or place + length > end:
            raise UnknownOrderError("a packet is not whole")
        yield data[place : place + length]
        place += length


def _parameter_sets(extradata: bytes, place: int, count: int) -> tuple[list[bytes], int]:
    """``count`` units with lengths of two bytes, and where they end."""
    found = []
    for _ in range(count):
        length = int.from_bytes(extradata[place : place + 2], "big")
        found.append(extradata[place + 2 : place + 2 + length])
        place += 2 + length
    return found, place


class H264Headers:
    """Headers of progressive H.264 with one sequence parameter set, as MP4 and Matroska store it."""

    can_skip = True  # what no picture refers to

    def __init__(self, extradata: bytes, depth: int) -> None:
        if len(extradata) < 7 or extradata[0] != 1:
            raise UnknownOrderError("no H.264 parameters")
        self.depth = depth
        self.length_size = (extradata[4] & 3) + 1
        sets, _ = _parameter_sets(extradata, 6, extradata[5] & 31)
        if len(sets) != 1:
            raise UnknownOrderError("several sequences")
        self._set = sets[0]
        bits = Bits(self._set, 1)
        profile = bits.take(8)
        bits.take(16)
        bits.exp_golomb()
        if profile in HIGH_PROFILES:
            _skip_formats(bits)
        self._number_bits = bits.exp_golomb() + 4
        self._type = bits.exp_golomb()
        if self._type == 1:
            raise UnknownOrderError("picture order counts of type 1")
        self._low_bits = bits.exp_golomb() + 4 if self._type == 0 else 16
        bits.exp_golomb()
        bits.take(1)
        bits.exp_golomb(), bits.exp_golomb()
        self._frames_only = bits.take(1)
        self._orders = _PictureOrder(self._low_bits)
        self._count = 0
        self._expected: tuple[int, ...] = ()  # numbers that the next picture may have

    def read(self, packet: memoryview) -> Header:
        header = None
        for unit in units(packet, self.length_size):
            kind = unit[0] & 31
            if kind in (1, 5):
                begins = unit[1] >> 7  # first_mb_in_slice is 0
                if begins == (header is not None):
                    raise UnknownOrderError("a packet is not one picture")
                header = header or self._slice(unit, kind == 5)
            elif kind in (2, 3, 4) or (kind == 7 and unit != self._set):
                raise UnknownOrderError("another sequence or partitions")
        if header is None:
            raise UnknownOrderError("a packet without a picture")
        return header

    def _slice(self, unit: memoryview, is_idr: bool) -> Header:
        bits = Bits(bytes(unit[:HEADER]), 1)
        bits.exp_golomb(), bits.exp_golomb(), bits.exp_golomb()
        number = bits.take(self._number_bits)
        is_reference = bool(unit[0] & 0x60)
        if not is_idr and number not in self._expected:
            raise UnknownOrderError("a picture is missing")
        following = (number + 1) % (1 << self._number_bits)
        self._expected = (following,) if is_reference else (number,)
        if not self._frames_only and bits.take(1):
            raise UnknownOrderError("fields")
        if is_idr:
            bits.exp_golomb()
            self._orders.restart()
        self._count += 1
        if self._type == 2:
            return Header((0, self._count), is_idr)
        return Header(self._orders.of(bits.take(self._low_bits), is_reference), is_idr)


def _skip_formats(bits: Bits) -> None:
    """Chroma format, bit depths and scaling lists of a sequence parameter set."""
    chroma = bits.exp_golomb()
    if chroma == 3 and bits.take(1):
        raise UnknownOrderError("separate colour planes")
    bits.exp_golomb(), bits.exp_golomb()
    bits.take(1)
    if not bits.take(1):
        return
    for number in range(12 if chroma == 3 else 8):
        last = following = 8
        for _ in range((16 if number < 6 else 64) * bits.take(1)):
            if following:
                following = (last + bits.signed_exp_golomb()) % 256
            last = following or last


class HEVCHeaders:
    """Headers of HEVC with one sequence parameter set, as MP4 and Matroska store it."""

    def __init__(self, extradata: bytes) -> None:
        if len(extradata) < 23 or extradata[0] != 1:
            raise UnknownOrderError("no HEVC parameters")
        self.can_skip = True
        self.length_size = (extradata[21] & 3) + 1
        sets: dict[int, list[bytes]] = {}
        place = 23
        for _ in range(extradata[22]):
            kind, count = extradata[place] & 63, int.from_bytes(extradata[place + 1 : place + 3], "big")
            found, place = _parameter_sets(extradata, place + 3, count)
            sets.setdefault(kind, []).extend(found)
        self._sets = [*sets.get(33, []), *sets.get(34, [])]
        if len(sets.get(33, [])) != 1:
            raise UnknownOrderError("several sequences")
        self._read_sequence(Bits(self._sets[0], 2))
        self._extra_bits = {}
        for unit in sets.get(34, []):
            bits = Bits(unit, 2)
            number, _, _ = bits.exp_golomb(), bits.exp_golomb(), bits.take(1)
            if bits.take(1):
                raise UnknownOrderError("pictures that may be kept back")
            self._extra_bits[number] = bits.take(3)
        self._orders = _PictureOrder(self._low_bits)

    def _read_sequence(self, bits: Bits) -> None:
        bits.take(4)
        layers = bits.take(3)
        bits.take(1 + 96)  # profile and level
        if layers:
            present = bits.take(16)
            for layer in range(layers):
                flags = present >> (14 - 2 * layer) & 3
                bits.take(88 * (flags >> 1) + 8 * (flags & 1))
        bits.exp_golomb()
        if bits.exp_golomb() == 3 and bits.take(1):
            raise UnknownOrderError("separate colour planes")
        bits.exp_golomb(), bits.exp_golomb()
        if bits.take(1):
            bits.exp_golomb(), bits.exp_golomb(), bits.exp_golomb(), bits.exp_golomb()
        bits.exp_golomb(), bits.exp_golomb()
        self._low_bits = bits.exp_golomb() + 4
        for _ in range(layers + 1 if bits.take(1) else 1):
            bits.exp_golomb()
            self.depth = bits.exp_golomb()
            bits.exp_golomb()

    def read(self, packet: memoryview) -> Header:
        header = None
        for unit in units(packet, self.length_size):
            kind, is_base = unit[0] >> 1 & 63, not (unit[0] & 1 or unit[1] >> 3)
            if not is_base:
                continue
            if kind < 32:
                begins = unit[2] >> 7  # first_slice_segment_in_pic_flag
                if begins == (header is not None):
                    raise UnknownOrderError("a packet is not one picture")
                header = header or self._slice(unit, kind)
            elif kind in (36, 37) or (kind in (33, 34) and unit not in self._sets):
                raise UnknownOrderError("another sequence")
        if header is None:
            raise UnknownOrderError("a packet without a picture")
        return header

    def _slice(self, unit: memoryview, kind: int) -> Header:
        is_idr, is_cra = kind in (19, 20), kind == 21
        if kind > 9 and not (is_idr or is_cra):
            raise UnknownOrderError("broken links")
        layer = (unit[1] & 7) - 1
        if layer:  # a picture of a higher layer may refer to one that its own layer does not
            self.can_skip = False
        bits = Bits(bytes(unit[:HEADER]), 2)
        bits.take(1)
        if kind >= 16 and bits.take(1):
            raise UnknownOrderError("pictures that are dropped")
        extra = self._extra_bits.get(bits.exp_golomb())
        if extra is None:
            raise UnknownOrderError("unknown parameters")
        bits.take(extra)
        bits.exp_golomb()
        if is_idr:
            self._orders.restart()
            return Header(self._orders.of(0, True), True)
        is_reference = layer == 0 and (is_cra or kind in (1, 3, 5))
        return Header(self._orders.of(bits.take(self._low_bits), is_reference), is_cra)
