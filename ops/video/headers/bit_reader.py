"""Numbers of so many bits, as the headers of video codecs have them."""

from ops.video.errors import UnknownOrderError


class Bits:
    """Reads a header from its first bit on; bytes that only keep start codes apart are passed over.

    Args:
        data: a NAL unit's bytes, or their beginning.
        skip: bytes to pass over at the start.
    """

    def __init__(self, data: bytes, skip: int = 0) -> None:
        plain = data[skip:].replace(b"\0\0\3", b"\0\0")
        self._value = int.from_bytes(plain, "big")
        self._left = 8 * len(plain)

    def take(self, count: int) -> int:
        """An unsigned number of ``count`` bits."""
        self._left -= count
        if self._left < 0:
            raise UnknownOrderError("a header ends early")
        value = self._value >> self._left
        self._value &= (1 << self._left) - 1
        return value

    def exp_golomb(self) -> int:
        """An unsigned Exp-Golomb number, ue(v) in the standards."""
        zeros = self._left - self._value.bit_length()
        self.take(zeros)
        return self.take(zeros + 1) - 1

    def signed_exp_golomb(self) -> int:
        """se(v)."""
        value = self.exp_golomb()
        return (value + 1) // 2 if value % 2 else -(value // 2)
