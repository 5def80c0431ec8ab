"""Which network interface leads to another host: gloo asks the host's own name otherwise, which is often loopback."""

import array
import fcntl
import os
import socket
import struct

_ADDRESS_OF_INTERFACE = 0x8915  # SIOCGIFADDR of Linux


def choose_interface(host: str, port: int) -> None:
    """Let gloo talk over the interface that leads to ``host``, unless GLOO_SOCKET_IFNAME says which."""
    if "GLOO_SOCKET_IFNAME" in os.environ:
        return
    found = interface_to(host, port)
    if found is not None:
        os.environ["GLOO_SOCKET_IFNAME"] = found


def interface_to(host: str, port: int) -> str | None:
    """The name of the interface that leads to a host, as far as the system tells; sends nothing."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.connect((host, port))
            own = asking.getsockname()[0]
            return next((name for _, name in socket.if_nameindex() if _address(asking, name) == own), None)
    except OSError:
        return None


def _address(asking: socket.socket, name: str) -> str | None:
    request = array.array("B", struct.pack("256s", name.encode()[:15]))
    try:
        fcntl.ioctl(asking.fileno(), _ADDRESS_OF_INTERFACE, request)
    except OSError:  # no address
        return None
    return socket.inet_ntoa(request.tobytes()[20:24])
