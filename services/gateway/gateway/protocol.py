"""uvicorn's HTTP protocol, hardened: it would keep a slow-header connection for ever and take any number of headers.

A connection has `header_seconds` from its first byte (or from being opened) to a complete request head, at most
64 KiB and 100 headers of it; one address has at most `per_address` connections.
"""

import asyncio
from collections import Counter
from typing import Any

from shared.one_write import OneWriteProtocol

MOST_HEAD_BYTES = 64 * 1024
MOST_HEADERS = 100
_REFUSALS = {
    408: b"HTTP/1.1 408 Request Timeout\r\n",
    429: b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 5\r\n",
    431: b"HTTP/1.1 431 Request Header Fields Too Large\r\n",
}


class Hardened(OneWriteProtocol):
    """One connection."""

    header_seconds: float
    per_address: int
    opened: Counter[str]

    _deadline: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _head_pending = True
    _address = ""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        self.opened[self._address] += 1
        if self.opened[self._address] > self.per_address:
            self._refuse(429)
            return
        self._deadline = self.loop.call_later(self.header_seconds, self._refuse, 408)

    def connection_lost(self, exc: Exception | None) -> None:
        self._relax()
        self.opened[self._address] -= 1
        if self.opened[self._address] <= 0:
            del self.opened[self._address]
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._head_pending:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES and not _ends_a_head(data):
                self._refuse(431)
                return
        super().data_received(data)
        if self._head_pending and self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(self.header_seconds, self._refuse, 408)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_pending = True

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if len(self.headers) > MOST_HEADERS:
            self._refuse(431)

    def on_headers_complete(self) -> None:
        self._relax()
        self._head_pending = False
        self._head_bytes = 0
        if not self.transport.is_closing():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self.transport.is_closing():
            super().on_message_complete()

    def _relax(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, status: int) -> None:
        self._relax()
        if not self.transport.is_closing():
            self.transport.write(_REFUSALS[status] + b"content-length: 0\r\nconnection: close\r\n\r\n")
            self.transport.close()


def hardened(header_seconds: float, per_address: int) -> type[OneWriteProtocol]:
    """The protocol class with these limits; it counts the connections of the server it is given to."""
    limits = {"header_seconds": header_seconds, "per_address": per_address, "opened": Counter()}
    return type("HardenedProtocol", (Hardened,), limits)


def _ends_a_head(data: bytes) -> bool:
    """A head that ends within this read, with a body behind it, may make the read large."""
    return data.find(b"\r\n\r\n", 0, MOST_HEAD_BYTES) >= 0
