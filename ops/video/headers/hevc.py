"""The order of HEVC pictures, from their headers alone (ITU-T H.265)."""

from typing import NamedTuple

from ops.video.errors import UnknownOrderError
from ops.video.headers.bit_reader import Bits
from ops.video.headers.header import Header
from ops.video.headers.picture_order import HEADER, PictureOrder, parameter_sets, units


class ReferenceSet(NamedTuple):
    """Pictures that are kept for a picture (7.4.8): (distance in POC, whether the picture itself refers to it).

    Args:
        before: those shown earlier, the nearest first.
        behind: those shown later, the nearest first.
    """

    before: list[tuple[int, bool]]
    behind: list[tuple[int, bool]]


def read_reference_set(bits: Bits, known: list[ReferenceSet], of_slice: bool = False) -> ReferenceSet:
    """A short-term reference picture set (7.3.7), written out or as a change to one of the ``known`` ones.

    Args:
        of_slice: it stands in a slice's header, not in the sequence's list of sets.
    """
    if known and bits.take(1):
        source = known[-1 - (bits.exp_golomb() if of_slice else 0)]
        sign = bits.take(1)
        change = (1 - 2 * sign) * (bits.exp_golomb() + 1)
        moved = [(delta + change) for delta, _ in source.before + source.behind] + [change]
        kept = []
        for delta in moved:
            is_used = bool(bits.take(1))
            if is_used or bits.take(1):
                kept.append((delta, is_used))
        before = sorted((entry for entry in kept if entry[0] < 0), reverse=True)
        return ReferenceSet(before, sorted(entry for entry in kept if entry[0] > 0))
    counts = bits.exp_golomb(), bits.exp_golomb()
    if max(counts) > 16:
        raise UnknownOrderError("too many references")
    parts: list[list[tuple[int, bool]]] = []
    for count, direction in zip(counts, (-1, 1), strict=True):
        delta, part = 0, []
        for _ in range(count):
            delta += direction * (bits.exp_golomb() + 1)
            part.append((delta, bool(bits.take(1))))
        parts.append(part)
    return ReferenceSet(*parts)


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
            found, place = parameter_sets(extradata, place + 3, count)
            sets.setdefault(kind, []).extend(found)
        self._sets = [*sets.get(33, []), *sets.get(34, [])]
        if len(sets.get(33, [])) != 1:
            raise UnknownOrderError("several sequences")
        self._reference_sets: list[ReferenceSet] = []
        self._read_sequence(Bits(self._sets[0], 2))
        self._extra_bits = {}
        for unit in sets.get(34, []):
            bits = Bits(unit, 2)
            number, _, _ = bits.exp_golomb(), bits.exp_golomb(), bits.take(1)
            if bits.take(1):
                raise UnknownOrderError("pictures that may be kept back")
            self._extra_bits[number] = bits.take(3)
        self._orders = PictureOrder(self._low_bits)
        self._decoded: set[tuple[int, int]] = set()  # since the last IDR picture

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
        for _ in range(6):  # block sizes and depths
            bits.exp_golomb()
        if bits.take(1) and bits.take(1):
            raise UnknownOrderError("scaling lists")
        bits.take(2)
        if bits.take(1):  # PCM
            bits.take(8), bits.exp_golomb(), bits.exp_golomb(), bits.take(1)
        for _ in range(bits.exp_golomb()):
            self._reference_sets.append(read_reference_set(bits, self._reference_sets))
        if bits.take(1):
            raise UnknownOrderError("long-term references")

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
            self._decoded = {self._orders.of(0, True)}
            return Header(self._orders.of(0, True), True)
        is_reference = layer == 0 and (is_cra or kind in (1, 3, 5))
        period, count = order = self._orders.of(bits.take(self._low_bits), is_reference)
        if any((period, count + delta) not in self._decoded for delta in self._references(bits)):
            raise UnknownOrderError("a picture is missing")
        self._decoded.add(order)
        return Header(order, is_cra)

    def _references(self, bits: Bits) -> list[int]:
        """Distances to the pictures that this one refers to."""
        sets = self._reference_sets
        if bits.take(1):
            chosen = sets[bits.take((len(sets) - 1).bit_length())]
        else:
            chosen = read_reference_set(bits, sets, of_slice=True)
        return [delta for delta, is_used in chosen.before + chosen.behind if is_used]
