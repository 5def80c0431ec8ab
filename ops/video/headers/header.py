"""What the headers of a packet say of its pictures."""

from typing import NamedTuple, Protocol


class Header(NamedTuple):
    """What a packet's headers say.

    Args:
        order: what shown pictures are sorted by; None where nothing is shown.
        start: decoding may begin here: what is decoded and shown later needs nothing from before.
    """

    order: tuple[int, int] | None
    start: bool


class Headers(Protocol):
    """Reads the packets of a stream, one after the other.

    Args:
        depth: how many pictures the decoder holds back to bring them in order.
        can_skip: the decoder may be told to skip pictures to which no other refers.
    """

    depth: int
    can_skip: bool

    def read(self, packet: memoryview) -> Header:
        """
        Raises:
            UnknownOrderError: the packet is not exactly one picture, or none that is shown.
        """
        ...
