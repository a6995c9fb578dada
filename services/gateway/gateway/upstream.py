"""The services behind the gateway over HTTP: one bounded pool each, a total deadline, no retries.

```
connection refused, no address            503 upstream_unavailable   nothing was sent
connection lost after the request left    503 upstream_unavailable   the outcome is unknown
no answer within the deadline             504 upstream_timeout       the outcome is unknown
not HTTP                                  502 upstream_invalid
as many under way as are allowed          503 overloaded             nothing was sent
```
A caller repeats with its idempotency key; the gateway itself repeats nothing.
"""

import asyncio
from collections import deque
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit
from weakref import WeakSet

from gateway.connection import Answer, Body, BrokenOff, Connection, NotHttp
from shared.errors import Overloaded, UpstreamInvalid, UpstreamTimeout, UpstreamUnavailable
from shared.errors import Upstream as UpstreamFault

_CONNECT_SECONDS = 2.0
_KEEP_IDLE_SECONDS = 3.0
"""Shorter than uvicorn's 5 s: a connection is never picked while the service closes it."""


class Upstream:
    """One service."""

    def __init__(self, name: str, base_url: str, *, deadline_seconds: float, most_under_way: int) -> None:
        self.name = name
        self.under_way = 0
        place = urlsplit(base_url)
        self._host, self._tls = place.hostname or "", place.scheme == "https"
        self._port = place.port or (443 if self._tls else 80)
        self._authority, self._base_path = place.netloc, place.path.rstrip("/")
        self._deadline_seconds = deadline_seconds
        self._most_under_way = most_under_way
        self.idle: deque[Connection] = deque()
        self._connections: WeakSet[Connection] = WeakSet()
        self._is_open = False

    async def __aenter__(self) -> Self:
        self._is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_open = False
        for connection in list(self._connections):
            connection.close()
        await asyncio.sleep(0)  # a closed transport says so in the loop's next round

    async def send(
        self,
        method: str,
        target: str,
        headers: list[tuple[str, str]],
        body: Body,
        *,
        length: int | None = None,
        cap: int,
        may_stream: bool = False,
    ) -> Answer:
        """Send one request; `length` is what a streamed body was said to have, None sends it in chunks.

        `may_stream`: an answer of server-sent events is handed over at its head; the deadline is that of the head.

        Raises `Overloaded`, one of `shared.errors.Upstream`, or what reading a streamed body raises.
        """
        if not self._is_open or self.under_way >= self._most_under_way:
            raise Overloaded(f"{self.name} has enough to do", retry_after_seconds=1)
        if isinstance(body, bytes):
            length = len(body)
        elif body is None:
            length = None if method == "GET" else 0
        is_chunked = body is not None and length is None
        head = self._head(method, target, headers, length, is_chunked)
        self.under_way += 1
        connection = self._idle_one() or await self._connect()
        try:
            seconds = self._deadline_seconds
            return await connection.send(
                head, body, is_chunked=is_chunked, cap=cap, seconds=seconds, may_stream=may_stream
            )
        except (BrokenOff, NotHttp, TimeoutError) as fault:
            raise self._explained(fault) from fault

    def _head(
        self, method: str, target: str, headers: list[tuple[str, str]], length: int | None, is_chunked: bool
    ) -> bytes:
        """Request line, headers and framing. HEAD is not spoken: its answers are framed like no other's."""
        lines = [f"{method} {self._base_path}{target} HTTP/1.1", f"host: {self._authority}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if length is not None:
            lines.append(f"content-length: {length}")
        elif is_chunked:
            lines.append("transfer-encoding: chunked")
        text = "\r\n".join(lines)
        # The server in front lets no line break through; if it ever did, a second request could hide in a header.
        if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1 or method == "HEAD":
            raise ValueError("not to be sent")
        return text.encode() + b"\r\n\r\n"

    def _idle_one(self) -> Connection | None:
        """The connection used last that is still good: the others may end."""
        while self.idle:
            connection = self.idle.pop()
            if connection.is_open and not self._is_stale(connection):
                return connection
            connection.close()
        return None

    def _is_stale(self, connection: Connection) -> bool:
        return asyncio.get_running_loop().time() - connection.idle_since > _KEEP_IDLE_SECONDS

    async def _connect(self) -> Connection:
        """A new connection. Nothing has been sent when this fails."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                _, connection = await loop.create_connection(
                    lambda: Connection(self._freed), self._host, self._port, ssl=self._tls or None
                )
        except BaseException as fault:
            self.under_way -= 1
            if isinstance(fault, OSError | TimeoutError):
                raise UpstreamUnavailable(
                    f"{self.name} is not available", internal=repr(fault), retry_after_seconds=1
                ) from fault
            raise
        self._connections.add(connection)
        return connection

    def _freed(self, connection: Connection) -> None:
        self.under_way -= 1
        while self.idle and self._is_stale(self.idle[0]):
            self.idle.popleft().close()
        if connection.is_open:
            connection.idle_since = asyncio.get_running_loop().time()
            self.idle.append(connection)

    def _explained(self, fault: Exception) -> UpstreamFault:
        if isinstance(fault, TimeoutError):
            return UpstreamTimeout(f"{self.name} did not answer in time", outcome_unknown=True)
        if isinstance(fault, BrokenOff):
            return UpstreamUnavailable(
                f"{self.name} broke off", internal=repr(fault), outcome_unknown=True, retry_after_seconds=1
            )
        return UpstreamInvalid(f"{self.name} did not answer HTTP", internal=repr(fault), outcome_unknown=True)
