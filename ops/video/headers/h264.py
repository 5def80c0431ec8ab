"""The order of H.264 pictures, from their headers alone (ITU-T H.264)."""

from ops.video.errors import UnknownOrderError
from ops.video.headers.bit_reader import Bits
from ops.video.headers.header import Header
from ops.video.headers.picture_order import HEADER, PictureOrder, parameter_sets, units

HIGH_PROFILES = (44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244)


class H264Headers:
    """Headers of progressive H.264 with one sequence parameter set, as MP4 and Matroska store it."""

    can_skip = True  # what no picture refers to

    def __init__(self, extradata: bytes, depth: int) -> None:
        if len(extradata) < 7 or extradata[0] != 1:
            raise UnknownOrderError("no H.264 parameters")
        self.depth = depth
        self.length_size = (extradata[4] & 3) + 1
        sets, _ = parameter_sets(extradata, 6, extradata[5] & 31)
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
        self._orders = PictureOrder(self._low_bits)
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
