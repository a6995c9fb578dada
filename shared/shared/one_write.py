"""uvicorn's HTTP protocol, with the head and the body of an answer in one write.

uvloop writes at once what it is given, and uvicorn gives it the head first: two system calls per answer, and whoever
waits for it is woken twice.
"""

from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_CONTINUE = b"HTTP/1.1 100 "
_MOST_JOINED_BYTES = 64 * 1024
"""Copying more costs more than a second call."""


class _Together:
    """The transport of one answer: its head waits for what follows it."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._head: bytes | None = None
        self._is_begun = False
        self.is_closing: Callable[[], bool] = transport.is_closing

    def write(self, data: bytes) -> None:
        if self._head is None and not self._is_begun and not data.startswith(_CONTINUE):
            self._head, self._is_begun = data, True
            return
        if self._head is not None:
            head, self._head = self._head, None
            if len(data) > _MOST_JOINED_BYTES:
                self._transport.write(head)
            else:
                data = head + data
        self._transport.write(data)

    def close(self) -> None:
        self._transport.close()


class OneWriteProtocol(HttpToolsProtocol):
    """Answers to HEAD have no body to wait for; they go as uvicorn sends them."""

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if cycle.scope["method"] != "HEAD":
            cycle.transport = _Together(cycle.transport)
        super()._start_asgi_task(cycle, app)
