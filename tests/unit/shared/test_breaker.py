"""The breaker opens, waits, and lets exactly one probe through."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from shared.errors import UpstreamInvalid, UpstreamTimeout, UpstreamUnavailable
from shared.http import Breaker, Peer


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_opens_after_failures_in_a_row_only() -> None:
    breaker = Breaker(failures=3, open_seconds=10, clock=Clock())
    for _ in range(5):
        breaker.failed()
        breaker.failed()
        breaker.succeeded()
    assert breaker.enter()
    for _ in range(3):
        breaker.failed()
    assert not breaker.enter()
    assert breaker.state == "open"


def test_one_of_fifty_concurrent_calls_probes() -> None:
    clock = Clock()
    breaker = Breaker(failures=1, open_seconds=10, clock=clock)
    breaker.failed()
    clock.seconds += 10
    assert [breaker.enter() for _ in range(50)].count(True) == 1
    breaker.failed()
    assert breaker.state == "open"
    clock.seconds += 10
    assert breaker.enter()
    breaker.succeeded()
    assert all(breaker.enter() for _ in range(50))


def test_a_cancelled_probe_leaves_the_place_to_the_next() -> None:
    clock = Clock()
    breaker = Breaker(failures=1, open_seconds=10, clock=clock)
    breaker.failed()
    clock.seconds += 10
    assert breaker.enter()
    breaker.abandoned()
    assert breaker.enter()


async def _slow(_request: Request) -> Response:
    await asyncio.sleep(2)
    return Response()


async def _endless(_request: Request) -> Response:
    async def drip() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536
            await asyncio.sleep(0)

    return StreamingResponse(drip())


async def _page(_request: Request) -> Response:
    return Response("<html>bảo trì</html>", media_type="text/html")


async def _broken(_request: Request) -> Response:
    return Response(status_code=500)


REMOTE = Starlette(
    routes=[Route("/slow", _slow), Route("/endless", _endless), Route("/page", _page), Route("/broken", _broken)]
)


async def test_a_peer_tells_unknown_from_never_sent(served: Callable[..., Awaitable[str]]) -> None:
    peer = Peer("remote", await served(REMOTE), deadline_seconds=0.5, max_bytes=1_000_000, breaker=Breaker(100))
    with pytest.raises(UpstreamTimeout) as slow:
        await peer.send("GET", "/slow")
    assert slow.value.outcome_unknown
    with pytest.raises(UpstreamInvalid):
        await peer.send("GET", "/endless", deadline_seconds=5)
    with pytest.raises(UpstreamInvalid):
        (await peer.send("GET", "/page")).json()
    await peer.close()
    nobody = Peer("nobody", "http://127.0.0.1:9", deadline_seconds=2)
    with pytest.raises(UpstreamUnavailable) as refused:
        await nobody.send("GET", "/")
    assert not refused.value.outcome_unknown
    await nobody.close()


async def test_five_broken_answers_open_the_breaker(served: Callable[..., Awaitable[str]]) -> None:
    peer = Peer("remote", await served(REMOTE), breaker=Breaker(failures=5, open_seconds=60))
    for _ in range(5):
        assert (await peer.send("GET", "/broken")).status == 500
    with pytest.raises(UpstreamUnavailable) as refused:
        await peer.send("GET", "/page")
    assert not refused.value.outcome_unknown
    assert refused.value.retry_after_seconds
    await peer.close()
