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

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from shared.errors import Overloaded, UpstreamInvalid, UpstreamTimeout, UpstreamUnavailable

_CONNECT_SECONDS = 2.0
_KEEP_ALIVE_SECONDS = 3.0
"""Shorter than uvicorn's 5 s: a connection is never picked while the service closes it."""
_CHUNK = 64 * 1024
_OUR_OWN_HEADERS = ("User-Agent", "Accept", "Content-Type")


@dataclass(slots=True)
class Answer:
    """A service's answer: whole in `body`, or (when larger than the cap) its beginning and the `rest`."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    rest: AsyncGenerator[bytes, None] | None = None
    closes: bool = False
    """The connection to the caller ends with this answer: the rest of its request is not read."""


class Upstream:
    """One service."""

    def __init__(self, name: str, base_url: str, *, deadline_seconds: float, most_under_way: int) -> None:
        self.name = name
        self.under_way = 0
        self._base_url = base_url.rstrip("/")
        self._deadline = aiohttp.ClientTimeout(total=deadline_seconds, sock_connect=_CONNECT_SECONDS)
        self._most_under_way = most_under_way
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_OUR_OWN_HEADERS,
            timeout=self._deadline,
            max_line_size=32_768,
            max_field_size=32_768,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    async def send(
        self,
        method: str,
        target: str,
        headers: list[tuple[str, str]],
        body: bytes | AsyncIterator[bytes] | None,
        *,
        cap: int,
    ) -> Answer:
        """Send one request. Raises `Overloaded`, or one of `shared.errors.Upstream`."""
        if self._session is None or self.under_way >= self._most_under_way:
            raise Overloaded(f"{self.name} has enough to do", retry_after_seconds=1)
        self.under_way += 1
        try:
            answer = await self._exchange(self._session, method, target, headers, body, cap)
        except BaseException as fault:
            self.under_way -= 1
            raise self._explained(fault) from fault
        if answer.rest is None:
            self.under_way -= 1
        return answer

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        method: str,
        target: str,
        headers: list[tuple[str, str]],
        body: bytes | AsyncIterator[bytes] | None,
        cap: int,
    ) -> Answer:
        response = await session.request(
            method, _url(self._base_url + target), headers=headers, data=body, allow_redirects=False
        )
        answer = Answer(response.status, list(response.raw_headers), b"")
        length = response.content_length
        if length is not None and length <= cap:
            answer.body = await response.read()
            response.release()
            return answer
        pieces: list[bytes] = []
        size = 0
        async for piece in response.content.iter_chunked(_CHUNK):
            pieces.append(piece)
            size += len(piece)
            if size > cap:
                answer.rest = self._rest(response)
                break
        answer.body = b"".join(pieces)
        return answer

    async def _rest(self, response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
        try:
            async for piece in response.content.iter_chunked(_CHUNK):
                yield piece
        finally:
            self.under_way -= 1
            response.close()

    def _explained(self, fault: BaseException) -> BaseException:
        if isinstance(fault, aiohttp.ClientConnectorError):
            return UpstreamUnavailable(f"{self.name} is not available", internal=repr(fault), retry_after_seconds=1)
        if isinstance(fault, TimeoutError):
            return UpstreamTimeout(f"{self.name} did not answer in time", outcome_unknown=True)
        if isinstance(fault, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError | aiohttp.ClientPayloadError):
            return UpstreamUnavailable(
                f"{self.name} broke off", internal=repr(fault), outcome_unknown=True, retry_after_seconds=1
            )
        if isinstance(fault, aiohttp.ClientError):
            return UpstreamInvalid(f"{self.name} did not answer HTTP", internal=repr(fault), outcome_unknown=True)
        return fault


@lru_cache(maxsize=1024)
def _url(text: str) -> URL:
    """Parsed once; batches and intake go to the same few addresses."""
    return URL(text, encoded=True)
