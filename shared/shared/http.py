"""Outgoing HTTP: a total deadline, a cap on the answer, a bulkhead and a breaker with a single probe per peer.

A time-out or a cut connection after the request may have been sent is an *unknown outcome*
(`Upstream.outcome_unknown`): whoever called asks again or queries, it never counts as failed.
"""

import asyncio
import time
from collections.abc import AsyncIterable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp
from opentelemetry import propagate
from yarl import URL

from shared import strict_json
from shared.errors import HubError, Upstream, UpstreamInvalid, UpstreamTimeout, UpstreamUnavailable
from shared.telemetry import COUNTERS, GAUGES

BreakerState = Literal["closed", "open", "half_open"]
_KEEP_ALIVE_SECONDS = 3.0
"""Shorter than uvicorn's 5 s: a connection is never picked while the other side closes it."""
_CHUNK = 64 * 1024
_PATHS_KEPT = 64


class Breaker:
    """Opens after `failures` in a row; after `open_seconds` lets exactly one call through to try."""

    def __init__(
        self, failures: int = 5, open_seconds: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = failures
        self._open_seconds = open_seconds
        self._clock = clock
        self._failed = 0
        self._opened_at: float | None = None
        self._probing = False

    @property
    def state(self) -> BreakerState:
        """closed: calls pass · open: refused · half_open: one probe may pass or is under way."""
        if self._opened_at is None:
            return "closed"
        return "half_open" if self._probing or self.wait_seconds <= 0 else "open"

    @property
    def wait_seconds(self) -> float:
        """Seconds until a probe may pass; 0 when it may."""
        if self._opened_at is None:
            return 0.0
        return max(0.0, self._opened_at + self._open_seconds - self._clock())

    def enter(self) -> bool:
        """Whether a call may pass now. A call let through while not closed is the probe."""
        if self._opened_at is None:
            return True
        if self._probing or self.wait_seconds > 0:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        """A call came back well."""
        self._failed, self._opened_at, self._probing = 0, None, False

    def failed(self) -> None:
        """A call failed: the breaker opens, or stays open for another period."""
        self._failed += 1
        if self._probing or self._failed >= self._limit:
            self._opened_at, self._probing = self._clock(), False

    def abandoned(self) -> None:
        """A call ended without telling anything (cancelled): the next one may probe."""
        self._probing = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: any status below 600 is an answer."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        """The body as JSON. Raises `UpstreamInvalid` (an HTML page, a cut body)."""
        try:
            return strict_json.loads(self.content)
        except HubError as fault:
            raise UpstreamInvalid(
                internal=f"status {self.status}, {len(self.content)} bytes that are not JSON",
                outcome_unknown=True,
            ) from fault


class Peer:
    """One remote system."""

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        deadline_seconds: float = 30.0,
        max_bytes: int = 8 * 1024 * 1024,
        concurrency: int = 8,
        breaker: Breaker | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.breaker = breaker or Breaker()
        self._deadline_seconds = deadline_seconds
        self._max_bytes = max_bytes
        self._bulkhead = asyncio.Semaphore(concurrency)
        self._base_url = base_url.rstrip("/")
        self._headers = headers
        self._session: aiohttp.ClientSession | None = None
        self._urls: dict[str, URL] = {}

    async def send(
        self,
        method: str,
        path: str,
        *,
        content: bytes | AsyncIterable[bytes] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        deadline_seconds: float | None = None,
        check: Callable[[Answer], object] | None = None,
    ) -> Answer:
        """One call. The deadline covers all of it, waiting for a place included.

        `check` looks at an answer below 500 and raises an `Upstream` error for what cannot be one (an HTML page
        with status 200): that counts as a failure for the breaker, which a success before it would have reset.
        """
        sent_headers = dict(headers or {})
        propagate.inject(sent_headers)
        if json is not None:
            content = strict_json.dumps(json)
            sent_headers.setdefault("content-type", "application/json")
        sending = False
        try:
            async with asyncio.timeout(deadline_seconds or self._deadline_seconds), self._bulkhead:
                self._enter()
                sending = True
                answer = await self._exchange(method, path, content, sent_headers)
        except TimeoutError as fault:
            if sending:
                self._failed("timeout")
            raise UpstreamTimeout(internal=f"{self.name}: deadline", outcome_unknown=sending) from fault
        except asyncio.CancelledError:
            if sending:
                self.breaker.abandoned()
            raise
        self._answered(answer, check)
        return answer

    async def close(self) -> None:
        """Close the pool."""
        if self._session is not None:
            await self._session.close()

    def _enter(self) -> None:
        if not self.breaker.enter():
            wait = int(self.breaker.wait_seconds) + 1
            raise UpstreamUnavailable(internal=f"{self.name}: breaker open", retry_after_seconds=wait)

    def _answered(self, answer: Answer, check: Callable[[Answer], object] | None) -> None:
        if answer.status >= 500 or answer.status == 429:
            self._failed("error")
            return
        try:
            if check is not None:
                check(answer)
        except Upstream:
            self._failed("nonsense")
            raise
        self.breaker.succeeded()
        GAUGES.breaker_open.labels(self.name).set(0)
        COUNTERS.peer_calls.labels(self.name, "ok").inc()

    async def _exchange(
        self, method: str, path: str, content: bytes | AsyncIterable[bytes] | None, headers: Mapping[str, str]
    ) -> Answer:
        try:
            async with self._client().request(
                method, self._url(path), data=content, headers=headers, allow_redirects=False
            ) as response:
                return Answer(response.status, response.headers, await self._read(response))
        except aiohttp.ClientConnectorError as fault:
            self._failed("unreachable")
            raise UpstreamUnavailable(internal=f"{self.name}: {fault!r}", retry_after_seconds=1) from fault
        except (aiohttp.ClientError, OSError) as fault:
            if isinstance(fault, TimeoutError):
                raise
            self._failed("cut")
            raise UpstreamUnavailable(internal=f"{self.name}: {fault!r}", outcome_unknown=True) from fault

    def _client(self) -> aiohttp.ClientSession:
        """Made in the loop that uses it. The bulkhead bounds the connections, the deadline the time."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
                headers=self._headers,
                skip_auto_headers=("Accept-Encoding", "User-Agent", "Content-Type"),
            )
        return self._session

    def _url(self, path: str) -> URL:
        """Parsed once where it comes again; a path with a question in it is not kept."""
        if "?" in path:
            return URL(self._base_url + path)
        url = self._urls.get(path)
        if url is None:
            url = URL(self._base_url + path)
            if len(self._urls) < _PATHS_KEPT:
                self._urls[path] = url
        return url

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for part in response.content.iter_chunked(_CHUNK):
            size += len(part)
            if size > self._max_bytes:
                self._failed("too_large")
                response.close()
                raise UpstreamInvalid(internal=f"{self.name}: answer too large", outcome_unknown=True)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _failed(self, outcome: str) -> None:
        self.breaker.failed()
        GAUGES.breaker_open.labels(self.name).set(self.breaker.state != "closed")
        COUNTERS.peer_calls.labels(self.name, outcome).inc()
