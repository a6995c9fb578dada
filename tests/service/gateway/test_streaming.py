"""News through the gateway: it leaves as it comes, takes no place of others, and ends when either side goes."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx2
from fastapi.responses import StreamingResponse

from .conftest import Hub

PATH = "/v1/sync/stream"


class News:
    """A service's stream in the tests' hands."""

    def __init__(self, hub: Hub) -> None:
        self.pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.gone = asyncio.Event()
        hub.behind.streamed = lambda: StreamingResponse(self._told(), media_type="text/event-stream")

    async def _told(self) -> AsyncIterator[bytes]:
        try:
            while (piece := await self.pieces.get()) is not None:
                yield piece
        finally:
            self.gone.set()


async def recorded(hub: Hub, answer: httpx2.Response, kind: str) -> dict[str, Any]:
    """The exchange's record of this kind, once it is there."""
    id_ = answer.headers["hub-exchange-id"]
    ends = time.monotonic() + 60
    while not (found := [row for row in await hub.exchanges() if (str(row["id"]), row["kind"]) == (id_, kind)]):
        assert time.monotonic() < ends, f"no record {kind}"
        await asyncio.sleep(0.05)
    return found[-1]


async def test_each_piece_leaves_as_it_comes_and_the_log_has_opening_and_closing(hub: Hub) -> None:
    news, headers = News(hub), await hub.headers("operator")
    async with hub.client.stream("GET", PATH, headers=headers | {"Last-Event-ID": "7"}) as answer:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert hub.behind.header("last-event-id") == "7"
        pieces = answer.aiter_bytes()
        for n in range(3):
            await news.pieces.put(b"data: %d\n\n" % n)
            assert await anext(pieces) == b"data: %d\n\n" % n
        opening = await recorded(hub, answer, "opening")
        assert (opening["route"], opening["status"], opening["response_sha256"]) == (PATH, 200, None)
        await news.pieces.put(None)
        assert [piece async for piece in pieces] == []
    closing = await recorded(hub, answer, "closing")
    assert closing["id"] == opening["id"]
    assert closing["response_sha256"] == hashlib.sha256(b"data: 0\n\ndata: 1\n\ndata: 2\n\n").digest()


async def test_a_caller_who_goes_ends_the_services_stream_too(hub: Hub) -> None:
    news, headers = News(hub), await hub.headers("operator")
    async with hub.client.stream("GET", PATH, headers=headers) as answer:
        await news.pieces.put(b": begin\n\n")
        await anext(answer.aiter_bytes())
    async with asyncio.timeout(60):
        await news.gone.wait()
    assert (await recorded(hub, answer, "closing"))["response_sha256"] == hashlib.sha256(b": begin\n\n").digest()


async def test_a_stream_outlives_the_deadline_of_answers_and_takes_nobodys_place(
    start_hub: Any,
) -> None:
    hub = await start_hub(upstream_deadline_seconds=0.5, requests_at_once=1, requests_waiting=0)
    news, headers = News(hub), await hub.headers("operator")
    async with hub.client.stream("GET", PATH, headers=headers) as answer:
        pieces = answer.aiter_bytes()
        hub.behind.streamed = None
        for _ in range(4):
            await asyncio.sleep(0.25)
            assert (await hub.client.get("/v1/sync/status", headers=headers)).status_code == 200
        await news.pieces.put(b"data: late\n\n")
        assert await anext(pieces) == b"data: late\n\n"
        await news.pieces.put(None)


async def test_a_refusal_of_a_stream_is_an_ordinary_answer(hub: Hub) -> None:
    hub.behind.status, hub.behind.answer = 410, b'{"code":"position_gone"}'
    answer = await hub.client.get(PATH, headers=await hub.headers("operator"))
    assert (answer.status_code, answer.json()) == (410, {"code": "position_gone"})
    assert [row["kind"] for row in await hub.exchanges()][-1] == "exchange"


async def test_more_streams_than_allowed_are_refused(start_hub: Any) -> None:
    hub = await start_hub(long_at_once=2)
    news, headers = News(hub), await hub.headers("operator")
    async with (
        httpx2.AsyncClient(base_url=hub.url, trust_env=False, timeout=20) as other,
        hub.client.stream("GET", PATH, headers=headers) as first,
        other.stream("GET", PATH, headers=headers) as second,
    ):
        assert (first.status_code, second.status_code) == (200, 200)
        third = await hub.client.get(PATH, headers=headers)
        assert third.status_code in {429, 503}
        for _ in range(2):
            await news.pieces.put(None)
