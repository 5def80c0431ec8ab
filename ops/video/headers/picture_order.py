"""What H.264 and HEVC share: NAL units, and the order of pictures (ITU-T H.264, H.265).

A picture's place in the order of showing is its picture order count (POC), which restarts at each IDR picture.
"""

from collections.abc import Iterator

from ops.video.errors import UnknownOrderError

HEADER = 64  # bytes that hold all that is read of a slice


class PictureOrder:
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


def parameter_sets(extradata: bytes, place: int, count: int) -> tuple[list[bytes], int]:
    """``count`` units with lengths of two bytes, and where they end."""
    found = []
    for _ in range(count):
        length = int.from_bytes(extradata[place : place + 2], "big")
        found.append(extradata[place + 2 : place + 2 + length])
        place += 2 + length
    return found, place
