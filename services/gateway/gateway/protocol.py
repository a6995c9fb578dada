"""uvicorn's HTTP protocol, hardened: it would keep a slow-header connection for ever and take any number of headers.

A connection has `header_seconds` from its first byte (or from being opened) to a complete request head, at most
64 KiB and 100 headers of it, and as many bytes of extensions and trailers around a chunked body; one address has at
most `per_address` connections. A body that nobody reads any more, because its request was refused, has as long to come
to its end. Callers known to send too much are refused here, and read again a few at a time: in between the event loop
comes to those who were let in.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from shared.one_write import OneWriteProtocol

MOST_HEAD_BYTES = 64 * 1024
MOST_HEADERS = 100
READ_A_ROUND = 16
"""So many of those that were turned away are read again in one round of the event loop."""
_LAST_LOOK_SECONDS = 0.05
Headers = list[tuple[bytes, bytes]]
Refusal = Callable[[bytes, bytes, Headers], list[bytes] | None]
"""Of method, URL and headers: what to answer at once, or None."""
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
    refusal: Refusal
    resting: "Resting"

    _deadline: asyncio.TimerHandle | None = None
    _head_bytes = 0
    """Of the head so far; after it, what came since the last piece of the body: chunk extensions, trailers."""
    _head_pending = True
    _body_pending = False
    _is_turned_away = False
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
        self._head_bytes += len(data)
        if self._head_pending and self._head_bytes > MOST_HEAD_BYTES and not _ends_a_head(data):
            self._refuse(431)
            return
        super().data_received(data)
        if self._body_pending and self._head_bytes > MOST_HEAD_BYTES:
            self._refuse(431)
            return
        if self._head_pending and self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(self.header_seconds, self._refuse, 408)
        if self._body_pending and self._deadline is None and self._is_answered():
            self._deadline = self.loop.call_later(self.header_seconds, self.transport.close)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_pending, self._is_turned_away = True, False

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if len(self.headers) > MOST_HEADERS:
            self._refuse(431)

    def on_headers_complete(self) -> None:
        self._relax()
        self._head_pending = False
        self._head_bytes = 0
        self._body_pending = True
        if self.transport.is_closing() or self._turn_away():
            return
        self._unset_keepalive_if_required()  # set by a refusal earlier in the same read
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        if not (self.transport.is_closing() or self._is_turned_away):
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._body_pending = False
        self._head_bytes = 0
        self._relax()
        if self.transport.is_closing():
            return
        if self._is_turned_away:
            self.on_response_complete()
            if self.parser.should_keep_alive():
                self.resting.rest(self)
            else:
                self.transport.close()
        else:
            super().on_message_complete()

    def _turn_away(self) -> bool:
        """Answer at once if that is all this caller would get; not out of turn."""
        if not self._is_answered() or self.parser.get_http_version() != "1.1":
            return False
        answer = self.refusal(self.parser.get_method(), self.url, self.headers)
        if answer is None:
            return False
        self._is_turned_away = True
        if self.flow.write_paused:
            self.transport.abort()  # it asks on and reads none of its refusals: they would all be kept for it
        else:
            self.transport.writelines(answer)
        return True  # the connection goes on, or ends, once the body is here: cut earlier, the answer might be lost

    def _is_answered(self) -> bool:
        """Whether nothing that came before is still being worked on."""
        return self._is_turned_away or self.cycle is None or self.cycle.response_complete

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, unless a request came while the event loop was busy and has yet to be read."""
        self.timeout_keep_alive_task = self.loop.call_later(_LAST_LOOK_SECONDS, super().timeout_keep_alive_handler)

    def _relax(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, status: int) -> None:
        self._relax()
        if not self.transport.is_closing():
            self.transport.write(_REFUSALS[status] + b"content-length: 0\r\nconnection: close\r\n\r\n")
            self.transport.close()


class Resting:
    """Connections that were turned away. Four hundred of them would be read in every round, before anything else."""

    def __init__(self) -> None:
        self._waiting: deque[Hardened] = deque()

    def rest(self, connection: Hardened) -> None:
        """Nothing is read from it until it is its turn."""
        connection.flow.pause_reading()
        if not self._waiting:
            connection.loop.call_soon(self._go_on, connection.loop)
        self._waiting.append(connection)

    def _go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        for _ in range(min(READ_A_ROUND, len(self._waiting))):
            connection = self._waiting.popleft()
            if not connection.transport.is_closing():
                connection.flow.resume_reading()
        if self._waiting:
            loop.call_soon(self._go_on, loop)


def hardened(header_seconds: float, per_address: int, refusal: Refusal) -> type[OneWriteProtocol]:
    """The protocol class with these limits; it counts the connections of the server it is given to."""
    limits = {"header_seconds": header_seconds, "per_address": per_address, "opened": Counter()}
    limits |= {"refusal": staticmethod(refusal), "resting": Resting()}
    return type("HardenedProtocol", (Hardened,), limits)


def _ends_a_head(data: bytes) -> bool:
    """A head that ends within this read, with a body behind it, may make the read large."""
    return data.find(b"\r\n\r\n", 0, MOST_HEAD_BYTES) >= 0
