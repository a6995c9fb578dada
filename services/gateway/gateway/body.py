"""Reading a request's body with a limit and a deadline; a chunked body cannot lie about its size."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

from starlette.types import Receive

from shared.errors import HubError, PayloadTooLarge


class RequestTimeout(HubError):
    """The caller took too long to send the body."""

    status, code, title = 408, "request_timeout", "The request did not arrive in time"


class CallerGone(HubError):
    """The caller hung up before the request was complete; nobody reads the answer."""

    status, code, title = 400, "request_incomplete", "The request is incomplete"


def too_large(limit: int) -> PayloadTooLarge:
    """413 with the limit; the connection is closed, so that the rest need not be read."""
    return PayloadTooLarge(f"The body may have {limit} bytes", headers={"Connection": "close"}, limit=limit)


async def read(receive: Receive, limit: int, deadline_seconds: float) -> bytes:
    """The whole body. Raises `PayloadTooLarge`, `RequestTimeout` or `CallerGone`."""
    try:
        async with asyncio.timeout(deadline_seconds):
            chunk, more = await _next(receive)
            if not more and len(chunk) <= limit:
                return chunk
            chunks = [chunk]
            size = len(chunk)
            while more and size <= limit:
                chunk, more = await _next(receive)
                chunks.append(chunk)
                size += len(chunk)
    except TimeoutError:
        raise RequestTimeout(headers={"Connection": "close"}) from None
    if size > limit:
        raise too_large(limit)
    return b"".join(chunks)


class Stream:
    """A large body on its way through: never held as a whole, counted and digested as it passes."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._digest = hashlib.sha256()
        self.size = 0
        self.fault: HubError | None = None
        """Why the body ended before its end."""

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body piece by piece. Raises what `read` raises, and keeps it in `fault`."""
        more = True
        while more:
            try:
                chunk, more = await _next(self._receive)
                self.size += len(chunk)
                if self.size > self._limit:
                    raise too_large(self._limit)
            except HubError as fault:
                self.fault = fault
                raise
            self._digest.update(chunk)
            if chunk:
                yield chunk

    def sha256(self) -> bytes | None:
        """Digest of what passed; None when nothing did."""
        return self._digest.digest() if self.size else None


async def _next(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise CallerGone
    return message.get("body", b""), message.get("more_body", False)
