"""No test may reach anything but this machine."""

import socket
from typing import Any

_connect = socket.socket.connect


class OutsideWorld(AssertionError):
    """A test tried to leave the machine."""


def _guarded(self: socket.socket, address: Any) -> None:
    if self.family in (socket.AF_INET, socket.AF_INET6):
        host = str(address[0])
        if not (host.startswith("127.") or host in ("::1", "localhost")):
            raise OutsideWorld(f"a test wanted to connect to {host}: the tests use loopback sockets only")
    _connect(self, address)


def confine() -> None:
    """From now on Python's sockets connect to loopback addresses only."""
    socket.socket.connect = _guarded  # type: ignore[method-assign, assignment]
